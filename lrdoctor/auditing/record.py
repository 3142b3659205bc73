"""What is kept of a run once it was audited: everything any output says of it, as plain data."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrdoctor import __version__
from lrdoctor.engine import Rule, pages_of
from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.report.brief import brief_of, fields_of
from lrdoctor.report.finding_ids import ids_of
from lrdoctor.report.html import marked_page
from lrdoctor.report.json import run_entry
from lrdoctor.report.tally import severities_of
from lrdoctor.report.text import told_of
from lrdoctor.report.view_index import row_fields, row_of

_LEVEL = 3  # of compression: the pages are mostly the points of their charts


@dataclass(frozen=True, slots=True)
class Record:
    """A run's outputs. `severities` are those of its active findings; `data` and `page` are compressed.

    `data` holds, as JSON, the `entry` of the JSON document, the ids its findings have instead where another run has the
    same `key` (`copied`), what is `told` in a terminal, the `brief` of the other formats and the `row` of the report's
    first page; `page` is the run's own page of the report, empty where no report is written.
    """

    verdict: str
    severities: tuple[str, ...]
    left_out: tuple[str, ...]
    key: str
    data: bytes
    page: bytes


@dataclass(frozen=True, slots=True)
class MakeRecord:
    """Diagnosis -> record, with or without the page."""

    pages: bool

    def __call__(self, diagnosis: Diagnosis, rules: tuple[Rule, ...]) -> Record:
        page = marked_page(diagnosis, pages_of(rules), __version__).encode() if self.pages else b""
        ids = ids_of(diagnosis)
        tree = {
            "entry": run_entry(diagnosis, ids.own),
            "copied": dict(zip(ids.own, ids.by_path, strict=True)),
            "told": told_of(diagnosis),
            "brief": fields_of(brief_of(diagnosis)),
            "row": row_fields(row_of(diagnosis)),
        }
        return Record(
            verdict=diagnosis.verdict,
            severities=tuple(severities_of(diagnosis)),
            left_out=diagnosis.left_out,
            key=ids.key,
            data=zlib.compress(json.dumps(tree, separators=(",", ":")).encode(), _LEVEL),
            page=zlib.compress(page, _LEVEL) if page else b"",
        )


def data_of(data: bytes) -> Mapping[str, Any]:
    """The tree in `Record.data`."""
    tree: Mapping[str, Any] = json.loads(zlib.decompress(data))
    return tree


def page_of(page: bytes) -> str:
    """The text in `Record.page`."""
    return zlib.decompress(page).decode()
