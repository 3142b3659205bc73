"""The skill file is true: its commands run, its fields are there, its options exist."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

import lrdoctor
from lrdoctor.cli.main import cli

SKILL = (Path(lrdoctor.__file__).parent / "skill" / "SKILL.md").read_text(encoding="utf-8")
RUN = Path(__file__).resolve().parents[2] / "fixtures" / "runs" / "torch-onecycle-jump"
CONFIG = "learning_rate: 1.0e-4\nlr_scheduler_type: cosine\nmax_steps: 1000\nwarmup_steps: 100\noutput_dir: out\n"
_SPOKEN = re.findall(r"^(lrdoctor .+)$|`(lrdoctor [^`]+)`", SKILL, re.MULTILINE)
COMMANDS = sorted({"".join(found) for found in _SPOKEN} - {"lrdoctor check"})  # that one is only a name


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the file calls PATH, CONFIG, CHECKPOINT and runs/."""
    shutil.copytree(RUN, tmp_path / "runs" / "PATH")
    (tmp_path / "PATH").symlink_to(tmp_path / "runs" / "PATH")
    (tmp_path / "CONFIG.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words_of(command: str) -> list[str]:
    named = {"CODE": "LR101", "CONFIG": "CONFIG.yaml", "CHECKPOINT": "PATH/epoch9.pt", "NEW": "NEW.pt"}
    return [named.get(word, word) for word in shlex.split(command)[1:]]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_runs_and_answers_in_the_form_it_says(command: str, place: Path) -> None:
    arguments = words_of(command)
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code in (0, 1), (done.output, done.exception)
    if "json" in arguments:
        assert [json.loads(text) for text in (done.stdout.splitlines() if arguments[0] == "watch" else [done.stdout])]
    assert not (place / "lrdoctor-report").exists()


def test_the_file_names_the_commands_an_agent_needs() -> None:
    assert {words_of(command)[0] for command in COMMANDS} >= {"audit", "check", "inspect", "explain", "watch", "repair"}


@pytest.fixture
def run(place: Path) -> dict[str, Any]:
    done = CliRunner().invoke(cli, words_of("lrdoctor audit PATH --format json --no-report --no-simulate"))
    assert done.exit_code == 1  # "1 is an answer"
    document = json.loads(done.stdout)
    assert "skipped" in document
    (entry,) = document["runs"]
    assert isinstance(entry, dict)
    return entry


def test_each_field_it_speaks_of_is_there(run: dict[str, Any]) -> None:
    finding = next(found for found in run["findings"] if found["suppressed_by"] is None)
    schedule = run["param_groups"][0]["schedule"]
    there = {*run, *finding, *finding["fix"], *schedule, *run["counterfactual"], "skipped", "runs"}
    reading = SKILL.split("## Reading the answer")[1].split("## Doing")[0]
    named = {name for name in re.findall(r"`([a-z_0-9]+)`", reading) if "_" in name or name in there}
    assert len(named) > 20
    assert named <= there


def test_each_option_it_speaks_of_exists() -> None:
    context = click.Context(cli)
    commands = [cli.get_command(context, name) for name in cli.list_commands(context)]  # type: ignore[attr-defined]
    options = {text for command in commands for option in command.params for text in option.opts}
    assert set(re.findall(r"--[a-z][a-z-]+", SKILL)) <= options


def test_it_is_printed_and_has_the_head_agents_look_for(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["skill"])
    assert done.stdout == SKILL
    CliRunner().invoke(cli, ["skill", "--output", str(tmp_path / "lrdoctor" / "SKILL.md")])
    assert (tmp_path / "lrdoctor" / "SKILL.md").read_text(encoding="utf-8") == SKILL
    head = yaml.safe_load(SKILL.split("---")[1])
    assert head["name"] == "lrdoctor"
    assert 50 < len(head["description"]) <= 1024
