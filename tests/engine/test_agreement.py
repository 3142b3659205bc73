"""Settings, checkpoints and log of one run, compared: silent where they agree, and a row for each thing they do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lrdoctor import synth
from lrdoctor.engine.agreement import comparisons, disagreements
from lrdoctor.model.agreement import Comparison
from lrdoctor.model.run import Hint, Run
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import CosineAnnealingLR, LinearLR, MultiStepLR, OneCycleLR, StepLR, Stepped, Warmup
from lrdoctor.testing import examine

WARM = Warmup(CosineAnnealingLR(0.1, 550), 50, 0.01)
TRUE = {"lr": 0.1, "scheduler": "cosine", "warmup_steps": 50}


def compared(
    schedule: Schedule = WARM, declared: dict[str, Any] | None = None, **settings: Any
) -> dict[str, Comparison]:
    settings = {"steps": 600, "optimizer": "AdamW", "declared": TRUE if declared is None else declared, **settings}
    evidence = examine(synth.run(schedule, **settings))
    return {one.topic: one for one in comparisons(evidence.run, evidence.trajectory, evidence.identification)}


def apart(found: dict[str, Comparison]) -> list[str]:
    return sorted(topic for topic, one in found.items() if not one.agree)


def test_a_consistent_run_is_compared_in_all_and_agrees() -> None:
    found = compared(checkpoints=(300, 600))
    assert sorted(found) == ["horizon_steps", "peak_lr", "schedule", "updates", "warmup_steps"]
    assert apart(found) == []
    assert all(len(one.claims) == 3 for topic, one in found.items() if topic != "updates")


@pytest.mark.parametrize(
    ("changed", "topic"),
    [
        ({"lr": 0.2}, "peak_lr"),
        ({"scheduler": "linear"}, "schedule"),
        ({"warmup_steps": 100}, "warmup_steps"),
        ({"max_steps": 900}, "horizon_steps"),
    ],
)
def test_a_setting_that_was_not_carried_out(changed: dict[str, Any], topic: str) -> None:
    found = compared(declared={**TRUE, **changed}, checkpoints=(600,))
    assert apart(found) == [topic]
    one = found[topic]
    assert one.declared is not None
    assert one.declared.source.endswith("in synth/run/hparams.yaml")
    assert one.executed is not None
    assert one.checkpoint is not None
    assert one.executed.value == one.checkpoint.value != one.declared.value


def test_a_warmup_in_epochs_and_one_as_a_share_are_turned_into_updates() -> None:
    for declared in ({"warmup_epochs": 5}, {"warmup_ratio": 1 / 12}):
        found = compared(declared={"lr": 0.1, **declared}, steps_per_epoch=10)
        assert found["warmup_steps"].agree
    wrong = compared(declared={"lr": 0.1, "warmup_epochs": 10}, steps_per_epoch=10)
    assert apart(wrong) == ["warmup_steps"]


def test_drops_of_one_factor_are_of_any_stepwise_class() -> None:
    assert apart(compared(MultiStepLR(0.1, (200,), 0.1), {"scheduler": "StepLR", "lr": 0.1})) == []
    assert apart(compared(StepLR(0.1, 100, 0.5), {"scheduler": "multistep", "lr": 0.1})) == []


def test_a_name_that_means_nothing_to_us_is_not_compared() -> None:
    assert "schedule" not in compared(declared={"scheduler": "my_cosine_thing", "lr": 0.1})


def test_the_rise_of_a_cycle_is_no_warmup() -> None:
    assert "warmup_steps" not in compared(OneCycleLR(0.1, 600), {"warmup_steps": 180, "lr": 0.1}, checkpoints=(600,))


def test_a_checkpoint_in_epochs_is_compared_in_updates() -> None:
    found = compared(CosineAnnealingLR(0.1, 60), {"lr": 0.1}, per_epoch=10, checkpoints=(600,))
    assert found["horizon_steps"].agree
    assert found["horizon_steps"].checkpoint is not None
    assert found["horizon_steps"].checkpoint.value == 600


def test_counters_of_a_checkpoint_that_contradict_each_other() -> None:
    evidence = examine(synth.run(WARM, steps=600, optimizer="AdamW", checkpoints=(600,)))
    (point,) = evidence.run.checkpoints
    assert point.optimizer is not None
    run = replace(evidence.run, checkpoints=(replace(point, optimizer=replace(point.optimizer, step=200)),))
    (one,) = disagreements(run, evidence.trajectory, evidence.identification)
    assert (one.topic, [claim.value for claim in one.claims]) == ("updates", [600.0, 200.0])


def test_a_checkpoint_from_beyond_the_log() -> None:
    evidence = examine(synth.run(WARM, steps=600, optimizer="AdamW", checkpoints=(900,), declared={"lr": 0.1}))
    (one,) = disagreements(evidence.run, evidence.trajectory, evidence.identification)
    assert one.topic == "updates"
    assert one.executed is not None
    assert one.executed.value == 600


def test_settings_saved_in_a_checkpoint_are_held_against_those_beside_it() -> None:
    evidence = examine(synth.run(WARM, steps=600, checkpoints=(600,), batch_size=32))
    (point,) = evidence.run.checkpoints
    run: Run = replace(evidence.run, hints=(*evidence.run.hints, Hint("batch_size", 64, point.path, "args.batch_size")))
    (one,) = disagreements(run, evidence.trajectory, evidence.identification)
    assert (one.topic, [claim.value for claim in one.claims]) == ("batch_size", [32.0, 64.0])


def test_an_automatic_setting_is_no_claim() -> None:
    assert "peak_lr" not in compared(LinearLR(0.1, 600), {"lr": 0.01}, framework="ultralytics")


def test_a_run_of_two_schedules_has_no_one_executed_value() -> None:
    evidence = examine(
        synth.run(
            Stepped(WARM, 1.0), steps=600, resume_at=(300,), declared={"lr": 0.1}, log_lr=False, checkpoints=(600,)
        )
    )
    found = comparisons(evidence.run, evidence.trajectory, evidence.identification)
    assert all(one.executed is None for one in found)
