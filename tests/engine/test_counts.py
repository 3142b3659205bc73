"""The scheduler's count beside the optimizer's."""

from __future__ import annotations

import pytest

from lrdoctor.engine.counts import counts_of, planned_ticks, steps_per_update
from lrdoctor.model.run import Checkpoint, OptimizerState, SchedulerState


def saved(ticks, updates, step=None):
    optimizer = OptimizerState("Adam", (), updates, 1, 1)
    return Checkpoint("p", "torch", True, optimizer, (SchedulerState("StepLR", ticks, None),), global_step=step)


def test_the_optimizers_own_count_stands_before_the_frameworks():
    (counts,) = counts_of([saved(100, 50, step=100)])
    assert (counts.updates, counts.own, counts.ratio) == (50, True, 2.0)


def test_the_frameworks_count_stands_in_where_the_optimizer_keeps_none():
    (counts,) = counts_of([saved(100, None, step=100)])
    assert (counts.updates, counts.own) == (100, False)


def test_checkpoints_without_both_counts_are_left_out():
    assert counts_of([saved(None, 10), saved(0, 10), saved(10, None), saved(10, 0)]) == ()


@pytest.mark.parametrize(("points", "times"), [
    ([(100, 100)], 1), ([(200, 100)], 2), ([(201, 100)], 2), ([(105, 100)], None), ([(5, 100)], None), ([], None),
    ([(100, 50), (200, 100)], 2),
    ([(120, 120), (300, 180)], None),  # the optimizer lost its count at 120: 180 more steps, 60 more updates
    ([(240, 240), (480, 240)], None),  # or at 240
    ([(100, 100), (150, 300)], None),
])  # fmt: skip
def test_steps_per_update_are_told_by_totals_and_by_what_was_added_since(points, times):
    assert steps_per_update(counts_of([saved(*point) for point in points])) == times


def test_the_length_of_a_sequence_is_that_of_its_last_part_after_its_milestone():
    cosine = SchedulerState("CosineAnnealingLR", 0, 1, params={"T_max": 90})
    ramp = SchedulerState("LinearLR", 10, 11, params={"total_iters": 10})
    both = SchedulerState("SequentialLR", 10, None, params={"milestones": (10.0,)}, children=(ramp, cosine))
    assert (planned_ticks(cosine), planned_ticks(both)) == (90, 100)
    assert planned_ticks(SchedulerState("StepLR", 0, 1, params={"step_size": 30})) is None
