"""Limits: what readers take at most, how a user raises one, and that messages name it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from lrdoctor.errors import SettingsError
from lrdoctor.limits import VARIABLE, Limits, limits, parsed, raised_by, use
from lrdoctor.settings import parse_settings


def test_the_variable_changes_what_it_names_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "tags=7,line-chars=100")
    assert asdict(limits()) == asdict(Limits()) | {"tags": 7, "line_chars": 100}


def test_using_limits_reaches_processes_that_are_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    use({"tags": 7}, "here")
    use({"columns": 9}, "here")
    code = "from lrdoctor.limits import limits; print(limits().tags, limits().columns)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert answer.stdout.split() == ["7", "9"]


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["tag=7"], "did you mean `tags`"),
        (["tags"], "NAME=NUMBER"),
        (["tags=x"], "NAME=NUMBER"),
        (["tags=0"], "positive"),
    ],
)
def test_a_wrong_limit_is_told(pairs: list[str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    with pytest.raises(SettingsError, match=words):
        use(parsed(pairs, "--limit"), "--limit")


def test_a_message_names_the_limit_its_value_and_how_to_raise_it() -> None:
    assert raised_by("tags") == "limit tags, 20,000; raise it with --limit tags=NUMBER"


def test_settings_have_a_table_of_limits(tmp_path: Path) -> None:
    settings = parse_settings({"limits": {"line-chars": 5}}, tmp_path / "pyproject.toml")
    assert settings.limits == {"line_chars": 5}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lrdoctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def test_the_command_line_wins_over_the_settings(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.lrdoctor.limits]\ncolumns = 3\n", encoding="utf-8")
    rows = "".join(f"{step},{0.1 - step * 0.001},1,2\n" for step in range(20))
    (tmp_path / "metrics.csv").write_text("step,lr,loss,val_loss\n" + rows, encoding="utf-8")
    refused = run(tmp_path, "audit", "metrics.csv", "--no-report")
    assert refused.returncode == 3
    assert "limit columns, 3; raise it with --limit columns=NUMBER" in refused.stderr
    read = run(tmp_path, "--limit", "columns=4", "audit", "metrics.csv", "--no-report", "--format", "json")
    assert json.loads(read.stdout)["runs"][0]["sources"][0]["points"] == 20
    assert run(tmp_path, "--limit", "columns", "audit", "metrics.csv").returncode == 2
