"""The decline of a stretch by itself: which smooth family explains the points from some index on, on which clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from lrdoctor.identify.candidate import PART_TICK_COST, digits, rounded
from lrdoctor.identify.shapes import (
    EXPONENTIAL,
    GEOMETRIC,
    HELD_COSINE,
    K_COSINE,
    LINE,
    POWER,
    ROOT,
    Decline,
    Shape,
    settle,
    solve,
)
from lrdoctor.identify.stretch import Stretch
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    CosineAnnealingLR,
    ExponentialLR,
    InverseSqrt,
    LinearLR,
    PolynomialLR,
    WarmupStableDecay,
)

POINTS = 80
NEARLY = 30.0  # roundings: a fit this close may become exact once its numbers are stated
_FAR = 0.01  # of the range
_K_DIGITS = 2
USUAL_FLOORS = (0.1, 0.01, 0.05, 0.02, 0.2, 0.001, 0.5)
"""Shares of the peak that a decay is planned to end at, more usual first."""

_WHOLE = 1e-5  # of a length: so close to a whole tick it is one
_ROUND_FLOOR_COST, _ODD_FLOOR_COST = 0.5, 1.5
_SHORT = 5  # digits of an LR that a person writes


@dataclass(frozen=True, slots=True)
class Tail:
    """`main` in ticks since `origin`; `numbers` are what describes it, `cost` what is unusual about it."""

    main: Schedule
    origin: float
    numbers: tuple[float, ...]
    cost: float = 0.0


def tails(
    stretch: Stretch, begin: int, origins: Iterable[float], shapes: Iterable[Shape], free: bool = False
) -> Iterator[Tail]:
    """Exact readings of the points from `begin` on as one decline, for each clock start of `origins`."""
    rest = stretch.at(slice(begin, None))
    fitted = _falling(rest)
    if len(fitted) < 4 or float(np.ptp(fitted.lr)) <= 4 * float(fitted.tol.max()):
        return
    sample = fitted.at(_spread(len(fitted)))
    for shape in shapes:
        for origin in dict.fromkeys(origins):
            ends = tuple(end for end in stretch.planned if end > origin)
            if shape.ends and len(fitted) < len(rest):
                ends = (*ends, float(fitted.t[-1]))
            found = list(_stated(shape, rest, sample, origin, ends, free))
            yield from found
            if not found and _is_far(shape, sample, origin, ends):
                break


def _is_far(shape: Shape, sample: Stretch, origin: float, ends: tuple[float, ...]) -> bool:
    """Whether the shape is so far off that starting it a tick earlier or later cannot mend it."""
    near = (_FAR + 4.0 / max(float(sample.t[-1] - sample.t[0]), 1.0)) * float(np.ptp(sample.lr))
    starts = solve(shape, sample.t, sample.lr, origin, ends, shape.floored, False)
    return all(float(np.abs(one.lr_at(sample.t) - sample.lr).max()) > near for one in starts)


def _falling(rest: Stretch) -> Stretch:
    """The points without the flat stretch at their end: a floor that was reached says nothing more."""
    low = np.abs(rest.lr - rest.lr[-1]) <= rest.tol + rest.tol[-1]
    flat = len(rest) - (int(np.argmin(low[::-1])) if not low.all() else len(rest))
    return rest if len(rest) - flat < 3 else rest.at(slice(None, flat + 1))


def _spread(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.unique(np.linspace(0, count - 1, min(count, POINTS)).round().astype(np.int64))


def _stated(
    shape: Shape, rest: Stretch, sample: Stretch, origin: float, ends: tuple[float, ...], free: bool
) -> Iterator[Tail]:
    """The decline in the fewest digits under which it is exact on every point; none where it is not."""
    for floored in (False, True) if shape.floored else (False,):
        for found in solve(shape, sample.t, sample.lr, origin, ends, floored, free):
            if _misfit(found, sample) <= NEARLY:
                stated = _shortest(found, sample, ends, floored)
                if stated is not None and _misfit(stated, rest) <= 1.0 and _sensible(stated):
                    yield _named(stated)
                    if not floored or shape is EXPONENTIAL:
                        yield from _to_other_floors(stated, rest, sample, ends)
                    return


def _to_other_floors(known: Decline, rest: Stretch, sample: Stretch, ends: tuple[float, ...]) -> Iterator[Tail]:
    """The same curve as one that was planned to end above zero."""
    for end in dict.fromkeys([*ends, *_at_usual_floors(known)]):
        length = end - known.origin
        longer = length >= known.length - 1e-6 and known.shape is not EXPONENTIAL
        if longer or not known.shape.floored or length < float(rest.t[-1]) - known.origin - 1.0:
            continue
        similar = _cut(known, length) if known.shape.self_similar else _settled(known, length, sample)
        stated = _plain_rates(similar, sample, floored=True)
        if _misfit(stated, rest) <= 1.0 and _sensible(stated):
            yield _named(stated)


def _at_usual_floors(known: Decline) -> Iterator[float]:
    """The whole ticks at which a decline that was read to zero is at a floor that people write."""
    if known.shape in (LINE, ROOT):
        parts = ((1.0 - floor) ** (1 if known.shape is LINE else 2) for floor in USUAL_FLOORS)
        lengths = (part * known.length for part in parts)
        yield from (known.origin + round(ticks) for ticks in lengths if abs(ticks - round(ticks)) < _WHOLE * ticks)


def _floor_cost(floor: float, peak: float) -> float:
    """What is unusual about a floor that only the end of the log tells."""
    ratio = floor / peak
    usual = floor <= 0.0 or any(abs(ratio - known) <= 1e-6 * known for known in USUAL_FLOORS)
    return 0.0 if usual else _ROUND_FLOOR_COST if digits(floor) <= 1.0 else _ODD_FLOOR_COST


def _settled(known: Decline, length: float, sample: Stretch) -> Decline:
    return settle(known.shape, sample.t, sample.lr, replace(known, length=length), floored=True)


def _cut(whole: Decline, length: float) -> Decline:
    """The decline of that length on the same curve."""
    peak = whole.floor + whole.height
    part = length / whole.length
    extra = whole.extra**part if whole.shape is EXPONENTIAL else whole.extra
    left = (extra - whole.extra) / (1.0 - whole.extra) if whole.shape is EXPONENTIAL else _left(whole, part)
    floor = peak - whole.height * (1.0 - left)
    return replace(whole, length=length, floor=floor, height=peak - floor, extra=extra)


def _left(decline: Decline, part: float) -> float:
    return float(decline.shape.left(np.array([part]), decline.extra)[0])


def _misfit(decline: Decline, points: Stretch) -> float:
    with np.errstate(all="ignore"):
        off = np.abs(decline.lr_at(points.t) - points.lr) / points.tol
    worst = float(np.max(off))
    return worst if np.isfinite(worst) else float("inf")


def _sensible(decline: Decline) -> bool:
    if decline.shape is POWER and abs(decline.extra - 1.0) < 1e-3:
        return False  # that is a straight line
    if decline.shape is K_COSINE and digits(decline.extra) > _K_DIGITS:
        return False  # it bends to nearly any decline
    return decline.height > 0 and decline.floor > -1e-6 * decline.height and decline.length > 0.5


def _shortest(found: Decline, sample: Stretch, ends: tuple[float, ...], floored: bool) -> Decline | None:
    """Exponent, clock, length, peak and floor in turn, each in the fewest digits that the rest can still make exact."""
    best = found
    best = _first_exact(best, _exponents(best), sample, floored, refit=True)
    best = _first_exact(best, _origins(best), sample, floored)
    best = _first_exact(best, _lengths(best, ends), sample, floored)
    if _misfit(best, sample) > 1.0:
        return None
    return _plain_rates(best, sample, floored)


def _first_exact(
    best: Decline, tried: Iterable[Decline], sample: Stretch, floored: bool, refit: bool = False
) -> Decline:
    for one in tried:
        settled = settle(one.shape, sample.t, sample.lr, one, floored)
        if _misfit(settled, sample) <= 1.0:
            return settled
        again = _refit(settled, sample, floored) if refit else None
        if again is not None and _misfit(again, sample) <= 1.0:
            return again
    return best


def _refit(fixed: Decline, sample: Stretch, floored: bool) -> Decline | None:
    """The length that goes with a stated exponent."""
    shape = replace(fixed.shape, extras=())
    extra = fixed.extra
    bound = replace(shape, left=lambda x, _: fixed.shape.left(x, extra))
    for found in solve(bound, sample.t, sample.lr, fixed.origin, (fixed.origin + fixed.length,), floored, False):
        return replace(found, shape=fixed.shape, extra=extra)
    return None


def _exponents(one: Decline) -> Iterator[Decline]:
    if one.shape.extras:
        shorts = (rounded(one.extra, count) for count in (1, 2, 3))
        yield from (replace(one, extra=short) for short in shorts if one.shape is not EXPONENTIAL or short < 1.0)
        if one.shape is EXPONENTIAL and one.height > 0 and one.floor > 0:
            yield replace(one, extra=one.floor / (one.floor + one.height))


def _origins(one: Decline) -> Iterator[Decline]:
    near = round(one.origin)
    if near != one.origin and abs(near - one.origin) < 0.5:
        yield replace(one, origin=float(near), length=one.length + one.origin - near)


def _lengths(one: Decline, ends: tuple[float, ...]) -> Iterator[Decline]:
    if one.shape is GEOMETRIC:
        gamma = float(np.exp(-1.0 / one.length))
        shorts = (rounded(gamma, count) for count in range(1, 8))
        yield from (replace(one, length=-1.0 / float(np.log(short))) for short in shorts if 0.0 < short < 1.0)
        return
    close = 1e-3 * one.length + 1.0
    for end in ends:
        if abs(end - one.origin - one.length) < close:
            yield replace(one, length=end - one.origin)
    for count in (1, 2, 3):
        short = rounded(one.length, count)
        if short.is_integer() and abs(short - one.length) < 1e-2 * one.length:
            yield replace(one, length=short)
    yield replace(one, length=float(max(round(one.length), 1)))


def _plain_rates(best: Decline, sample: Stretch, floored: bool) -> Decline:
    """The peak in the fewest digits, then the floor."""
    left = best.shape.left((sample.t - best.origin) / best.length, best.extra)
    for peak in (rounded(best.floor + best.height, count) for count in range(1, _SHORT + 1)):
        floor = _floor_under(peak, left, sample) if floored else 0.0
        one = replace(best, floor=floor, height=peak - floor)
        if _misfit(one, sample) <= 1.0:
            best = one
            break
    if not floored:
        return best
    peak = best.floor + best.height
    for floor in (
        0.0,
        *(rounded(best.floor, count) for count in range(1, _SHORT + 1)),
        rounded(best.floor / peak, 2) * peak,
    ):
        one = replace(best, floor=floor, height=peak - floor)
        if _misfit(one, sample) <= 1.0:
            return one
    return best


def _floor_under(peak: float, left: FloatArray, sample: Stretch) -> float:
    gone = 1.0 - left
    return peak + float(gone @ (sample.lr - peak)) / max(float(gone @ gone), 1e-300)


def _named(one: Decline) -> Tail:
    """The family's own arguments; a length of broken ticks is unusual."""
    tail = _in_its_words(one)
    broken = not float(one.length).is_integer() and one.shape is not GEOMETRIC
    return replace(tail, cost=tail.cost + PART_TICK_COST) if broken else tail


