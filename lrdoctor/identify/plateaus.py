"""Flat stretches: Constant, StepLR and MultiStepLR, read from where the levels change."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lrdoctor.identify.candidate import Candidate, make_candidate, rounded
from lrdoctor.identify.stretch import Stretch
from lrdoctor.model.arrays import FloatArray
from lrdoctor.schedules import Constant, MultiStepLR, StepLR

SHIFTS = (0.0, 1.0, -1.0)
MAX_DROPS = 200
MAX_MILESTONES = 16
_MOST_SINGLE = 0.25  # share of the plateaus that may be a single point
_LONGEST_FLAT = 0.25  # share of the run: a lower level that lasted longer was no warmup
_HIDDEN_DROPS = 4  # so many drops may fall between two logged points


@dataclass(frozen=True, slots=True)
class _Drop:
    """The LR fell by gamma ** count somewhere in (after, at]."""

    after: float
    at: float
    count: int


@dataclass(frozen=True, slots=True)
class Ramp:
    """A warmup that ends on a plateau: `steps` ticks from start_factor x the plateau's LR."""

    steps: float
    start_factor: float
    kind: str = "linear"


NO_RAMP = Ramp(0.0, 0.0)


def plateau_candidates(stretch: Stretch) -> Iterator[Candidate]:
    """Every reading of the stretch as a constant or as falling steps, with or without a warmup in front."""
    top = stretch.top
    flat = stretch.at(slice(top, None))
    levels = _levels(flat)
    if levels is None or (top and len(flat) < 2):
        return
    first, drops, gamma = levels
    for shift in SHIFTS:
        for ramp in _ramps(stretch, first, shift):
            yield from _read(flat, first, drops, gamma, shift, ramp)


def _levels(flat: Stretch) -> tuple[float, list[_Drop], float] | None:
    """(first level, drops, gamma), or None where the points are not a few flat levels falling by one factor."""
    changes = np.flatnonzero(flat.changed)
    if len(changes) > MAX_DROPS or len(flat) < 2 * (len(changes) + 1) - 1:
        return None
    starts = np.concatenate([[0], changes + 1])
    ends = np.concatenate([changes + 1, [len(flat)]])
    inner = (ends - starts)[1:-1]
    if len(inner) > 2 and np.mean(inner == 1) > _MOST_SINGLE:
        return None  # a slope, seen through a sparse log
    levels = np.array([np.median(flat.lr[a:b]) for a, b in zip(starts, ends, strict=True)])
    slack = np.array([flat.tol[a] for a in starts])
    if levels[-1] == 0.0 and len(levels) > 2:
        levels = _told_by_rounding(levels, slack)
    if levels.min() <= 0.0 or bool((np.diff(levels) > 0).any()):
        return None
    first = shortest(float(levels[0]), float(slack[0]))
    if not len(changes):
        return first, [], 1.0
    counts, gamma = _drop_counts(levels, slack)
    if counts is None:
        return None
    drops = [
        _Drop(float(flat.t[i]), float(flat.t[i + 1]), int(n)) for i, n in zip(changes.tolist(), counts, strict=True)
    ]
    return first, drops, gamma


def _told_by_rounding(levels: FloatArray, slack: FloatArray) -> FloatArray:
    """A last level printed as zero: one more drop by the same factor, if that would be printed as zero too."""
    next_level = levels[-2] * levels[-2] / levels[-3]
    return np.append(levels[:-1], next_level) if next_level <= slack[-1] else levels


def _drop_counts(levels: FloatArray, slack: FloatArray) -> tuple[list[int] | None, float]:
    """How many times gamma each level fell by, and gamma; (None, 0) where no single gamma explains them."""
    ratios = levels[1:] / levels[:-1]
    doubt = ratios * (slack[1:] / levels[1:] + slack[:-1] / levels[:-1])
    single = int(np.argmax(ratios))
    gamma = shortest(float(ratios[single]), float(doubt[single]))
    counts = np.maximum(np.round(np.log(ratios) / math.log(gamma)), 1.0)
    explained = np.abs(gamma**counts - ratios) <= doubt + 1e-9
    if not explained.all() or counts.max() > _HIDDEN_DROPS:
        return None, 0.0
    return counts.astype(int).tolist(), gamma


def shortest(value: float, doubt: float) -> float:
    """The decimal with the fewest digits within `doubt` of `value`; `value` itself where seven do not do."""
    if abs(value) <= doubt:
        return 0.0
    tried = (rounded(value, count) for count in range(1, 8))
    return next((short for short in tried if abs(short - value) <= doubt), value)


