"""The HTML report: one page of all runs, one page a run, and beside them the files both share.

Nothing is fetched from a network: the pages forbid it themselves (Content-Security-Policy). Every file is written
beside its target and renamed, so a report that is replaced is whole at every moment. A run's page is made where the run
is audited, with marks in place of what depends on the other runs and on how the report is written; `Report` fills them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from lrdoctor.errors import UsageError
from lrdoctor.model.diagnosis import Audit, Diagnosis, Skipped
from lrdoctor.report.assets import SHARED, Assets
from lrdoctor.report.files import write_pieces, write_text
from lrdoctor.report.in_place import Folder
from lrdoctor.report.page_names import PREFIX, page_names
from lrdoctor.report.pages import Page
from lrdoctor.report.view import run_page
from lrdoctor.report.view_index import Counts, page_of, row_from, row_of, row_text
from lrdoctor.resources import templates_dir

if TYPE_CHECKING:
    from jinja2 import Environment, Template

    from lrdoctor.readers.noted import Notes
    from lrdoctor.report.view_index import Rows

MARK = '<meta name="generator" content="lrdoctor'  # in the head of every page of ours
_SHARED_BY_ALL = "shared"
_HEAD_BYTES = 2048
_LATER = {name: f"<!--lrdoctor:{name}-->" for name in ("policy", "assets", "plotly", "pager", "rows")}
"""Marks for what is filled in later; text from files cannot hold one, because its `<` is escaped."""


def write_report(
    audit: Audit,
    folder: Path,
    *,
    pages: Mapping[str, Page] | None = None,
    single_file: bool = False,
    changed: Collection[str] | None = None,
) -> Path:
    """Write the report into `folder` and return the path of its index.html.

    `pages` maps rule codes to rule pages; findings without one are shown without the rule's prose. With `single_file`
    every page holds its own style, scripts and plotly (about 5 MB a run page) and can be passed on by itself. Pages of
    an earlier report whose run is gone are removed. With `changed`, the report in `folder` is an earlier one of the
    same runs, and only the pages of the runs at these paths are written anew. UsageError where `folder` cannot be
    written, or holds an index.html that is not a report.
    """
    report = Report(folder, single_file)
    names = page_names([diagnosis.run.path for diagnosis in audit.diagnoses])
    marked = (
        None if _is_kept(folder / name, one, changed) else Marked(partial(marked_page, one, pages or {}, audit.version))
        for name, one in zip(names, audit.diagnoses, strict=True)
    )
    report.write_runs(names, marked)
    rows = [row_text(row_of(diagnosis, name)) for diagnosis, name in zip(audit.diagnoses, names, strict=True)]
    return report.write_index(rows, audit.skipped, audit.version)


def _is_kept(page: Path, diagnosis: Diagnosis, changed: Collection[str] | None) -> bool:
    return changed is not None and diagnosis.run.path not in changed and page.exists()


def marked_page(diagnosis: Diagnosis, pages: Mapping[str, Page], version: str) -> str:
    """A run's page, with marks for what `Report` fills in."""
    from markupsafe import Markup

    later = {name: Markup(mark) for name, mark in _LATER.items()}
    return _template("run.html").render(page=run_page(diagnosis, pages), version=version, later=later)


def write_single_page(folder: Path, template: str, page: Mapping[str, object], version: str) -> Path:
    """Write `folder`/index.html from a template by itself, with all it needs inside; UsageError as `write_report`."""
    index = _index_of(folder)
    text = environment().get_template(template).render(page=page, version=version, assets=Assets(inline=True))
    write_text(index, text)
    return index


def _index_of(folder: Path) -> Path:
    """The place of the page; UsageError where another one is there."""
    index = folder / "index.html"
    if index.exists() and not is_ours(index):
        raise UsageError(
            "The report was not written: another page is in its place.",
            where=str(index),
            why="this index.html was not written by lrdoctor",
            hint="name an empty folder with --report",
        )
    return index


@dataclass(frozen=True, slots=True)
class Marked:
    """A run's page with marks, to be made where it is needed; `mark` tells one text from another, empty: unknown."""

    text: Callable[[], str]
    mark: str = ""


