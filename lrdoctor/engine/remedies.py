"""Changes a remedy makes to a schedule: another horizon, another main part. Compositions are changed in their parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lrdoctor.model.identification import Fit
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    CyclicLR,
    ExponentialLR,
    InverseSqrt,
    MultiStepLR,
    ReduceLROnPlateau,
    Sequence,
    Stepped,
    Unknown,
    Warmup,
)
from lrdoctor.schedules.joined import Overlaid

_HORIZONS = ("T_max", "total_iters", "total_steps")
_LENGTHS = (*_HORIZONS, "T_0", "step_size", "num_stable_steps", "num_decay_steps", "num_iter")


def with_horizon(schedule: Schedule, ticks: int) -> Schedule:
    """A family with a planned end, ending after `ticks` instead; families without one are returned as they are.

    Behind a warmup, the warmup stays as long as it is; on a slower clock, `ticks` are that clock's.
    """
    if isinstance(schedule, Warmup):
        return replace(schedule, main=with_horizon(schedule.main, max(round(ticks - schedule.steps), 1)))
    if isinstance(schedule, Stepped):
        return replace(schedule, schedule=with_horizon(schedule.schedule, ticks))
    return _replaced(schedule, {name: ticks for name in _HORIZONS if hasattr(schedule, name)})


def stretched(schedule: Schedule, factor: float) -> Schedule:
    """The same shape over `factor` times as many ticks; tick counts stay whole numbers."""
    if isinstance(schedule, Warmup | Overlaid):
        main = stretched(schedule.main, factor)
        return replace(schedule, main=main, steps=float(_whole(schedule.steps, factor)))
    if isinstance(schedule, Stepped):
        return replace(schedule, schedule=stretched(schedule.schedule, factor), first_tick=schedule.first_tick * factor)
    if isinstance(schedule, Sequence):
        parts = tuple(stretched(part, factor) for part in schedule.parts)
        return replace(schedule, parts=parts, milestones=tuple(mark * factor for mark in schedule.milestones))
    if isinstance(schedule, Unknown):
        return replace(schedule, ticks=tuple(tick * factor for tick in schedule.ticks))
    if isinstance(schedule, ExponentialLR):
        return replace(schedule, gamma=schedule.gamma ** (1.0 / factor))
    if isinstance(schedule, MultiStepLR):
        return replace(schedule, milestones=tuple(_whole(mark, factor) for mark in schedule.milestones))
    if isinstance(schedule, ReduceLROnPlateau):
        return replace(schedule, cuts=tuple(cut * factor for cut in schedule.cuts))
    if isinstance(schedule, CyclicLR):
        down = None if schedule.step_size_down is None else schedule.step_size_down * factor
        return replace(schedule, step_size_up=schedule.step_size_up * factor, step_size_down=down)
    if isinstance(schedule, InverseSqrt):
        return replace(schedule, timescale=schedule.timescale * factor)
    lengths = {name: _whole(getattr(schedule, name), factor) for name in _LENGTHS if hasattr(schedule, name)}
    return _replaced(schedule, lengths)


def _whole(ticks: float, factor: float) -> int:
    return max(1, round(ticks * factor))


def _replaced(schedule: Any, changes: dict[str, Any]) -> Schedule:
    changed: Schedule = replace(schedule, **changes)
    return changed


def with_main(whole: Schedule, main: Schedule) -> Schedule:
    """`whole` with `main` in place of its main schedule, the last part: what stands before it and the clock stay."""
    if isinstance(whole, Warmup | Overlaid):
        return replace(whole, main=with_main(whole.main, main))
    if isinstance(whole, Stepped):
        return replace(whole, schedule=with_main(whole.schedule, main))
    if isinstance(whole, Sequence):
        return replace(whole, parts=(*whole.parts[:-1], with_main(whole.parts[-1], main)))
    return main


def over_run(before: tuple[Fit, ...], first_step: float, last: Schedule) -> Schedule:
    """The readings in force earlier and then, from `first_step` on, `last`; all of them over the run's steps."""
    if not before:
        return last
    starts = (0.0, *(fit.first_step for fit in before[1:]), first_step)
    parts = [*(fit.whole for fit in before), last]
    return Sequence(
        tuple(Stepped(part, first_update=-start) for part, start in zip(parts, starts, strict=True)), starts[1:]
    )
