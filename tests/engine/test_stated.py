"""What a saved scheduler states, in steps of the trajectory."""

from __future__ import annotations

import pytest

from lrdoctor import synth
from lrdoctor.engine.stated import stated_in_steps
from lrdoctor.model.run import SchedulerState
from lrdoctor.schedules import Constant, StepLR, Stepped
from lrdoctor.testing import examine


@pytest.fixture
def trajectory():
    """20 epochs of 50 updates."""
    return examine(synth.run(Constant(0.1), steps=1000, steps_per_epoch=50)).trajectory


def state(ticks, step_size=5):
    return SchedulerState("StepLR", ticks, 1, base_lrs=(0.1,), params={"step_size": step_size, "gamma": 0.5})


@pytest.mark.parametrize(("ticks", "updates"), [(500.0, 500), (498.0, 500), (1000.0, 500)])
def test_a_tick_an_update_is_the_schedule_itself(trajectory, ticks, updates):
    assert stated_in_steps(state(ticks), trajectory, updates) == StepLR(0.1, 5, 0.5)


@pytest.mark.parametrize(("ticks", "updates"), [(10.0, 500), (9.0, 499), (1.0, 99)])
def test_a_tick_an_epoch_is_told_by_the_count(trajectory, ticks, updates):
    assert stated_in_steps(state(ticks), trajectory, updates) == Stepped(StepLR(0.1, 5, 0.5), 50, "epoch")


@pytest.mark.parametrize(("step_size", "slow"), [(5, True), (20, True), (300, False)])
def test_a_scheduler_that_never_moved_counts_epochs_where_there_are_as_many(trajectory, step_size, slow):
    assert isinstance(stated_in_steps(state(0.0, step_size), trajectory, 1000), Stepped) is slow


def test_a_function_states_no_schedule(trajectory):
    assert stated_in_steps(SchedulerState("LambdaLR", 10.0, 11, base_lrs=(0.1,)), trajectory, 10) is None