class Report:
    """A report that is written page by page, so that never more than one is in memory.

    `notes` tell which pages an earlier report left as they would be written. UsageError where `folder` holds an
    index.html that is not a report, or cannot be written.
    """

    def __init__(self, folder: Path, single_file: bool = False, notes: Notes | None = None) -> None:
        self._folder = folder
        self._index = _index_of(folder)
        self._assets = Assets(single_file)
        self._files = Folder(folder, notes)

    def write_runs(self, names: Sequence[str], marked: Iterable[Marked | None]) -> None:
        """Each run's page under its name, with links to its neighbours; None leaves the one that is there.

        Pages of an earlier report are removed.
        """
        if not self._assets.inline:
            self._write_shared()
        for place, (name, page) in enumerate(zip(names, marked, strict=True)):
            if page is None:
                continue
            before, after = names[place - 1] if place else "", names[place + 1] if place + 1 < len(names) else ""
            made = " ".join((page.mark, before, after, str(self._assets.inline)))
            if not page.mark or not self._files.holds(name, made):
                self._files.write(name, made, self._filled(page.text(), before, after))
        self._files.keep()
        self._remove_stale(set(names))

    def write_index(self, rows: Sequence[str] | Rows, skipped: Iterable[Skipped], version: str) -> Path:
        """The page of all runs; `rows`, as `row_text` made them, are gone through twice."""
        counts = Counts()
        for text in rows:
            counts.add(row_from(text))
        view = page_of(counts, [row_from(rows[place]) for place in counts.first()], skipped, version)
        text = _template("index.html").render(page=view, version=version, assets=self._assets, rows=_LATER["rows"])
        before, _, after = text.partition(_LATER["rows"])
        write_pieces(self._index, (before, *([] if not after else _listed(rows)), after))
        return self._index

    @cached_property
    def _same(self) -> dict[str, str]:
        """What is filled in on every page."""
        return {
            _LATER["policy"]: self._assets.script_policy(),
            _LATER["assets"]: _template("assets.html").render(assets=self._assets),
            _LATER["plotly"]: _template("plotly.html").render(assets=self._assets),
        }

    def _filled(self, text: str, before: str, after: str) -> str:
        pager = _template("pager.html").render(before=before, after=after)
        for mark, instead in ((_LATER["pager"], pager), *self._same.items()):
            text = text.replace(mark, instead)
        return text

    def _write_shared(self) -> None:
        for name in SHARED:
            if not self._files.holds(name, _SHARED_BY_ALL):
                self._files.write(name, _SHARED_BY_ALL, self._assets.text(name))

    def _remove_stale(self, current: set[str]) -> None:
        """Run pages of an earlier report, and shared files that inlined pages no longer need."""
        there = sorted(os.listdir(self._folder)) if self._folder.is_dir() else []
        pages = [name for name in there if name.startswith(PREFIX) and name.endswith(".html") and name not in current]
        stale = [self._folder / name for name in pages if is_ours(self._folder / name)]
        if self._assets.inline:
            stale += [self._folder / name for name in SHARED if _holds(self._folder / name, self._assets.text(name))]
        for path in stale:
            path.unlink(missing_ok=True)


def _listed(rows: Iterable[str]) -> Iterator[str]:
    """The rows as a JSON array."""
    for place, text in enumerate(rows):
        yield ("[\n" if not place else ",\n") + text
    yield "\n]"


@cache
def _template(name: str) -> Template:
    return environment().get_template(name)


def environment() -> Environment:
    """Jinja2 over the bundled templates: autoescaped, strict about names."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(templates_dir()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.policies["json.dumps_kwargs"] = {"sort_keys": True, "allow_nan": False, "separators": (",", ":")}
    return made


def is_ours(path: Path) -> bool:
    """Whether a page carries our mark in its head."""
    try:
        with path.open("rb") as stream:
            return MARK.encode() in stream.read(_HEAD_BYTES)
    except OSError:
        return False


def _holds(path: Path, text: str) -> bool:
    """Whether the file is there with this very text."""
    try:
        return path.read_bytes() == text.encode("utf-8")
    except OSError:
        return False
