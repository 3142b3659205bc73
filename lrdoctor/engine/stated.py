"""The schedule a saved scheduler states, over the trajectory's steps."""

from __future__ import annotations

from lrdoctor.engine.counts import planned_ticks
from lrdoctor.identify.declared import stated_whole
from lrdoctor.model.run import Scalar, SchedulerState
from lrdoctor.model.schedule import Schedule
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.schedules import Stepped

_SLOW = 1.5  # updates per tick from which the clock is one of epochs


def stated_in_steps(state: SchedulerState, trajectory: Trajectory, updates: float | None = None) -> Schedule | None:
    """The stated schedule in steps of the trajectory; None where the state tells no closed form.

    `updates` were made when the state was saved: how many passed per tick tells whether a tick is an epoch. A scheduler
    that never moved counts epochs where it is as long as the training has epochs.
    """
    schedule = stated_whole(state)
    if schedule is None or trajectory.step_unit == "epoch":
        return schedule
    per_tick = _updates_per_tick(state, trajectory, updates)
    return schedule if per_tick is None else Stepped(schedule, per_tick, "epoch")


def _updates_per_tick(state: SchedulerState, trajectory: Trajectory, updates: float | None) -> float | None:
    per_epoch = trajectory.steps_per_epoch
    if state.last_epoch and updates:
        passed = updates / state.last_epoch
        if passed < _SLOW:
            return None
        near = per_epoch is not None and abs(passed - per_epoch) <= per_epoch / max(state.last_epoch, 1.0)
        return per_epoch if near else float(round(passed))
    if not per_epoch or trajectory.epochs is None:
        return None
    epochs = (trajectory.planned_steps or trajectory.steps) / per_epoch
    length = _number(planned_ticks(state)) or _number(state.params.get("step_size")) or _last_milestone(state)
    return per_epoch if length is not None and length <= epochs + 1.0 else None


def _last_milestone(state: SchedulerState) -> float | None:
    marks = state.params.get("milestones")
    return float(marks[-1]) if isinstance(marks, tuple) and marks else None


def _number(value: Scalar | tuple[float, ...]) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None
