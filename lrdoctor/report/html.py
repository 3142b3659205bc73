"""The HTML report: one page of all runs, one page a run, and beside them the files both share.

Nothing is fetched from a network: the pages forbid it themselves (Content-Security-Policy). Every file is written
beside its target and renamed, so a report that is replaced is whole at every moment.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lrdoctor.errors import UsageError
from lrdoctor.model.diagnosis import Audit
from lrdoctor.report.files import write_text
from lrdoctor.report.page_names import PREFIX, page_names
from lrdoctor.report.pages import Page
from lrdoctor.report.view import run_page
from lrdoctor.report.view_index import index_page
from lrdoctor.resources import templates_dir

if TYPE_CHECKING:
    from jinja2 import Environment

MARK = '<meta name="generator" content="lrdoctor'  # in the head of every page of ours
STYLE = "lrdoctor.css"
SCRIPT = "lrdoctor.js"
PLOTLY = "plotly.min.js"
_HEAD_BYTES = 2048


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
    index = _index_of(folder)
    _Writer(audit, folder, pages or {}, _assets(single_file), changed).write()
    return index


def write_single_page(folder: Path, template: str, page: Mapping[str, object], version: str) -> Path:
    """Write `folder`/index.html from a template by itself, with all it needs inside; UsageError as `write_report`."""
    index = _index_of(folder)
    text = environment().get_template(template).render(page=page, version=version, assets=_assets(inline=True))
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
class Assets:
    """The style and the scripts, as text; `inline` puts them into each page."""

    style: str
    script: str
    plotly: str
    inline: bool

    def script_policy(self) -> str:
        """What the pages let run: files beside them, or exactly these inlined scripts."""
        if not self.inline:
            return "'self' file:"
        return " ".join(f"'sha256-{_sha256(text)}'" for text in (self.script, self.plotly))


@dataclass(frozen=True, slots=True)
class _Writer:
    audit: Audit
    folder: Path
    pages: Mapping[str, Page]
    assets: Assets
    changed: Collection[str] | None = None

    def write(self) -> None:
        names = page_names([diagnosis.run.path for diagnosis in self.audit.diagnoses])
        if not self.assets.inline:
            self._write_shared()
        pages = environment()
        self._write_runs(pages, names)
        template = pages.get_template("index.html")
        view = index_page(self.audit, names)
        write_text(
            self.folder / "index.html", template.render(page=view, version=self.audit.version, assets=self.assets)
        )
        self._remove_stale(set(names))

    def _write_shared(self) -> None:
        for name, text in ((STYLE, self.assets.style), (SCRIPT, self.assets.script), (PLOTLY, self.assets.plotly)):
            target = self.folder / name
            if not _holds(target, text):
                write_text(target, text)

    def _write_runs(self, pages: Environment, names: tuple[str, ...]) -> None:
        template = pages.get_template("run.html")
        for i, diagnosis in enumerate(self.audit.diagnoses):
            if self._is_kept(diagnosis.run.path, names[i]):
                continue
            text = template.render(
                page=run_page(diagnosis, self.pages),
                before=names[i - 1] if i > 0 else "",
                after=names[i + 1] if i + 1 < len(names) else "",
                version=self.audit.version,
                assets=self.assets,
            )
            write_text(self.folder / names[i], text)

    def _is_kept(self, path: str, name: str) -> bool:
        return self.changed is not None and path not in self.changed and (self.folder / name).exists()

    def _remove_stale(self, current: set[str]) -> None:
        """Run pages of an earlier report, and shared files that inlined pages no longer need."""
        stale = [
            path for path in sorted(self.folder.glob(f"{PREFIX}*.html")) if path.name not in current and is_ours(path)
        ]
        if self.assets.inline:
            texts = ((STYLE, self.assets.style), (SCRIPT, self.assets.script), (PLOTLY, self.assets.plotly))
            stale += [self.folder / name for name, text in texts if _holds(self.folder / name, text)]
        for path in stale:
            path.unlink(missing_ok=True)


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


def style_and_script() -> tuple[str, str]:
    """The pages' style and script, as text."""
    folder = templates_dir()
    return _joined(folder / "styles", "*.css"), _joined(folder / "scripts", "*.js")


def _assets(inline: bool) -> Assets:
    from plotly.offline import get_plotlyjs

    return Assets(*style_and_script(), get_plotlyjs(), inline)


def _joined(folder: Path, pattern: str) -> str:
    """All files of a folder in the order of their (numbered) names."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob(pattern)))


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


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
