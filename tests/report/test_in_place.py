"""A page that is as it would be written is left in place; any other is written."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lrdoctor.readers.noted import Notes
from lrdoctor.report import in_place
from lrdoctor.report.assets import PLOTLY
from lrdoctor.report.html import MARK, Marked, Report

NAMES = ("run-a.html", "run-b.html", "run-c.html")
Write = Callable[..., list[str]]


@pytest.fixture
def write(tmp_path: Path, notes: Notes) -> Write:
    """Write the pages of a report with the same notes each time; the names of those that were made."""

    def written(names: tuple[str, ...] = NAMES, single_file: bool = False, **texts: str) -> list[str]:
        made: list[str] = []

        def page(name: str) -> Marked:
            text = texts.get(name[4], f"{MARK} {name[4]} <!--lrdoctor:pager--><!--lrdoctor:assets-->")
            return Marked(lambda: made.append(name) or text, mark=text)

        Report(tmp_path / "report", single_file, notes).write_runs(names, map(page, names))
        found = {path.name: path.read_text("utf-8") for path in (tmp_path / "report").glob("run-*.html")}
        Report(tmp_path / "fresh", single_file).write_runs(names, map(page, names))
        assert found == {name: (tmp_path / "fresh" / name).read_text("utf-8") for name in names}
        return made[: -len(names)]

    return written


def test_a_page_that_is_as_it_was_left_is_not_even_made(write: Write) -> None:
    assert write() == list(NAMES)
    assert write() == []
    assert write(b="other") == ["run-b.html"]
    assert write(b="other") == []


def test_neighbours_and_the_way_of_writing_count_too(write: Write) -> None:
    write()
    assert write(names=NAMES[:2]) == ["run-b.html"]  # it has no next one any more
    assert write() == ["run-b.html", "run-c.html"]
    assert write(single_file=True) == list(NAMES)
    assert write() == list(NAMES)


def test_a_page_that_was_changed_or_removed_is_written_again(write: Write, tmp_path: Path) -> None:
    write()
    page = tmp_path / "report" / "run-a.html"
    before, status = page.read_text("utf-8"), page.stat()
    time.sleep(0.02)  # longer than a tick of the clock that files are stamped by
    page.write_text("x" * len(before), encoding="utf-8")
    os.utime(page, ns=(status.st_atime_ns, status.st_mtime_ns))
    (tmp_path / "report" / "run-c.html").unlink()
    (tmp_path / "report" / PLOTLY).write_text("", encoding="utf-8")
    assert write() == ["run-a.html", "run-c.html"]
    assert (tmp_path / "report" / PLOTLY).stat().st_size > 1 << 20


def test_what_cannot_be_told_from_a_later_change_is_not_noted(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock of whole seconds, and a page that another audit put in the place of ours at once."""
    real = in_place.write_text

    def coarse(target: Path, text: str) -> os.stat_result:
        status = real(target, text)
        os.utime(target, ns=(10**18, 10**18))
        return target.stat() if target.name == NAMES[0] else status

    monkeypatch.setattr(in_place, "write_text", coarse)
    write()
    assert write() == list(NAMES)
