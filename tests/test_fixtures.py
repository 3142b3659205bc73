"""Every recorded run gets the diagnosis written down for it in fixtures/expected.json."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.auditing import Options, audit
from lrdoctor.report.json import document

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
RUNS = FIXTURES / "runs"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
IDENTIFIED = sorted(name for name, expected in EXPECTED.items() if expected["family"] is not None)
MAX_BYTES = 150 * 1024
MAX_TOTAL_BYTES = 1_500_000


@pytest.fixture(scope="module")
def runs() -> dict[str, dict[str, Any]]:
    """The JSON entry of each fixture, by the fixture's name."""
    entries = document(audit([str(RUNS)], Options(simulate=False)))["runs"]
    return {_name(entry["path"]): entry for entry in entries}


def _name(path: str) -> str:
    """The fixture a reported path belongs to: the run's folder, or the fixture's folder above it."""
    below = Path(path).resolve().relative_to(RUNS).as_posix()
    owners = [name for name in EXPECTED if below == name or below.startswith(f"{name}/")]
    return owners[0] if owners else below


def _schedule(entry: dict[str, Any]) -> dict[str, Any]:
    schedule = entry["param_groups"][0]["schedule"]
    assert isinstance(schedule, dict)
    return schedule


def test_every_fixture_is_one_run_and_nothing_else_is(runs: dict[str, dict[str, Any]]) -> None:
    assert sorted(runs) == sorted(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_active_findings_are_those_planted(name: str, runs: dict[str, dict[str, Any]]) -> None:
    active = {finding["code"] for finding in runs[name]["findings"] if finding["suppressed_by"] is None}
    assert sorted(active) == EXPECTED[name]["findings"], EXPECTED[name]["planted"]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_verdict_is_the_expected_one(name: str, runs: dict[str, dict[str, Any]]) -> None:
    assert runs[name]["verdict"] == EXPECTED[name]["verdict"]


@pytest.mark.parametrize("name", IDENTIFIED)
def test_schedule_in_force_is_identified(name: str, runs: dict[str, dict[str, Any]]) -> None:
    expected, found = EXPECTED[name], _schedule(runs[name])
    assert (found["family"], found["stepped"]) == (expected["family"], expected["stepped"])


@pytest.mark.parametrize("name", IDENTIFIED)
def test_parameters_are_recovered(name: str, runs: dict[str, dict[str, Any]]) -> None:
    expected, found = EXPECTED[name], _schedule(runs[name])
    for key, value in expected["params"].items():
        assert found["params"][key] == pytest.approx(value, rel=1e-3, abs=1e-9), key
    if expected["peak_lr"] is not None:
        assert found["peak_lr"] == pytest.approx(expected["peak_lr"], rel=1e-3)


@pytest.mark.parametrize("name", IDENTIFIED)
def test_warmup_is_recovered(name: str, runs: dict[str, dict[str, Any]]) -> None:
    warmup = _schedule(runs[name])["warmup"]
    assert (None if warmup is None else warmup["steps"]) == EXPECTED[name]["warmup_steps"]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_lr_point_is_counted_once(name: str, runs: dict[str, dict[str, Any]]) -> None:
    entry = runs[name]
    assert entry["lr_points"] == EXPECTED[name]["lr_points"]
    assert sum(source["points"] for source in entry["sources"]) == EXPECTED[name]["lr_points"]


@pytest.mark.parametrize("name", sorted(name for name in EXPECTED if EXPECTED[name]["sessions"] is not None))
def test_sessions_are_told_apart(name: str, runs: dict[str, dict[str, Any]]) -> None:
    assert len(runs[name]["segments"]) == EXPECTED[name]["sessions"]


def test_truncated_event_file_is_noted(runs: dict[str, dict[str, Any]]) -> None:
    (source,) = runs["torch-truncated-events"]["sources"]
    assert any("truncated" in note for note in source["notes"])


def test_second_recording_of_a_series_says_it_is_counted_once(runs: dict[str, dict[str, Any]]) -> None:
    logs = [one for one in runs["lightning-two-loggers"]["sources"] if one["kind"] in ("tensorboard", "csv")]
    assert sorted(source["points"] for source in logs) == [0, 240]
    (second,) = [source for source in logs if source["points"] == 0]
    assert any("counted once" in note for note in second["notes"])


def test_each_planted_fault_has_a_healthy_twin() -> None:
    faulty = {name: expected for name, expected in EXPECTED.items() if expected["verdict"] == "lr-faulty"}
    assert len(faulty) >= 6
    for name, expected in faulty.items():
        assert EXPECTED[expected["twin"]]["verdict"] == "lr-healthy", name


def test_every_run_has_a_recipe_and_an_expectation(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("lightning", "transformers", "accelerate"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"fixtures/make.py needs {package}, which is not installed")
    monkeypatch.syspath_prepend(FIXTURES)
    make = importlib.import_module("make")
    assert sorted(make.RUNS) == sorted({name.split("/")[0] for name in EXPECTED})
    assert sorted(path.name for path in RUNS.iterdir()) == sorted(make.RUNS)


def test_fixtures_stay_small() -> None:
    files = [path for path in RUNS.rglob("*") if path.is_file()]
    sizes: Counter[str] = Counter()
    for path in files:
        sizes[path.relative_to(RUNS).parts[0]] += path.stat().st_size
    assert max(sizes.values()) < MAX_BYTES, sizes
    assert sizes.total() < MAX_TOTAL_BYTES
