"""The JSON of an audit: the published schema, strictness, order."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import numpy as np
import pytest

from lrdoctor.model.diagnosis import Audit, Diagnosis
from lrdoctor.model.finding import Finding, Remedy
from lrdoctor.model.identification import Fit, GroupIdentification, Identification
from lrdoctor.model.run import Series, Source
from lrdoctor.model.schedule import Schedule
from lrdoctor.report.describe import describe
from lrdoctor.report.json import document, dumps, entry_text, pieces, run_entry
from lrdoctor.report.strict import strict
from lrdoctor.schedules import Constant, CosineAnnealingLR, Sequence, StepLR, Stepped, Unknown, Warmup

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "audit.schema.json"

# The fields of the public contract, format 1. A field may be added; none of these may go.
RUN_FIELDS = {
    *("path", "framework", "sources", "steps", "step_unit", "steps_per_epoch", "epochs", "batch_size", "complete"),
    *("segments", "param_groups", "checkpoints", "verdict", "findings", "counterfactual"),
}
SCHEDULE_FIELDS = {
    *("family", "stepped", "params", "warmup", "peak_lr", "final_lr", "horizon_steps"),
    *("fit_error", "confidence", "runner_up"),
}
CHECKPOINT_FIELDS = {
    *("path", "model", "optimizer", "scheduler", "scheduler_family", "last_epoch", "optimizer_step", "global_step"),
}
FINDING_FIELDS = {
    *("code", "name", "severity", "message", "first_step", "last_step", "evidence", "fix", "suppressed_by"),
}
COUNTERFACTUAL_FIELDS = {
    *("status", "reason", "method", "observed_final_loss", "estimated_final_loss", "interval_90", "device", "seconds"),
}


def run_of(diagnosis: Diagnosis) -> dict[str, Any]:
    """The entry of one diagnosis, by way of text as a script would read it."""
    (run,) = json.loads(dumps(Audit((diagnosis,), (), "0.1.0")))["runs"]
    assert isinstance(run, dict)
    return run


def validate(audit: Audit) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(dumps(audit)))


def test_document_is_valid_under_the_published_schema(audit: Audit) -> None:
    validate(audit)


def test_empty_audit_is_valid() -> None:
    validate(Audit((), (), "0.1.0"))


def test_schema_refuses_an_estimate_without_its_interval(faulty: Diagnosis) -> None:
    bare = replace(faulty, counterfactual=replace(faulty.counterfactual, interval_90=None))
    with pytest.raises(jsonschema.ValidationError):
        validate(Audit((bare,), (), "0.1.0"))


def test_every_field_of_the_contract_is_there(faulty: Diagnosis) -> None:
    run = run_of(faulty)
    assert set(run) >= RUN_FIELDS
    assert set(run["param_groups"][0]["schedule"]) >= SCHEDULE_FIELDS
    assert set(run["checkpoints"][0]) >= CHECKPOINT_FIELDS
    assert set(run["findings"][0]) >= FINDING_FIELDS
    assert set(run["findings"][0]["fix"]) >= {"summary", "schedule", "torch_code"}
    assert set(run["counterfactual"]) >= COUNTERFACTUAL_FIELDS
    assert set(run["sources"][0]) >= {"path", "kind", "points", "notes"}
    assert set(run["segments"][0]) >= {"first_step", "last_step", "source"}


def test_whole_numbers_of_steps_are_integers(faulty: Diagnosis) -> None:
    run = run_of(faulty)
    steps = [run["segments"][0]["last_step"], run["steps_per_epoch"], run["findings"][0]["last_step"], run["epochs"]]
    assert all(isinstance(step, int) for step in steps)


def test_source_points_are_lr_points_and_scalars_all_points(faulty: Diagnosis) -> None:
    run = run_of(faulty)
    assert [source["points"] for source in run["sources"]] == [4300, 3500, 2500]
    assert run["lr_points"] == 10_300
    assert run["sources"][0]["scalars"] == 9000


def test_second_recording_of_the_series_counts_zero_and_says_so(healthy: Diagnosis) -> None:
    lead = healthy.trajectory.groups[0]
    twin = Series("runs/gpt-small/log.csv", "train/learning_rate", lead.lr, {}, lead.segment, "csv")
    run = replace(
        healthy.run,
        series=(twin,),
        sources=(*healthy.run.sources, Source(twin.path, "csv", 400), Source("runs/gpt-small/other.csv", "csv", 10)),
    )
    told = {source["path"]: source for source in run_of(replace(healthy, run=run))["sources"]}
    assert told[twin.path]["points"] == 0
    assert any("counted once" in note for note in told[twin.path]["notes"])
    assert told["runs/gpt-small/other.csv"]["notes"] == []


def test_final_lr_is_that_of_the_schedule_at_the_last_executed_step(healthy: Diagnosis) -> None:
    schedule = run_of(healthy)["param_groups"][0]["schedule"]
    assert schedule["final_lr"] == pytest.approx(float(healthy.identification.groups[0].fit.whole.lr_at([4999])[0]))


def test_horizon_holds_the_warmup(healthy: Diagnosis) -> None:
    schedule = run_of(healthy)["param_groups"][0]["schedule"]
    assert (schedule["params"]["T_max"], schedule["warmup"]["steps"], schedule["horizon_steps"]) == (4500, 500, 5000)


def test_single_schedule_has_no_segments_and_two_have_both(healthy: Diagnosis) -> None:
    assert "segments" not in run_of(healthy)["param_groups"][0]
    fit = healthy.identification.groups[0].fit
    early, late = replace(fit, last_step=2000.0), replace(fit, first_step=2001.0, schedule=Constant(1e-4))
    reading = GroupIdentification(healthy.trajectory.groups[0].name, (early, late))
    group = run_of(replace(healthy, identification=Identification((reading,))))["param_groups"][0]
    assert [(part["family"], part["first_step"]) for part in group["segments"]] == [
        ("CosineAnnealingLR", 0),
        ("Constant", 2001),
    ]
    assert group["schedule"]["family"] == "Constant"


def test_nan_and_infinity_are_null_with_a_note(faulty: Diagnosis) -> None:
    odd = replace(faulty.findings[0], evidence={"ratio": float("inf"), "slope": np.float64("nan"), "count": 3})
    run = run_of(replace(faulty, findings=(odd,)))
    assert run["findings"][0]["evidence"] == {"ratio": None, "slope": None, "count": 3}
    assert "findings[0].evidence.ratio is infinity, written as null" in run["notes"]
    assert "findings[0].evidence.slope is NaN, written as null" in run["notes"]


def test_text_is_strict_json_without_nan_literals(healthy: Diagnosis) -> None:
    whole = Unknown((0, 4950), (3e-4, float("nan")))
    fit = Fit(whole, whole, 0, 4950, None, 1.0, float("nan"), 0.0, False)
    reading = Identification((GroupIdentification("learning_rate", (fit,)),))
    audit = Audit((replace(healthy, identification=reading),), (), "0.1.0")
    json.loads(dumps(audit), parse_constant=lambda literal: pytest.fail(f"{literal} in strict JSON"))
    validate(audit)


def test_runs_are_sorted_whatever_order_they_come_in(audit: Audit) -> None:
    backwards = Audit(audit.diagnoses[::-1], audit.skipped[::-1], audit.version)
    assert dumps(backwards) == dumps(audit)
    assert [run["path"] for run in document(audit)["runs"]] == sorted(one.run.path for one in audit.diagnoses)


def test_findings_that_count_come_first_then_by_severity(faulty: Diagnosis) -> None:
    shuffled = replace(faulty, findings=faulty.findings[::-1])
    assert [finding["code"] for finding in run_of(shuffled)["findings"]] == ["LR101", "LR201", "LR109"]


def test_path_that_is_not_utf8_survives(healthy: Diagnosis) -> None:
    run = replace(healthy.run, path="runs/\udcff")
    assert run_of(replace(healthy, run=run))["path"] == "runs/\udcff"
    assert dumps(Audit((replace(healthy, run=run),), (), "0.1.0")).isascii()


def test_remedy_without_a_schedule_keeps_its_code(faulty: Diagnosis) -> None:
    fix = run_of(faulty)["findings"][1]["fix"]
    assert fix["schedule"] is None
    assert fix["torch_code"] == 'checkpoint["scheduler"] = scheduler.state_dict()'


def test_remedy_without_code_shows_torch_code_of_its_schedule(healthy: Diagnosis) -> None:
    remedy = Remedy("Anneal.", Stepped(CosineAnnealingLR(0.1, T_max=90), 100, "epoch"))
    finding = Finding("m", "e", "c", 0, 1, remedy=remedy, severity="info", code="LR308", name="constant-lr")
    fix = run_of(replace(healthy, findings=(finding,)))["findings"][0]["fix"]
    assert fix["schedule"]["family"] == "CosineAnnealingLR"
    assert "CosineAnnealingLR(optimizer, T_max=90" in fix["torch_code"]


@pytest.mark.parametrize(
    ("schedule", "family", "stepped", "warmup_steps"),
    [
        (CosineAnnealingLR(0.1, T_max=90), "CosineAnnealingLR", "update", None),
        (Stepped(StepLR(0.1, 30), 100, "epoch"), "StepLR", "epoch", None),
        (Warmup(CosineAnnealingLR(0.1, T_max=90), 10, 0.1), "CosineAnnealingLR", "update", 10),
        (Stepped(Warmup(CosineAnnealingLR(0.1, T_max=90), 5), 100, "epoch"), "CosineAnnealingLR", "epoch", 5),
        (Warmup(Stepped(StepLR(0.1, 30), 100, "epoch"), 50), "StepLR", "epoch", 50),
        (Sequence((Warmup(StepLR(0.1, 9), 5), Constant(0.1)), (100.0,)), "Constant", "update", None),
    ],
)
def test_fix_is_described_by_its_parts(
    schedule: Schedule, family: str, stepped: str, warmup_steps: float | None
) -> None:
    fields = describe(schedule, "update").fields()
    warmup = fields["warmup"]
    assert (fields["family"], fields["stepped"]) == (family, stepped)
    assert (warmup["steps"] if isinstance(warmup, dict) else None) == warmup_steps


def test_fix_of_several_parts_tells_where_the_last_begins() -> None:
    after_resume = Sequence((CosineAnnealingLR(0.1, T_max=90), Constant(0.01)), (100.0,))
    assert describe(after_resume, "update").first_step == 100.0


def test_strict_names_the_place_of_each_number_it_replaced() -> None:
    plain, notes = strict({"a": [1.0, float("-inf")], "b": (np.float32(0.5),)})
    assert plain == {"a": [1.0, None], "b": [0.5]}
    assert notes == ["a[1] is -infinity, written as null"]


def test_written_run_by_run_it_is_the_same_text(audit: Audit) -> None:
    for whole in (audit, Audit((), (), "0.1.0"), Audit(audit.diagnoses[:1], (), "0.1.0")):
        entries = sorted(map(run_entry, whole.diagnoses), key=lambda entry: entry["path"])
        assert "".join(pieces(map(entry_text, entries), whole.skipped, whole.version)) == dumps(whole)


def test_the_text_does_not_hang_on_how_fast_the_machine_is(faulty: Diagnosis) -> None:
    slower = replace(faulty, counterfactual=replace(faulty.counterfactual, seconds=99.0))
    assert dumps(Audit((slower,), (), "0.1.0")) == dumps(Audit((faulty,), (), "0.1.0"))
