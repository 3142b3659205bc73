"""Finding ids: the same over audits, moves and growth; different where findings differ."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from lrdoctor.auditing import Options, audit
from lrdoctor.report.json import document

RUNS = Path(__file__).resolve().parents[2] / "fixtures" / "runs"


def ids(path: Path) -> dict[str, list[str]]:
    """The ids of each run, by the name of its folder."""
    entries: list[dict[str, Any]] = document(audit([str(path)], Options(simulate=False)))["runs"]
    return {Path(entry["path"]).name: [finding["id"] for finding in entry["findings"]] for entry in entries}


def test_ids_are_the_same_when_the_folder_has_moved(tmp_path: Path) -> None:
    for place in ("here", "there/deep"):
        shutil.copytree(RUNS / "torch-onecycle-jump", tmp_path / place / "torch-onecycle-jump")
    found = [ids(tmp_path / place) for place in ("here", "there")]
    assert found[0] == found[1]
    assert any(found[0].values())


def test_ids_of_all_runs_differ() -> None:
    entries = document(audit([str(RUNS)], Options(simulate=False)))["runs"]
    every = [finding["id"] for entry in entries for finding in entry["findings"]]
    assert len(every) > 8
    assert len(set(every)) == len(every)


def test_copies_of_one_run_in_one_audit_are_told_apart(tmp_path: Path) -> None:
    for place in ("a", "b"):
        shutil.copytree(RUNS / "torch-onecycle-jump", tmp_path / place / "torch-onecycle-jump")
    entries = document(audit([str(tmp_path)], Options(simulate=False)))["runs"]
    first, second = ([finding["id"] for finding in entry["findings"]] for entry in entries)
    assert first
    assert set(first).isdisjoint(second)


def test_ids_stay_while_the_log_grows(tmp_path: Path) -> None:
    rows = [f"{step},{0.1 if step < 3000 else 0.0},{2.0 + 1 / (1 + step)!r}" for step in range(4000)]
    found = []
    for length in (3600, 4000):
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / "metrics.csv").write_text("\n".join(["step,lr,train_loss", *rows[:length], ""]))
        found.append(ids(tmp_path / "run")["run"])
    assert found[0]
    assert set(found[0]) <= set(found[1])
