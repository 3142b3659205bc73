"""Flat stretches: Constant, StepLR, MultiStepLR and ReduceLROnPlateau, read from where the levels change."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lrdoctor.identify.candidate import Candidate, digits, make_candidate, rounded, short_forms
from lrdoctor.identify.heads import LONGEST_FLAT, behind_heads
from lrdoctor.identify.roundest import roundest
from lrdoctor.identify.stretch import Stretch
from lrdoctor.identify.tails import Tail
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import Constant, MultiStepLR, ReduceLROnPlateau, StepLR

SHIFTS = (0.0, 1.0, -1.0)
MAX_DROPS = 200
MAX_MILESTONES = 16
_MOST_SINGLE = 0.25  # share of the plateaus that may be a single point
_PLATEAU_COST = 2.0
_SEEN = 2.0  # ticks: between points further apart nobody sees when a cut came
_EQUAL_GAPS = 2  # so many equal least distances of cuts are a patience
_HIDDEN_DROPS = 4  # so many drops may fall between two logged points


@dataclass(frozen=True, slots=True)
class _Drop:
    """The LR fell by gamma ** count somewhere in (after, at]."""

    after: float
    at: float
    count: int


@dataclass(frozen=True, slots=True)
class _Levels:
    """The first level, and how it falls: by gamma at each drop, but no lower than `floor` (0: none was met)."""

    first: float
    drops: list[_Drop]
    gamma: float
    floor: float = 0.0


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
    for shift in SHIFTS:
        ramps = list(_ramps(stretch, levels.first, shift))
        for ramp in (*ramps, *_ramps_before_even_steps(stretch, levels, shift, ramps)):
            yield from _read(flat, levels, shift, ramp)
    if top:
        yield from _behind_other_heads(stretch, levels)


def _behind_other_heads(stretch: Stretch, levels: _Levels) -> Iterator[Candidate]:
    """Curved warmups in front, and ramps over the schedule's own first ticks."""
    flat, at = stretch.at(slice(stretch.top, None)), float(stretch.t[stretch.top])
    before = stretch.at(slice(None, stretch.top))
    head = before.thin.columns
    t, lr, tol = (np.append(column, first) for column, first in zip(head, (c[0] for c in flat.columns), strict=True))
    thin = replace(stretch, t=t, lr=lr, tol=tol)
    for origin in dict.fromkeys([at, at + 1.0, at - 1.0, 0.0, -1.0, 1.0]):
        for main, numbers, extra in _mains(flat, levels, -origin):
            yield from behind_heads(thin, Tail(main, origin, tuple(numbers), extra), len(thin) - 1, stretch.last)


def _levels(flat: Stretch) -> _Levels | None:
    """None where the points are not a few flat levels falling by one factor, the last of them perhaps to a floor."""
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
        return _Levels(first, [], 1.0)
    floor = 0.0
    counts, gamma = _drop_counts(levels, slack)
    if counts is None and len(levels) > 2:
        counts, gamma = _drop_counts(levels[:-1], slack[:-1])
        counts, floor = [*(counts or []), 1], shortest(float(levels[-1]), float(slack[-1]))
        if len(counts) < len(changes) or levels[-1] < gamma * levels[-2]:
            return None
    if counts is None:
        return None
    drops = [
        _Drop(float(flat.t[i]), float(flat.t[i + 1]), int(n)) for i, n in zip(changes.tolist(), counts, strict=True)
    ]
    return _Levels(first, drops, gamma, floor)


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
    if not 0.0 < gamma < 1.0:  # a drop no larger than the rounding tells no factor
        return None, 0.0
    counts = np.maximum(np.round(np.log(ratios) / math.log(gamma)), 1.0)
    explained = np.abs(gamma**counts - ratios) <= doubt + 1e-9
    if not explained.all() or counts.max() > _HIDDEN_DROPS:
        return None, 0.0
    return counts.astype(int).tolist(), gamma