def _in_its_words(one: Decline) -> Tail:
    peak, floor, length = one.floor + one.height, max(one.floor, 0.0), _ticks(one.length)
    numbers: list[float] = [peak, floor, one.length]
    match one.shape.name:
        case "cosine" | "held-cosine":
            held = one.shape is HELD_COSINE
            return Tail(CosineAnnealingLR(peak, length, floor, held), one.origin, tuple(numbers), 0.25 * held)
        case "k-cosine":
            main: Schedule = CosineAnnealingLR(peak, length, floor, k_decay=one.extra)
            return Tail(main, one.origin, (*numbers, one.extra), 1.0)
        case "line":
            line = LinearLR(peak, length, 1.0, floor / peak)
            return Tail(line, one.origin, (peak, floor / peak, one.length), _floor_cost(floor, peak))
        case "power":
            return Tail(PolynomialLR(peak, length, one.extra, floor), one.origin, (*numbers, one.extra), 0.5)
        case "geometric":
            gamma = float(np.exp(-1.0 / one.length))
            gamma = next((r for r in (rounded(gamma, n) for n in range(1, 8)) if abs(r - gamma) < 1e-12), gamma)
            return Tail(ExponentialLR(peak, gamma), one.origin, (peak, gamma))
        case "inverse-root":
            return Tail(InverseSqrt(peak, length), one.origin, (peak, one.length))
        case name:
            ratio = one.extra if one.shape is EXPONENTIAL else 0.5
            decay = WarmupStableDecay(peak, 0, length, name, floor / peak, ratio)
            natural = one.shape is EXPONENTIAL and (ratio == 0.5 or abs(ratio - floor / peak) < 1e-9)
            extra = () if natural or one.shape is not EXPONENTIAL else (ratio,)
            odd = _floor_cost(floor, peak) if one.shape is ROOT else 0.0
            return Tail(decay, one.origin, (peak, floor / peak, one.length, *extra), 0.5 + odd)


def _ticks(value: float) -> int:
    return int(value) if float(value).is_integer() else value  # type: ignore[return-value]
