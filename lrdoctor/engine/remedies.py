"""Changes a remedy makes to a schedule: other LRs, another horizon. Compositions are changed in their parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lrdoctor.model.identification import Fit
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import ExponentialLR, MultiStepLR, Sequence, Stepped, Unknown, Warmup

_RATES = ("lr", "max_lr", "eta_min")
_HORIZONS = ("T_max", "total_iters", "total_steps")
_LENGTHS = (*_HORIZONS, "T_0", "step_size")


def scaled(schedule: Schedule, factor: float) -> Schedule:
    """The same shape with every LR multiplied by `factor`."""
    if isinstance(schedule, Warmup):
        return replace(schedule, main=scaled(schedule.main, factor))
    if isinstance(schedule, Stepped):
        return replace(schedule, schedule=scaled(schedule.schedule, factor))
    if isinstance(schedule, Sequence):
        return replace(schedule, parts=tuple(scaled(part, factor) for part in schedule.parts))
    if isinstance(schedule, Unknown):
        return replace(schedule, lrs=tuple(lr * factor for lr in schedule.lrs))
    return _replaced(schedule, {name: getattr(schedule, name) * factor for name in _RATES if hasattr(schedule, name)})


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
    if isinstance(schedule, Warmup):
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
    lengths = {name: _whole(getattr(schedule, name), factor) for name in _LENGTHS if hasattr(schedule, name)}
    return _replaced(schedule, lengths)


def _whole(ticks: float, factor: float) -> int:
    return max(1, round(ticks * factor))


def _replaced(schedule: Any, changes: dict[str, Any]) -> Schedule:
    changed: Schedule = replace(schedule, **changes)
    return changed


def with_main(whole: Schedule, main: Schedule) -> Schedule:
    """`whole` with `main` in place of its main schedule: the warmup in front and the clock stay."""
    if isinstance(whole, Warmup):
        return replace(whole, main=with_main(whole.main, main))
    if isinstance(whole, Stepped):
        return replace(whole, schedule=with_main(whole.schedule, main))
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
