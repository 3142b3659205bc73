"""Tails with what stands before them: the smooth declines, and constants with a decline at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from lrdoctor.identify.candidate import UNSEEN_END_COST, Candidate
from lrdoctor.identify.gaps import begun_elsewhere, decay_begun, level_met, ticks_within
from lrdoctor.identify.heads import behind_heads
from lrdoctor.identify.shapes import COSINE, EXPONENTIAL, GEOMETRIC, INVERSE_ROOT, K_COSINE, LINE, POWER, ROOT, Shape
from lrdoctor.identify.stretch import Stretch
from lrdoctor.identify.tails import USUAL_FLOORS, Tail, tails
from lrdoctor.schedules import CosineAnnealingLR, ExponentialLR, LinearLR, WarmupStableDecay

_USUAL = (COSINE, LINE, GEOMETRIC, INVERSE_ROOT, POWER)
_RARE = (K_COSINE,)
_STABLE = (LINE, COSINE, ROOT, GEOMETRIC, EXPONENTIAL)
_LOOKED_AT, _FEWEST_LOOKED_AT = 200, 12  # points
_SCATTER = 30.0  # roundings of a fourth difference, which adds up sixteen of them
_FLAT = 3  # points at the peak: fewer are no stable part
_BACK = (0.3, 0.55)  # of the points: where a ramp over a decline is over


def decline_candidates(stretch: Stretch) -> Iterator[Candidate]:
    """Exact readings of the stretch as a decline behind any kind of warmup, or with a ramp over its start."""
    thin = stretch.thin
    if len(thin) < 5 or _is_rough(stretch):
        return
    stable = list(_stable_candidates(thin))
    yield from stable
    if stable:
        return
    for shapes in (_USUAL, _RARE):
        found = [*_from_top(thin, shapes), *_from_the_back(thin, shapes)]
        yield from found
        if found:
            return


def _is_rough(stretch: Stretch) -> bool:
    """Whether neighbouring points scatter by more than the log's rounding: then no curve is exact on them.

    Fourth differences of noise alternate in sign, those of a smooth curve hardly ever.
    """
    middle = (stretch.top + len(stretch)) // 2
    part = slice(max(stretch.top, middle - _LOOKED_AT), middle + _LOOKED_AT)
    t, lr = stretch.t[part], stretch.lr[part]
    if len(t) < _FEWEST_LOOKED_AT or float(np.ptp(np.diff(t))) > 1e-9 * float(t[-1] - t[0]):
        return False
    bends = np.diff(lr, 4)
    if float(np.median(np.abs(bends))) <= _SCATTER * float(np.median(stretch.tol[part])):
        return False
    return float(bends[1:] @ bends[:-1]) < -0.4 * float(bends @ bends)


def _from_top(thin: Stretch, shapes: Iterable[Shape]) -> Iterator[Candidate]:
    """The decline begins at the highest point or within a tick of it, or in the gap behind it."""
    found = False
    for candidate in _from_point(thin, thin.top, shapes):
        found = True
        yield candidate
    if not found and 0 < thin.top < len(thin) - 1:
        yield from _from_point(thin, thin.top + 1, shapes)


def _from_point(thin: Stretch, begin: int, shapes: Iterable[Shape]) -> Iterator[Candidate]:
    at = float(thin.t[begin])
    within = (at, at - 1.0, at + 1.0, *ticks_within(thin, begin)) if begin else ()
    for shape in shapes:
        for tail in tails(thin, begin, (*within, 0.0, 1.0, -1.0), (shape,)):
            yield from behind_heads(thin, tail, begin)
            for begun in begun_elsewhere(thin, tail, begin) if begin else ():
                yield from behind_heads(thin, begun, begin)


def _from_the_back(thin: Stretch, shapes: Iterable[Shape]) -> Iterator[Candidate]:
    """The later points are on a decline that began with the log; what is before them is told by it."""
    bend = int(np.argmax(np.abs(np.diff(thin.lr, 2)))) + 2
    begins = {*([bend] if bend < 0.8 * len(thin) else []), *(int(share * len(thin)) for share in _BACK)}
    for begin in sorted(begins, reverse=True):
        found = False
        for tail in tails(thin, begin, (0.0, 1.0, -1.0), shapes):
            for candidate in behind_heads(thin, tail, begin):
                found = True
                yield candidate
        if found:
            return


def _stable_candidates(thin: Stretch) -> Iterator[Candidate]:
    """A flat stretch at the peak, and a decline from its end on."""
    top = thin.top
    level = float(np.median(thin.lr[thin.lr >= thin.peak - 2 * thin.tol]))
    flat = np.abs(thin.lr[top:] - level) <= 2 * thin.tol[top:]
    last = top + (int(np.argmin(flat)) if not flat.all() else len(flat)) - 1
    if last - top + 1 < _FLAT or last >= len(thin) - _FLAT:
        return
    ends = (float(thin.t[last]), float(thin.t[last + 1]))
    lines = list(_line_origins(thin, last, level))
    for shape in _STABLE:
        origins = dict.fromkeys([*decay_begun(thin, last, shape, level), ends[0], ends[0] + 1.0, *lines])
        found = False
        for tail in _anchored(thin, last, origins, shape, level):
            for candidate in _with_stable_part(thin, tail, top, level):
                found = True
                yield candidate
        if found:
            return


def _line_origins(thin: Stretch, last: int, level: float) -> Iterator[float]:
    """Where the line through the first points of the decline, straight or in the logarithm, leaves the level."""
    part = slice(last + 1, last + 4)
    t, lr = thin.t[part], thin.lr[part]
    lines = [(lr, level), *([(np.log(lr), float(np.log(level)))] if lr.min() > 0 else [])]
    for values, top in lines:
        slope, start = np.polyfit(t, values, 1)
        if slope < 0:
            at = (top - float(start)) / float(slope)
            yield float(round(at))
            yield at


def _anchored(thin: Stretch, last: int, origins: Iterable[float], shape: Shape, level: float) -> Iterator[Tail]:
    """Tails that begin at the level; with a free clock start only where no usual one is exact."""
    gap = float(thin.t[last + 1] - thin.t[last])
    for free in (False, True) if gap > 1 and shape not in (LINE, GEOMETRIC) else (False,):
        found = False
        for tail in tails(thin, last + 1, origins, (shape,), free):
            if abs(tail.main.peak_lr - level) <= 1e-6 * level and thin.t[last] - 1.5 <= tail.origin <= thin.t[last + 1]:
                found = True
                yield tail
        if found:
            return


def _with_stable_part(thin: Stretch, tail: Tail, top: int, level: float) -> Iterator[Candidate]:
    for origin in _stable_origins(thin, level):
        stable = tail.origin - origin
        if stable <= 0:
            continue
        main, numbers = _main(tail, stable, tail.main.peak_lr)
        if main is None:
            continue
        end = origin + main.num_stable_steps + main.num_decay_steps
        unseen = UNSEEN_END_COST if thin.ends_unseen(end) else None
        told = numbers if end in thin.planned or unseen else (*numbers, stable)
        yield from behind_heads(thin, Tail(main, origin, told, tail.cost + (unseen or 0.5)), top)


def _stable_origins(thin: Stretch, level: float) -> Iterable[float]:
    if not thin.top:
        return 0.0, 1.0, -1.0
    begun = float(thin.t[thin.top])
    within = level_met(thin, thin.top, level) or ticks_within(thin, thin.top)
    return dict.fromkeys([begun, begun + 1.0, begun - 1.0, *within])


def _main(tail: Tail, stable: float, level: float) -> tuple[WarmupStableDecay | None, tuple[float, ...]]:
    whole = int(stable) if stable.is_integer() else stable
    match tail.main:
        case LinearLR():
            length, low, kind, ratio = tail.main.total_iters, tail.main.end_factor, "linear", 0.5
        case ExponentialLR():
            return _to_a_plain_floor(tail.main.gamma, whole, level)
        case CosineAnnealingLR():
            length, low, kind, ratio = tail.main.T_max, tail.main.eta_min / level, "cosine", 0.5
        case WarmupStableDecay():
            length, low = tail.main.num_decay_steps, tail.main.min_lr_ratio
            kind, ratio = tail.main.decay_type, tail.main.decay_ratio
        case _:
            return None, ()
    numbers = (level, *(number for number in tail.numbers[1:]))
    return WarmupStableDecay(level, whole, length, kind, low, ratio), numbers  # type: ignore[arg-type]


def _to_a_plain_floor(gamma: float, stable: float, level: float) -> tuple[WarmupStableDecay | None, tuple[float, ...]]:
    """A decline by one factor a tick has no end of its own: the plainest share that it reaches at a whole tick."""
    for low in USUAL_FLOORS:
        length = float(np.log(low) / np.log(gamma))
        if abs(length - round(length)) < 1e-4 * length:
            ticks = round(length)
            main = WarmupStableDecay(level, stable, ticks, "exponential", low, low)  # type: ignore[arg-type]
            return main, (level, float(ticks), low)
    return None, ()
