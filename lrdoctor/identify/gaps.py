"""Warmups that ended between two logged points: at which tick, told by the ramp before the gap and the LR after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from lrdoctor.identify.candidate import digits, rounded
from lrdoctor.identify.roundest import roundest
from lrdoctor.identify.shapes import COSINE, ROOT, Shape
from lrdoctor.identify.stretch import Stretch
from lrdoctor.identify.tails import USUAL_FLOORS, Tail
from lrdoctor.model.arrays import FloatArray
from lrdoctor.schedules import ExponentialLR, InverseSqrt

_MOST_WITHIN = 12  # ticks of a gap that are all tried
_WHOLE = 1e-2  # ticks: a line through rounded points meets a level this close to a whole tick
_PLAIN_DIGITS, _PLAIN = 2.0, 3
_CLEAR, _FEWEST_CLEAR = 0.02, 2  # of the fall: nearer to its ends a rounding hides where a point lies
# the share of the length at which a decay has so much left
_INVERSES: dict[str, Callable[[FloatArray], FloatArray]] = {
    COSINE.name: lambda left: np.arccos(2.0 * left - 1.0) / np.pi,
    ROOT.name: lambda left: (1.0 - left) ** 2,
}


def ticks_within(thin: Stretch, begin: int) -> list[float]:
    """The ticks between point `begin` and the one before it, where the log is sparse: the roundest, or all."""
    low, high = float(thin.t[begin - 1]), float(thin.t[begin])
    if high - low <= _MOST_WITHIN:
        return [float(tick) for tick in range(math.floor(low) + 1, math.floor(high) - 1)]
    round_one = roundest(low, high)
    return [] if round_one is None else [round_one]


def level_met(thin: Stretch, begin: int, level: float) -> list[float]:
    """The tick at which the straight rise before point `begin` meets `level`; [] where it is none in the gap."""
    line = _rise(thin, begin)
    if line is None:
        return []
    start, slope = line
    met = (level - start) / slope
    if not float(thin.t[begin - 1]) < met <= float(thin.t[begin]):
        return []
    return [float(round(met)) if abs(met - round(met)) < _WHOLE else met]


def begun_elsewhere(thin: Stretch, tail: Tail, begin: int) -> Iterator[Tail]:
    """The same curve begun at another tick of the gap before point `begin`.

    Each part of an inverse square root, or of an exponential decay, is one again, so the points on it do not tell where
    it began: the rise before the gap does, or a peak of few digits.
    """
    if not isinstance(tail.main, InverseSqrt | ExponentialLR):
        return
    ticks = np.arange(math.floor(float(thin.t[begin - 1])) + 1.0, float(thin.t[begin]) + 1e-9)
    ahead = ticks - tail.origin
    if isinstance(tail.main, InverseSqrt):
        ticks, ahead = (column[ahead > -tail.main.timescale] for column in (ticks, ahead))
        peaks = tail.main.lr / np.sqrt(1.0 + ahead / tail.main.timescale)
    else:
        peaks = tail.main.lr * tail.main.gamma**ahead
    for at in _likeliest(thin, begin, ticks, peaks):
        peak = _short(float(peaks[at]))
        if isinstance(tail.main, InverseSqrt):
            timescale = tail.main.timescale + float(ahead[at])
            yield Tail(InverseSqrt(peak, timescale), float(ticks[at]), (peak, timescale), tail.cost)
        else:
            gamma = tail.main.gamma
            yield Tail(ExponentialLR(peak, gamma), float(ticks[at]), (peak, gamma), tail.cost)


def _likeliest(thin: Stretch, begin: int, ticks: FloatArray, peaks: FloatArray) -> list[int]:
    """The indices of the ticks at which the curve meets the ramp, or where there is none those of plain peaks."""
    if not len(ticks):
        return []
    line = _rise(thin, begin)
    if line is not None:
        return [int(np.argmin(np.abs(line[0] + line[1] * ticks - peaks)))]
    told = [digits(_short(peak)) for peak in peaks.tolist()]
    return [at for at in np.argsort(told, kind="stable").tolist() if told[at] <= _PLAIN_DIGITS][:_PLAIN]


def decay_begun(thin: Stretch, last: int, shape: Shape, level: float) -> list[float]:
    """The tick of the gap behind point `last`, the last one at `level`, at which a decay of that shape began.

    From the right tick on all points tell one and the same length; tried to each of the usual floors.
    """
    inverse = _INVERSES.get(shape.name)
    ticks = np.arange(math.floor(float(thin.t[last])), float(thin.t[last + 1]) + 1e-9)
    if inverse is None or len(ticks) < 3:
        return []
    best: list[tuple[float, float]] = []
    for floor in (0.0, *USUAL_FLOORS):
        left = (thin.lr[last + 1 :] / level - floor) / (1.0 - floor)
        clear = (left > _CLEAR) & (left < 1.0 - _CLEAR)
        if clear.sum() < _FEWEST_CLEAR or float(left.min()) < -_CLEAR:
            continue
        lengths = (thin.t[last + 1 :][clear] - ticks[:, None]) / inverse(left[clear])
        spread = np.ptp(lengths, axis=1) / np.abs(lengths).mean(axis=1)
        at = int(np.argmin(spread))
        best.append((float(spread[at]), float(ticks[at])))
    return [min(best)[1]] if best else []


def _short(value: float) -> float:
    """Without the last digits of a float, which no log tells."""
    return rounded(value, 7) if digits(value) <= 7 else value


def _rise(thin: Stretch, begin: int) -> tuple[float, float] | None:
    """(start, slope) of the straight line on which all points before point `begin` are; None where they are not."""
    t, lr, tol = (column[:begin] for column in thin.columns)
    if len(t) < 2:
        return None
    slope, start = np.polyfit(t, lr, 1)
    straight = bool((np.abs(start + slope * t - lr) <= 2 * tol.max()).all())
    return (float(start), float(slope)) if slope > 0 and straight else None
