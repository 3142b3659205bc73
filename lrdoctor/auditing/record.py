"""What is kept of a run once it was audited: everything any output says of it, as plain data."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from typing import Any

from lrdoctor import __version__
from lrdoctor.engine import Rule, pages_of
from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.report.brief import brief_of, fields_of
from lrdoctor.report.finding_ids import ids_of
from lrdoctor.report.html import marked_page
from lrdoctor.report.json import entry_text, run_entry
from lrdoctor.report.tally import severities_of
from lrdoctor.report.text import told_of
from lrdoctor.report.view_index import row_of, row_text

_LEVEL = 3  # of compression: the pages are mostly the points of their charts
ENTRY, ROW, REST, PAGE = range(4)
"""The parts of a record's data: the texts of its entry in the JSON document and of its row in the report's first
page; a JSON tree of what other outputs say (`told` in a terminal, the `brief`, and in `copied` the ids its findings
have where another run has the same `key`); the run's own page of the report, empty where no report is written."""


@dataclass(frozen=True, slots=True)
class Record:
    """A run's outputs. `severities` are those of its active findings.

    `data` holds the parts, each compressed, one after the other: `sizes` bytes of each. `page_mark` tells one text of
    the page from another, and is empty where there is none.
    """

    verdict: str
    severities: tuple[str, ...]
    left_out: tuple[str, ...]
    key: str
    page_mark: str
    sizes: tuple[int, ...]
    data: bytes

    @property
    def facts(self) -> tuple[Any, ...]:
        """What is known of it without its data."""
        return self.verdict, self.severities, self.left_out, self.key, self.page_mark, self.sizes


@dataclass(frozen=True, slots=True)
class MakeRecord:
    """Diagnosis -> record, with or without the page."""

    pages: bool

    def __call__(self, diagnosis: Diagnosis, rules: tuple[Rule, ...]) -> Record:
        page = marked_page(diagnosis, pages_of(rules), __version__) if self.pages else ""
        ids = ids_of(diagnosis)
        rest = {
            "copied": dict(zip(ids.own, ids.by_path, strict=True)),
            "told": told_of(diagnosis),
            "brief": fields_of(brief_of(diagnosis)),
        }
        texts = (
            entry_text(run_entry(diagnosis, ids.own)),
            row_text(row_of(diagnosis)),
            json.dumps(rest, separators=(",", ":")),
            page,
        )
        parts = [zlib.compress(text.encode(), _LEVEL) if text else b"" for text in texts]
        return Record(
            verdict=diagnosis.verdict,
            severities=tuple(severities_of(diagnosis)),
            left_out=diagnosis.left_out,
            key=ids.key,
            page_mark=hashlib.blake2b(page.encode(), digest_size=16).hexdigest() if page else "",
            sizes=tuple(map(len, parts)),
            data=b"".join(parts),
        )


def text_of(part: bytes) -> str:
    """The text in one part of `Record.data`."""
    return zlib.decompress(part).decode()
