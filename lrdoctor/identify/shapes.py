"""What the smooth declines have in common: lr(t) = floor + height * left(x), x = (t - origin) / length.

Floor and height enter linearly, so only the length (and an exponent) has to be searched for: a grid, then a few steps
of least squares on the residual that is left once the linear two are solved for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from lrdoctor.identify.levenberg import minimise
from lrdoctor.model.arrays import FloatArray

Left = Callable[[FloatArray, FloatArray | float], FloatArray]

_GRID = 48
_HOPELESS = 0.12  # of the range: a grid point this far off is of the wrong shape
_STARTS = 2  # so many points of the grid are refined


def _cosine(x: FloatArray, _: FloatArray | float) -> FloatArray:
    return 0.5 * (1.0 + np.cos(np.pi * x))


def _held_cosine(x: FloatArray, _: FloatArray | float) -> FloatArray:
    return 0.5 * (1.0 + np.cos(np.pi * np.clip(x, 0.0, 1.0)))


def _k_cosine(x: FloatArray, k: FloatArray | float) -> FloatArray:
    rising: FloatArray = np.maximum(x, 0.0) ** k
    return 0.5 * (1.0 + np.cos(np.pi * rising))


def _line(x: FloatArray, _: FloatArray | float) -> FloatArray:
    return 1.0 - np.clip(x, 0.0, 1.0)


def _power(x: FloatArray, power: FloatArray | float) -> FloatArray:
    left: FloatArray = (1.0 - np.clip(x, 0.0, 1.0)) ** power
    return left


def _root(x: FloatArray, _: FloatArray | float) -> FloatArray:
    return 1.0 - np.sqrt(np.clip(x, 0.0, 1.0))


def _exponential(x: FloatArray, ratio: FloatArray | float) -> FloatArray:
    left: FloatArray = (ratio ** np.clip(x, 0.0, 1.0) - ratio) / (1.0 - ratio)
    return left


def _geometric(x: FloatArray, _: FloatArray | float) -> FloatArray:
    return np.exp(-x)


def _inverse_root(x: FloatArray, _: FloatArray | float) -> FloatArray:
    return 1.0 / np.sqrt(1.0 + np.maximum(x, 0.0))


@dataclass(frozen=True, slots=True)
class Shape:
    """`left` falls from 1 at x = 0. `extras` are first guesses of its exponent, () where it has none.

    `floored` where a floor may be added to it, `ends` where x = 1 is the end of the decline. A `self_similar` one cut
    short is the same curve to a lower floor: only its end, or where it was planned to be, tells the floor.
    """

    name: str
    left: Left
    extras: tuple[float, ...] = ()
    floored: bool = True
    ends: bool = True
    self_similar: bool = False


COSINE, HELD_COSINE, LINE = (
    Shape("cosine", _cosine),
    Shape("held-cosine", _held_cosine),
    Shape("line", _line, self_similar=True),
)
K_COSINE = Shape("k-cosine", _k_cosine, (1.5, 0.7))
POWER = Shape("power", _power, (0.5, 0.9, 2.0, 0.1, 4.0))
ROOT = Shape("1-sqrt", _root, self_similar=True)
EXPONENTIAL = Shape("exponential", _exponential, (0.5, 0.1, 0.01), self_similar=True)
GEOMETRIC = Shape("geometric", _geometric, floored=False, ends=False)
INVERSE_ROOT = Shape("inverse-root", _inverse_root, floored=False, ends=False)


@dataclass(frozen=True, slots=True)
class Decline:
    """A shape with its numbers."""

    shape: Shape
    origin: float
    length: float
    floor: float
    height: float
    extra: float = 1.0

    def lr_at(self, t: FloatArray) -> FloatArray:
        return self.floor + self.height * self.shape.left((t - self.origin) / self.length, self.extra)


def heights(left: FloatArray, lr: FloatArray, floored: bool) -> tuple[float, float]:
    """(floor, height) by least squares."""
    if not floored:
        return 0.0, float(left @ lr / max(float(left @ left), 1e-300))
    mean_x, mean_y = float(left.mean()), float(lr.mean())
    spread = float(((left - mean_x) ** 2).sum())
    height = float(((left - mean_x) * (lr - mean_y)).sum()) / max(spread, 1e-300)
    return mean_y - height * mean_x, height


def settle(shape: Shape, t: FloatArray, lr: FloatArray, given: Decline, floored: bool) -> Decline:
    """The same length and exponent with the floor and the height that fit best."""
    left = shape.left((t - given.origin) / given.length, given.extra)
    floor, height = heights(left, lr, floored)
    return Decline(shape, given.origin, given.length, floor, height, given.extra)


def solve(
    shape: Shape, t: FloatArray, lr: FloatArray, origin: float, ends: tuple[float, ...], floored: bool, free: bool
) -> Iterator[Decline]:
    """The declines that fit the points (t, lr) best, one from each of the best starts of a grid.

    `ends` are ticks at which the decline may have been planned to end. With `free` the origin is fitted too.
    """
    span = max(float(t[-1]) - origin, 1.0)
    least = 0.2 if shape.ends else 0.004  # of the span: a decline without an end may be seen at its slow tail
    lengths = np.unique(
        [*np.geomspace(least * span, 30.0 * span, _GRID), span, *(e - origin for e in ends if e > origin)]
    )
    for start in _starts(shape, t, lr, origin, lengths, floored):
        yield _refined(shape, t, lr, start, floored, free)


def _starts(
    shape: Shape, t: FloatArray, lr: FloatArray, origin: float, lengths: FloatArray, floored: bool
) -> list[Decline]:
    found: list[tuple[float, Decline]] = []
    hopeless = _HOPELESS * float(np.ptp(lr))
    for extra in shape.extras or (1.0,):
        left = shape.left((t - origin)[None, :] / lengths[:, None], extra)
        if floored:
            centred, y = left - left.mean(axis=1, keepdims=True), lr - lr.mean()
            height = centred @ y / np.maximum((centred**2).sum(axis=1), 1e-300)
            off = np.abs(height[:, None] * centred - y).max(axis=1)
        else:
            height = left @ lr / np.maximum((left**2).sum(axis=1), 1e-300)
            off = np.abs(height[:, None] * left - lr).max(axis=1)
        off = np.where((height > 0) & np.isfinite(off), off, np.inf)
        best = [at for at in np.argsort(off)[:_STARTS] if off[at] <= hopeless]
        found += [(float(off[at]), Decline(shape, origin, float(lengths[at]), 0.0, 1.0, extra)) for at in best]
    found.sort(key=lambda one: one[0])
    return [one for _, one in found[:_STARTS]]


def _refined(shape: Shape, t: FloatArray, lr: FloatArray, start: Decline, floored: bool, free: bool) -> Decline:
    peak = float(np.abs(lr).max())
    span = max(float(t[-1] - t[0]), 1.0)

    def decline(x: FloatArray) -> Decline:
        values = x.tolist()
        length = float(np.exp(np.clip(values[0], -20.0, 40.0)))
        extra = float(np.exp(np.clip(values[1], -10.0, 5.0))) if shape.extras else 1.0
        if shape is EXPONENTIAL:
            extra = min(extra, 1.0 - 1e-4)  # at 1 it is a straight line, and no longer a number
        origin = start.origin + (values[-1] * span if free else 0.0)
        return settle(shape, t, lr, Decline(shape, origin, length, 0.0, 1.0, extra), floored)

    def residual(x: FloatArray) -> FloatArray:
        return np.nan_to_num((decline(x).lr_at(t) - lr) / peak, nan=1e3, posinf=1e3, neginf=-1e3)

    begin = [np.log(start.length), *([np.log(start.extra)] if shape.extras else []), *([0.0] if free else [])]
    with np.errstate(all="ignore"):
        return decline(minimise(residual, np.array(begin)))