def _ramps(stretch: Stretch, level: float, shift: float) -> Iterator[Ramp]:
    """The warmups that lead up to the first plateau: none, a line, or a flat piece."""
    top = stretch.top
    if not top:
        yield NO_RAMP
        return
    t, lr, tol = stretch.t[:top] + shift, stretch.lr[:top], stretch.tol[:top]
    reached = float(stretch.t[top]) + shift
    if top > 1 and np.ptp(lr) <= 2 * tol.max():
        steps = roundest(float(t[-1]), reached)
        if steps is not None and 0 < steps <= _LONGEST_FLAT * stretch.last:
            yield Ramp(steps, shortest(float(np.median(lr)) / level, float(tol[0]) / level), "constant")
        return
    if top == 1:
        yield from _one_point_ramp(float(t[0]), float(lr[0]) / level, reached)
        return
    slope, start = np.polyfit(t, lr, 1)
    # A line through points that each carry a rounding is only known to about twice that.
    if slope <= 0 or np.abs(start + slope * t - lr).max() > 2 * tol.max():
        return
    factor = float(start) / level
    factor = 0.0 if abs(factor) < 2 * tol.max() / level else shortest(factor, 4 * float(tol.max()) / level)
    steps = (1.0 - factor) * level / float(slope)
    whole = roundest(float(t[-1]), reached)
    near = float(round(steps)) if abs(steps - round(steps)) < 1e-3 else steps
    for tried in {near, *([] if whole is None else [whole])}:
        if tried > 0:
            yield Ramp(tried, factor)


def _one_point_ramp(t: float, factor: float, reached: float) -> Iterator[Ramp]:
    """A single point below the plateau: all that is known is that the warmup ended by the next one."""
    steps = roundest(t, reached)
    if steps is None or steps <= 0:
        return
    if t == 0:
        yield Ramp(steps, factor if factor > 1e-9 else 0.0)
    elif factor > 0:
        yield Ramp(t / factor, 0.0)
        yield Ramp(steps, factor, "constant")


def roundest(after: float, upto: float) -> float | None:
    """The integer in (after, upto] with the fewest significant digits, the largest of those; None without one."""
    low, high = math.floor(after + 1e-9) + 1, math.floor(upto + 1e-9)
    if low > high:
        return None
    unit = 10 ** len(str(abs(high)))
    while unit > 1 and (high // unit) * unit < low:
        unit //= 10
    half = 5 * unit // 10  # 250 is as round as 300
    best = (high // unit) * unit
    return float(best if best or not half or half < low else half)


def _read(
    flat: Stretch, first: float, drops: list[_Drop], gamma: float, shift: float, ramp: Ramp
) -> Iterator[Candidate]:
    warmup = {"shift": shift, "warmup_steps": ramp.steps, "start_factor": ramp.start_factor, "kind": ramp.kind}
    if not drops:
        yield make_candidate(Constant(first), [first], **warmup)  # type: ignore[arg-type]
        return
    lead = shift - ramp.steps  # from a tick of the stretch to one of the main schedule
    size = _step_size(drops, flat.last, lead)
    if size is not None:
        yield make_candidate(StepLR(first, int(size), gamma), [first, size, gamma], **warmup)  # type: ignore[arg-type]
    marks = [mark for drop in drops for mark in [roundest(drop.after + lead, drop.at + lead)] * drop.count]
    if len(marks) <= MAX_MILESTONES and all(mark is not None and mark > 0 for mark in marks):
        # The roundest ticks of neighbouring gaps need not be in order where a log is sparse.
        milestones = tuple(sorted(int(mark) for mark in marks if mark is not None))
        yield make_candidate(
            MultiStepLR(first, milestones, gamma),
            [first, gamma, *milestones],
            extra_cost=0.5,
            **warmup,  # type: ignore[arg-type]
        )


def _step_size(drops: list[_Drop], last: float, lead: float) -> float | None:
    """The step size that puts every drop where it was seen and no other; it takes a second drop to confirm it."""
    if len(drops) < 2 and drops[0].count < 2:
        return None
    done, low, high = 0, 0.0, math.inf
    for drop in drops:
        low = max(low, (drop.after + lead) / (done + 1))
        done += drop.count
        high = min(high, (drop.at + lead) / done)
    low = max(low, (last + lead) / (done + 1))
    return roundest(low, high) if high > 0 else None
