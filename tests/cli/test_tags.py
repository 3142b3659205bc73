"""What was taken for what: shown on demand, and changed by naming it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lrdoctor.cli.main import cli
from lrdoctor.errors import UsageError


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A table with two rates, two losses and two counters; the LR's own name says little."""
    names = "epoch,batch,rate,lr,train_loss,objective"
    rows = [f"{n // 10},{n},{0.5 / (n + 1)},{0.1 / (n + 1)},{2.0 - n / 100},{3.0 - n / 100}" for n in range(40)]
    path = tmp_path / "history.csv"
    path.write_text("\n".join([names, *rows]) + "\n")
    return path


def audit(*arguments: object) -> Any:
    quiet = ["--no-report", "--no-simulate", "--fail-on", "never"]
    return CliRunner().invoke(cli, ["audit", *map(str, arguments), *quiet])


def choices(*arguments: object) -> dict[str, dict[str, Any]]:
    done = audit(*arguments, "--format", "json")
    (run,) = json.loads(done.stdout)["runs"]
    return {choice["what"]: choice for choice in run["choices"]}


def test_show_sources_prints_the_guesses_and_the_reasons(log: Path) -> None:
    shown = audit(log, "--show-sources").stdout
    assert f"read: {log} (csv," in shown
    assert "chose: learning rate: lr (its name says so" in shown
    assert "chose: step axis: epoch (only the epoch was logged" in shown
    assert "chose: training loss: train_loss (" in shown


def test_without_it_the_guesses_are_not_printed(log: Path) -> None:
    assert "chose:" not in audit(log).stdout


def test_what_was_passed_over_is_named(tmp_path: Path) -> None:
    rows = "".join(f"{n},{n // 10},0.1,{2 - n / 100},1,2\n" for n in range(40))
    (tmp_path / "a.csv").write_text("step,epoch,lr,loss,box_loss,cls_loss\n" + rows)
    shown = audit(tmp_path, "--show-sources").stdout
    assert "; not epoch" in shown
    assert "; not box_loss, cls_loss" in shown


def test_the_json_answer_has_the_same(log: Path) -> None:
    found = choices(log)
    assert (found["learning rate"]["chosen"], found["training loss"]["chosen"]) == ("lr", "train_loss")
    assert found["step axis"]["why"]


def test_each_tag_can_be_named(log: Path) -> None:
    found = choices(log, "--lr-tag", "rate", "--loss-tag", "objective", "--step-tag", "batch")
    assert found["learning rate"] == {
        "what": "learning rate", "chosen": "rate", "why": "named on the command line", "rejected": ["lr"],
    }  # fmt: skip
    assert (found["training loss"]["chosen"], found["step axis"]["chosen"]) == ("objective", "batch")


def test_a_named_counter_is_the_step(log: Path) -> None:
    done = audit(log, "--step-tag", "batch", "--format", "json")
    (run,) = json.loads(done.stdout)["runs"]
    assert (run["steps"], run["step_unit"]) == (40, "update")


def test_a_tag_names_its_groups_too(tmp_path: Path) -> None:
    rows = "".join(f'{n},"[0.{n}1, 0.{n}2]",2\n' for n in range(1, 9))
    (tmp_path / "a.csv").write_text("step,eta,loss\n" + rows)
    assert choices(tmp_path, "--lr-tag", "eta")["learning rate"]["chosen"] == "eta[0], eta[1]"


@pytest.mark.parametrize(
    ("option", "wanted", "near"), [("--lr-tag", "LR", "lr"), ("--loss-tag", "train_los", "train_loss")]
)
def test_a_tag_that_no_run_has_is_an_error_with_the_nearest_names(
    log: Path, option: str, wanted: str, near: str
) -> None:
    done = audit(log, option, wanted)
    assert isinstance(done.exception, UsageError)
    assert wanted in done.exception.what
    assert option in done.exception.what
    assert near in (done.exception.why or "")
    assert near in (done.exception.hint or "")


def test_a_counter_is_looked_for_among_the_counters_too(log: Path) -> None:
    done = audit(log, "--step-tag", "epochs")
    assert isinstance(done.exception, UsageError)
    assert "epoch" in (done.exception.why or "")
    assert not isinstance(audit(log, "--step-tag", "epoch").exception, UsageError)


def test_a_tag_that_only_some_runs_have_is_told_in_the_others(tmp_path: Path) -> None:
    for name, loss in (("a", "objective"), ("b", "train_loss")):
        (tmp_path / name).mkdir()
        rows = "".join(f"{n},{0.1 / (n + 1)},{2 - n / 100}\n" for n in range(20))
        (tmp_path / name / "metrics.csv").write_text(f"step,lr,{loss}\n" + rows)
    done = audit(tmp_path, "--loss-tag", "objective", "--show-sources")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("training loss asked for: objective (named on the command line, but this run") == 1
