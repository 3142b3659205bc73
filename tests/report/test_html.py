"""The report on disk: which files, what is safe in them, and what happens to an earlier report."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lrdoctor.errors import UsageError
from lrdoctor.model.arrays import floats, ints
from lrdoctor.model.diagnosis import Audit, Diagnosis, Skipped
from lrdoctor.model.trajectory import GroupTrajectory, LossCurve
from lrdoctor.report.html import write_report
from lrdoctor.report.pages import Pages

EVIL = "<script>alert(1)</script>"


def only(diagnosis: Diagnosis) -> Audit:
    return Audit((diagnosis,), (), "0.1.0")


def page_of(folder: Path) -> str:
    (page,) = folder.glob("run-*.html")
    return page.read_text(encoding="utf-8")


def test_a_report_is_one_index_one_page_a_run_and_three_shared_files(report: Path) -> None:
    names = sorted(path.name for path in report.parent.iterdir())
    assert report.name == "index.html"
    assert [name for name in names if not name.startswith("run-")] == [
        "index.html",
        "lrdoctor.css",
        "lrdoctor.js",
        "plotly.min.js",
    ]
    assert len([name for name in names if name.startswith("run-")]) == 4


def test_every_link_leads_to_a_file_beside_the_page(report: Path) -> None:
    for page in report.parent.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        links = re.findall(r'(?:href|src)="([^"#]+)"', text)
        targets = [link for link in links if not link.startswith("data:")]
        assert targets
        assert all((report.parent / target).is_file() for target in targets)


def test_no_page_names_a_remote_address(report: Path) -> None:
    for page in [*report.parent.glob("*.html"), report.parent / "lrdoctor.css", report.parent / "lrdoctor.js"]:
        assert not re.search(r"https?://|//cdn|@import", page.read_text(encoding="utf-8"))


def test_the_same_audit_gives_the_same_bytes(audit: Audit, tmp_path: Path, pages: Pages) -> None:
    first = write_report(audit, tmp_path / "a", pages=pages).parent
    second = write_report(audit, tmp_path / "b", pages=pages).parent
    assert {p.name: p.read_bytes() for p in first.iterdir()} == {p.name: p.read_bytes() for p in second.iterdir()}


def test_a_single_file_page_needs_nothing_beside_it(healthy: Diagnosis, tmp_path: Path) -> None:
    index = write_report(only(healthy), tmp_path, single_file=True)
    assert {path.suffix for path in tmp_path.iterdir()} == {".html"}
    assert "<script src" not in page_of(tmp_path)
    assert "stylesheet" not in index.read_text(encoding="utf-8")
    assert len(page_of(tmp_path)) > 3_000_000


def test_a_page_stays_below_two_megabytes_with_ten_million_numbers(faulty: Diagnosis, tmp_path: Path) -> None:
    size = 200_000
    rng = np.random.default_rng(0)
    steps, zeros = floats(np.arange(size)), ints(np.zeros(size))
    groups = tuple(GroupTrajectory(f"g{i}", "t", steps, floats(rng.random(size)), zeros) for i in range(40))
    curves = tuple(LossCurve(f"loss{i}", "train-loss", steps, floats(rng.random(size)), zeros) for i in range(8))
    big = replace(faulty, trajectory=replace(faulty.trajectory, groups=groups, curves=curves, steps=size))
    write_report(only(big), tmp_path)
    assert len(page_of(tmp_path).encode()) < 2_000_000


def test_markup_and_terminal_escapes_in_names_are_harmless(faulty: Diagnosis, tmp_path: Path) -> None:
    lead = faulty.trajectory.groups[0]
    tag = f"{EVIL}\x1b[31m\u202e"
    group = replace(lead, name=tag, tag=tag)
    finding = replace(faulty.findings[0], measured=tag, evidence={tag: tag}, group=tag)
    evil = replace(
        faulty,
        run=replace(faulty.run, path=f"runs/{tag}", framework=tag),
        trajectory=replace(faulty.trajectory, groups=(group, group)),
        findings=(finding,),
        left_out=(tag,),
    )
    index = write_report(Audit((evil,), (Skipped(tag, tag),), "0.1.0"), tmp_path)
    for text in (page_of(tmp_path), index.read_text(encoding="utf-8")):
        assert "<script>alert" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_a_path_that_is_not_unicode_is_shown(healthy: Diagnosis, tmp_path: Path) -> None:
    broken = replace(healthy, run=replace(healthy.run, path="runs/caf\udce9"))
    write_report(only(broken), tmp_path)
    assert "caf" in page_of(tmp_path)


def test_the_figure_is_strict_json(report: Path) -> None:
    for page in report.parent.glob("run-*.html"):
        text = page.read_text(encoding="utf-8")
        found = re.search(r'id="figure">(.*?)</script>', text, re.DOTALL)
        assert found
        json.loads(found.group(1), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_pages_of_runs_that_are_gone_are_removed(audit: Audit, healthy: Diagnosis, tmp_path: Path) -> None:
    write_report(audit, tmp_path)
    write_report(only(healthy), tmp_path)
    assert len(list(tmp_path.glob("run-*.html"))) == 1


def test_files_that_are_not_ours_stay(audit: Audit, healthy: Diagnosis, tmp_path: Path) -> None:
    write_report(audit, tmp_path)
    theirs = tmp_path / "run-notes.html"
    theirs.write_text("<p>my own notes on lrdoctor</p>", encoding="utf-8")
    write_report(only(healthy), tmp_path)
    assert theirs.exists()


def test_a_foreign_index_is_not_overwritten(healthy: Diagnosis, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>My site</h1>", encoding="utf-8")
    with pytest.raises(UsageError, match="another page"):
        write_report(only(healthy), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_a_folder_that_is_a_file_is_a_usage_error(healthy: Diagnosis, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError):
        write_report(only(healthy), tmp_path / "file")


def test_no_temporary_file_stays(report: Path) -> None:
    assert not [path for path in report.parent.iterdir() if path.name.startswith(".")]


def test_an_audit_without_runs_still_has_an_index(tmp_path: Path) -> None:
    index = write_report(Audit((), (Skipped("x.csv", "empty"),), "0.1.0"), tmp_path)
    text = index.read_text(encoding="utf-8")
    assert "No training run was found." in text
    assert "x.csv" in text
