"""Straight rises and falls in turn: CyclicLR in its three modes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from lrdoctor.identify.candidate import Candidate, make_candidate, rounded
from lrdoctor.identify.levenberg import minimise
from lrdoctor.identify.shapes import heights
from lrdoctor.identify.stretch import Stretch
from lrdoctor.model.arrays import FloatArray
from lrdoctor.schedules import CyclicLR
from lrdoctor.schedules.cyclic import MODES

SHIFTS = (0.0, 1.0, -1.0)
_FEWEST_TURNS = 2  # up, down, and up again
_SHORT = 6  # digits of an LR


def triangle_candidates(stretch: Stretch) -> Iterator[Candidate]:
    """Readings of the stretch as cycles, where it turns at least twice."""
    stretch = stretch.thin
    turns = _turns(stretch)
    if len(turns) < _FEWEST_TURNS or stretch.lr[0] > stretch.lr[int(np.searchsorted(stretch.t, turns[0]))]:
        return
    for shift, up, down in _lengths(turns):
        if up > 0 and down > 0:
            for mode in MODES:
                yield from _cycles(stretch, shift, up, down, mode)


def _lengths(turns: list[float]) -> Iterator[tuple[float, int, int]]:
    """(shift, step_size_up, step_size_down) by the first two turns, and by all of them where all lie evenly."""
    told = [(shift, round(turns[0] + shift), round(turns[1] - turns[0])) for shift in SHIFTS]
    even = round(turns[-1] / len(turns))
    yield from dict.fromkeys([*told, (0.0, even, even)])


def _turns(stretch: Stretch) -> list[float]:
    """The ticks at which the LR turns, each where the lines through the points on its sides meet."""
    t, lr = stretch.t, stretch.lr
    slope = np.diff(lr) / np.diff(t)
    moving = np.flatnonzero(stretch.changed & (slope != 0.0))
    found: list[float] = []
    for before, after in pairwise(moving.tolist()):
        if (slope[before] > 0) == (slope[after] > 0):
            continue
        first, last = float(t[before]), float(t[after + 1])
        if after == before + 1:  # the turn is within one of the two: lines of their neighbours
            before, after = max(before - 1, 0), min(after + 1, len(slope) - 1)
        if slope[before] == slope[after]:  # two points of a line that jumps between them
            continue
        rise, fall = (lr[i] - slope[i] * t[i] for i in (before, after))
        found.append(float(np.clip((fall - rise) / (slope[before] - slope[after]), first, last)))
    return found


def _cycles(stretch: Stretch, shift: float, up: int, down: int, mode: str) -> Iterator[Candidate]:
    t = stretch.t + shift
    for gamma in _gammas(stretch, t, up, down) if mode == "exp_range" else (1.0,):
        height = CyclicLR(0.0, 1.0, up, down, mode, gamma).lr_at(t)
        low, top = _rates(height, stretch)
        if not 0.0 <= low < top:
            continue
        numbers = [low, top, float(up), *([] if up == down else [float(down)]), gamma]
        extra = {"triangular": 0.0}.get(mode, 0.5)
        yield make_candidate(CyclicLR(low, top, up, down, mode, gamma), numbers, shift=shift, extra_cost=extra)


def _rates(height: FloatArray, stretch: Stretch) -> tuple[float, float]:
    """(base_lr, max_lr) by least squares, then each in the fewest digits that the log allows."""
    low, rise = heights(height, stretch.lr, True)
    top = low + rise
    for digits in range(1, _SHORT + 1):
        short = rounded(top, digits), rounded(low, digits) if low > 0 else 0.0
        if bool((np.abs(short[1] + (short[0] - short[1]) * height - stretch.lr) <= stretch.tol).all()):
            return short[1], short[0]
    return max(low, 0.0), top


def _gammas(stretch: Stretch, t: FloatArray, up: int, down: int) -> Iterator[float]:
    """The factor per tick by least squares, from a first guess that two peaks a cycle apart tell, in few digits."""
    guess = _gamma_of_peaks(stretch, up + down)
    if guess is None:
        return
    triangle = CyclicLR(0.0, 1.0, up, down).lr_at(t)
    last = max(float(t[-1]), 1.0)

    def residual(decay: FloatArray) -> FloatArray:
        height = triangle * np.exp(-np.clip(decay[0], -10.0, 50.0) * t / last)
        low, rise = heights(height, stretch.lr, True)
        off: FloatArray = (low + rise * height - stretch.lr) / stretch.peak
        return off

    gamma = float(np.exp(-minimise(residual, np.array([-np.log(guess) * last]))[0] / last))
    if 0.0 < gamma < 1.0:
        yield from (short for short in (rounded(gamma, count) for count in range(1, 8)) if 0.0 < short < 1.0)
        yield gamma


def _gamma_of_peaks(stretch: Stretch, cycle: int) -> float | None:
    low = float(stretch.lr.min())
    first = int(np.argmax(stretch.lr[stretch.t <= cycle]))
    later = int(np.searchsorted(stretch.t, stretch.t[first] + cycle))
    if later >= len(stretch) or stretch.lr[later] <= low or stretch.lr[first] <= low:
        return None
    ratio = (stretch.lr[later] - low) / (stretch.lr[first] - low)
    gamma = float(ratio ** (1.0 / (stretch.t[later] - stretch.t[first])))
    return gamma if 0.0 < gamma < 1.0 else None
