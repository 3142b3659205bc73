"""Schedules that a checkpoint states, as candidates: what the scheduler itself says needs only to be confirmed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from lrdoctor.identify.candidate import Candidate, make_candidate
from lrdoctor.identify.stretch import Stretch
from lrdoctor.model.run import Checkpoint, SchedulerState
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    StepLR,
    Warmup,
)

SHIFTS = (0.0, 1.0, -1.0)
_MOST_CUTS = 200
STATED_COST = 0.5
"""Description length of a schedule that a checkpoint states: nothing had to be guessed."""


def declared_candidates(stretch: Stretch, checkpoints: Sequence[Checkpoint]) -> Iterator[Candidate]:
    """Every schedule that a checkpoint states, at the base LR it states or the one that was logged."""
    for state in _distinct(checkpoints):
        for base in dict.fromkeys([*state.base_lrs[:1], stretch.peak]):
            yield from _candidates(state, base, stretch)


def _distinct(checkpoints: Iterable[Checkpoint]) -> list[SchedulerState]:
    """Scheduler states that differ in more than their clocks."""
    states = {}
    for checkpoint in checkpoints:
        for state in checkpoint.schedulers:
            states[(state.family, state.base_lrs[:1], repr(sorted(state.params.items())), len(state.children))] = state
    return list(states.values())


def _candidates(state: SchedulerState, base: float, stretch: Stretch) -> Iterator[Candidate]:
    ramp, main_state = _parts(state)
    main = stated_schedule(main_state, base)
    if main_state.family == "ReduceLROnPlateau":
        yield from _cuts(main_state, stretch)
    if main is None:
        return
    for shift in SHIFTS:
        if ramp is None:
            yield make_candidate(main, [], shift=shift, extra_cost=STATED_COST)
        else:
            steps, factor, kind = ramp
            cost = STATED_COST - 2.0
            yield make_candidate(
                main, [], shift=shift, warmup_steps=steps, start_factor=factor, kind=kind, extra_cost=cost
            )


def stated_whole(state: SchedulerState) -> Schedule | None:
    """The schedule a saved state describes, its warmup included, at the base LR it keeps; None as `stated_schedule`."""
    ramp, main_state = _parts(state)
    base = next(iter(main_state.base_lrs or state.base_lrs), None)
    main = stated_schedule(main_state, base) if base is not None else None
    return Warmup(main, *ramp) if main is not None and ramp is not None else main


def _cuts(state: SchedulerState, stretch: Stretch) -> Iterator[Candidate]:
    """A plateau scheduler states how it cuts; when it did so is in the log."""
    factor, least, patience = (state.params.get(name) for name in ("factor", "min_lr", "patience"))
    if not isinstance(factor, int | float) or not 0.0 < factor < 1.0:
        return
    ends = np.flatnonzero(stretch.changed) + 1
    if not 0 < len(ends) <= _MOST_CUTS:
        return
    levels = [float(np.median(part)) for part in np.split(stretch.lr, ends)]
    floor = float(least) if isinstance(least, int | float) else 0.0
    cuts: list[float] = []
    for end, before, after in zip(ends.tolist(), levels[:-1], levels[1:], strict=True):
        count = max(round(math.log(after / before) / math.log(factor)), 1) if after > 0 < before else 1
        cuts += [float(stretch.t[end])] * count
    known = int(patience) if isinstance(patience, int | float) else None
    plateau = ReduceLROnPlateau(levels[0], tuple(int(cut) for cut in cuts), float(factor), floor, known)
    yield make_candidate(plateau, [], extra_cost=STATED_COST)


def _parts(state: SchedulerState) -> tuple[tuple[float, float, str] | None, SchedulerState]:
    """((warmup ticks, start factor, kind), main state) of a SequentialLR begun by a ramp; else (None, state)."""
    if state.family != "SequentialLR" or len(state.children) != 2:
        return None, state
    ramp, main = state.children
    marks, kind = state.params.get("milestones"), _RAMPS.get(ramp.family or "")
    factor = ramp.params.get("start_factor", ramp.params.get("factor"))
    if kind is None or not isinstance(marks, tuple) or not marks or not isinstance(factor, int | float):
        return None, state
    return (float(marks[0]), float(factor), kind), main


_RAMPS = {"LinearLR": "linear", "ConstantLR": "constant"}


def stated_schedule(state: SchedulerState, base: float) -> Schedule | None:
    """The schedule a saved state describes, at that base LR; None without a closed form, or with keys missing."""
    try:
        return _build(state, base)
    except (KeyError, TypeError, ValueError):
        return None


def _build(state: SchedulerState, base: float) -> Schedule | None:
    given = state.params
    match state.family:
        case "OneCycleLR":
            return OneCycleLR(
                max_lr=_number(given.get("max_lr", base * 25.0)),
                total_steps=int(_number(given["total_steps"])),
                pct_start=_number(given.get("pct_start", 0.3)),
                anneal_strategy=str(given.get("anneal_strategy", "cos")),
                div_factor=_number(given.get("div_factor", 25.0)),
                final_div_factor=_number(given.get("final_div_factor", 1e4)),
                three_phase=bool(given.get("three_phase", False)),
            )
        case "CosineAnnealingLR":
            return CosineAnnealingLR(base, int(_number(given["T_max"])), _number(given["eta_min"]))
        case "CosineAnnealingWarmRestarts":
            cycle, growth = int(_number(given["T_0"])), int(_number(given["T_mult"]))
            return CosineAnnealingWarmRestarts(base, cycle, growth, _number(given["eta_min"]))
        case "StepLR":
            return StepLR(base, int(_number(given["step_size"])), _number(given["gamma"]))
        case "MultiStepLR":
            marks = given["milestones"]
            whole = tuple(int(mark) for mark in marks) if isinstance(marks, tuple) else ()
            return MultiStepLR(base, whole, _number(given["gamma"])) if _sorted(whole) else None
        case "ExponentialLR":
            return ExponentialLR(base, _number(given["gamma"]))
        case "LinearLR":
            ends = _number(given["start_factor"]), _number(given["end_factor"])
            return LinearLR(base, int(_number(given["total_iters"])), *ends)
        case "CyclicLR":
            sizes = _number(given["step_size_up"]), _number(given["step_size_down"])
            rates = _number(given.get("base_lr", base)), _number(given["max_lr"])
            return CyclicLR(*rates, *sizes, str(given.get("mode", "triangular")), _number(given.get("gamma", 1.0)))
        case "PolynomialLR":
            return PolynomialLR(base, int(_number(given["total_iters"])), _number(given["power"]))
    return None


def _number(value: object) -> float:
    if isinstance(value, tuple) and value:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number")
    return float(value)


def _sorted(marks: tuple[int, ...]) -> bool:
    return bool(marks) and all(a <= b for a, b in pairwise(marks))