def shortest(value: float, doubt: float) -> float:
    """The number in the fewest digits within `doubt` of `value`; `value` itself where seven do not do."""
    if abs(value) <= doubt:
        return 0.0
    return next((short for short in short_forms(value) if abs(short - value) <= doubt), value)


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
        if steps is not None and 0 < steps <= LONGEST_FLAT * stretch.last:
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
    for tried in {near, *([] if whole is None else [whole])} if factor >= 0 else ():
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


def _ramps_before_even_steps(stretch: Stretch, levels: _Levels, shift: float, ramps: list[Ramp]) -> Iterator[Ramp]:
    """A ramp that ended unseen between two points, at the tick from which on the drops are evenly spaced."""
    if stretch.top != 1 or len(levels.drops) < 2 or not ramps:
        return
    before, reached = float(stretch.t[0]) + shift, float(stretch.t[1]) + shift
    for steps in range(max(math.floor(before) + 1, 1), math.floor(reached) + 1):
        if _step_size(levels.drops, stretch.last, shift - steps) is not None:
            yield replace(ramps[0], steps=float(steps))
            return


def _read(flat: Stretch, levels: _Levels, shift: float, ramp: Ramp) -> Iterator[Candidate]:
    warmup = {"shift": shift, "warmup_steps": ramp.steps, "start_factor": ramp.start_factor, "kind": ramp.kind}
    for main, numbers, extra in _mains(flat, levels, shift - ramp.steps):
        yield make_candidate(main, numbers, extra_cost=extra, **warmup)  # type: ignore[arg-type]


def _mains(flat: Stretch, levels: _Levels, lead: float) -> Iterator[tuple[Schedule, list[float], float]]:
    """(schedule, its numbers, what is unusual about it), `lead` being from a tick of the stretch to one of its own."""
    first, drops, gamma = levels.first, levels.drops, levels.gamma
    if not drops:
        yield Constant(first), [first], 0.0
        return
    size = None if levels.floor else _step_size(drops, flat.last, lead)
    if size is not None:
        yield StepLR(first, int(size), gamma), [first, size, gamma], 0.0
    marks = [mark for drop in drops for mark in [roundest(drop.after + lead, drop.at + lead)] * drop.count]
    # The roundest ticks of neighbouring gaps need not be in order where a log is sparse.
    milestones = tuple(sorted(int(mark) for mark in marks if mark is not None and mark > 0))
    if len(milestones) < len(marks):
        return
    if len(marks) <= MAX_MILESTONES and not levels.floor:
        described = sum(_mark_cost(mark, mark - lead, flat.planned) for mark in milestones)
        yield MultiStepLR(first, milestones, gamma), [first, gamma], 0.5 + described
    if size is None and len(set(milestones)) == len(milestones) and (len(milestones) > 1 or levels.floor):
        patience, cost = _patience(drops, milestones, flat.last)
        plateau = ReduceLROnPlateau(first, milestones, gamma, levels.floor, patience)
        yield plateau, [first, gamma, levels.floor], _PLATEAU_COST + cost


def _mark_cost(mark: float, tick: float, planned: tuple[float, ...]) -> float:
    """Description length of a milestone: its digits, or those of the share of the planned length that it stands at."""
    shares = (tick / end for end in planned if end > tick)
    return min([digits(mark), *(1.0 + digits(rounded(x, 3)) for x in shares if _is_share(x, tick))])


def _is_share(share: float, tick: float) -> bool:
    return abs(rounded(share, 2) - share) * tick <= share


def _patience(drops: list[_Drop], cuts: tuple[int, ...], last: float) -> tuple[int | None, float]:
    """The patience where equal least distances of the cuts tell it, and the description length of when they came.

    A cut may come at any tick: it takes as many digits as the ticks have.
    """
    cut_cost = math.log10(max(last, 10.0))
    seen = all(drop.at - drop.after <= _SEEN for drop in drops)
    gaps = np.diff(cuts)
    least = int(gaps.min()) if len(gaps) else 0
    equal = int(np.sum(gaps == least))
    if not seen or equal < _EQUAL_GAPS or least < 2:
        return None, cut_cost * len(drops)
    return least - 1, cut_cost * (len(drops) - equal) + digits(least)


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
