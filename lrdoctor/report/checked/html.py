"""The page of a check: every config's plan with its curve and its findings, on one self-contained page."""

from __future__ import annotations

from pathlib import Path

from lrdoctor.errors import UsageError
from lrdoctor.model.checked import Checked
from lrdoctor.report.assets import Assets
from lrdoctor.report.checked.view import check_page
from lrdoctor.report.files import write_text
from lrdoctor.report.html import environment, is_ours
from lrdoctor.report.pages import Pages


def write_report(checked: Checked, folder: Path, *, pages: Pages) -> Path:
    """Write index.html into `folder` and return its path. UsageError where another page is in its place."""
    index = folder / "index.html"
    if index.exists() and not is_ours(index):
        raise UsageError(
            "The report was not written: another page is in its place.",
            where=str(index),
            why="this index.html was not written by lrdoctor",
            hint="name an empty folder with --report",
        )
    template, assets = environment().get_template("check.html"), Assets(inline=True, charts=False)
    write_text(index, template.render(page=check_page(checked, pages), version=checked.version, assets=assets))
    return index
