"""The scheduler's count beside the optimizer's, as checkpoints keep them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lrdoctor.model.run import Checkpoint, SchedulerState

_PER_TICK = 0.01  # how far a ratio may be from a whole number: a first step more or less, a late save (chosen by us)


@dataclass(frozen=True, slots=True)
class Counts:
    """`ticks` calls of the scheduler's step() beside `updates` of the optimizer, in one checkpoint.

    `own` is False where the optimizer keeps no count (SGD, Muon) and the framework's global step stands in for it.
    """

    checkpoint: Checkpoint
    state: SchedulerState
    ticks: float
    updates: float
    own: bool

    @property
    def ratio(self) -> float:
        """Scheduler steps per update."""
        return self.ticks / self.updates


def counts_of(checkpoints: Iterable[Checkpoint]) -> tuple[Counts, ...]:
    """The counts of every checkpoint that keeps both, in the order of `checkpoints`."""
    found = (_counts(point) for point in checkpoints)
    return tuple(counts for counts in found if counts is not None)


def _counts(point: Checkpoint) -> Counts | None:
    state = point.scheduler
    own = point.optimizer.step if point.optimizer is not None else None
    updates = own or point.global_step
    if state is None or not state.last_epoch or not updates:
        return None
    return Counts(point, state, float(state.last_epoch), float(updates), own=bool(own))


def steps_per_update(counts: tuple[Counts, ...]) -> int | None:
    """How many times the scheduler is stepped per update, if a whole number of times; 1 where they go together.

    The totals of the latest checkpoint say it, and what was added since the one before must say the same: a count that
    was lost on a resume in between blurs only one of them.
    """
    if not counts:
        return None
    last = counts[-1]
    times = _whole(last.ticks, last.updates)
    if len(counts) == 1 or times is None:
        return times
    before = counts[-2]
    return times if _whole(last.ticks - before.ticks, last.updates - before.updates) == times else None


def _whole(ticks: float, updates: float) -> int | None:
    if ticks <= 0 or updates <= 0:
        return None
    times = round(ticks / updates)
    return times if times and abs(ticks / updates - times) <= _PER_TICK * times else None


def planned_ticks(state: SchedulerState) -> float | None:
    """The length of the schedule in its own ticks, as its state tells it; None where it has none or does not say."""
    if state.family == "SequentialLR" and state.children:
        last, marks = planned_ticks(state.children[-1]), state.params.get("milestones")
        begun = float(marks[-1]) if isinstance(marks, tuple) and marks else 0.0
        return None if last is None else begun + last
    values = (state.params.get(name) for name in ("total_steps", "T_max", "total_iters"))
    return next((float(value) for value in values if isinstance(value, int | float) and value > 0), None)
