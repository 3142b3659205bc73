"""Hostile files: nothing in them is executed, time and memory stay bounded, and each is told of in words."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from lrdoctor.auditing import Options, audit
from lrdoctor.report import github, html, junit, markdown, sarif
from lrdoctor.report import json as json_report
from lrdoctor.report import text as text_report

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork and limits of the system")


def _cases() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hostile_cases", HERE / "cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["hostile_cases"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CASES: dict[str, Any] = _cases().CASES if pytestmark.args[0] is False else {}


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What came of each file in a process of its own, all read one after the other by one worker."""
    folder = tmp_path_factory.mktemp("hostile")
    command = [sys.executable, str(HERE / "worker.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def test_there_are_many_of_them() -> None:
    assert len(CASES) >= 100


@pytest.mark.parametrize("name", ["pickle_reduce", "pickle_build_with_setstate"])
def test_the_same_file_does_harm_where_it_is_unpickled(name: str, outcomes: dict[str, dict[str, Any]]) -> None:
    control = outcomes[f"control of {name}"]
    assert control["executed"]
    assert control["events"]


@pytest.mark.parametrize("name", sorted(CASES))
def test_nothing_is_executed_and_the_reader_ends_within_bounds(name: str, outcomes: dict[str, dict[str, Any]]) -> None:
    outcome = outcomes[name]
    assert outcome["executed"] == []
    assert outcome["killed"] is None
    assert outcome.get("crash") is None
    assert outcome["events"] == []  # imports, processes, files opened for writing


@pytest.mark.parametrize("name", sorted(CASES))
def test_what_is_wrong_is_told_or_what_is_usable_is_read(name: str, outcomes: dict[str, dict[str, Any]]) -> None:
    outcome, case = outcomes[name], CASES[name]
    told = "\n".join(outcome["messages"])
    assert "internal error" not in told
    assert re.search(case.says, told)
    if case.points is not None:
        assert outcome["points"] == case.points
    if not case.says:
        assert outcome["points"] or outcome["checkpoints"]


def audited(folder: Path, name: str) -> Any:
    return audit([str(CASES[name].build(folder))], Options(simulate=False))


ODD = ("events_with_tags_that_rewrite_a_terminal", "csv_with_formulas_and_tags", "name_that_rewrites_a_terminal")


@pytest.mark.parametrize("name", ODD)
def test_no_control_character_reaches_the_terminal(name: str, tmp_path: Path) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, color_system=None, width=200)
    text_report.render(audited(tmp_path, name), console, report=None, quiet=False, verbose=True)
    assert "2J" not in shown.getvalue()
    assert "\x07" not in shown.getvalue()
    assert not re.search(r"\x1b(?!\[[0-9;]*m)", shown.getvalue())  # rich's own bold and dim are all there is


@pytest.mark.parametrize("name", ODD)
def test_no_markup_of_a_tag_reaches_the_report(name: str, tmp_path: Path) -> None:
    found = audited(tmp_path, name)
    index = html.write_report(found, tmp_path / "report", pages={}, single_file=False)
    for page in index.parent.rglob("*.html"):
        content = page.read_text(encoding="utf-8")
        for harm in ("<img src=x", "<script>alert(1)", "<b>x", "\x1b"):
            assert harm not in content


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("report", [github, markdown, sarif, junit, json_report], ids=lambda module: module.__name__)
def test_no_control_character_reaches_a_machine_format(name: str, report: ModuleType, tmp_path: Path) -> None:
    answer = report.render(audited(tmp_path, name), {})
    assert "\x1b" not in answer
    assert "\x07" not in answer
