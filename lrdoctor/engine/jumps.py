"""Jumps of the loss at given steps, beside the noise of its medians and what it does elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lrdoctor.engine.range_test import median_error
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.trajectory import LossCurve, Trajectory

FEWEST_LOGGED = 12
"""A shorter loss curve tells nothing (chosen by us)."""
FEWEST_POINTS = 3
"""Points on each side, where the loss was logged once an epoch (chosen by us)."""
ALIKE = 0.5
"""A place where the loss rises by half as much is a place like the mark (chosen by us)."""
_NEIGHBOURS = 20  # points on each side that tell how much the loss scatters, where the window has fewer (chosen by us)
_ENOUGH = 10  # differences that tell the scatter of one side alone (chosen by us)
_PLACES = 200  # places spread over the run, and as many epoch boundaries, that a mark is compared with
_AWAY = 2.0  # windows between such a place and any mark
_TINY = float(np.finfo(float).tiny)
_SHORT = 0.25  # of the window: short enough for the trend of the loss to matter little (chosen by us)


@dataclass(frozen=True, slots=True)
class Jump:
    """The loss around `step`: medians over `width` steps on each side, and again one window later.

    `error` is the standard error of the rise; `elsewhere` the place most like this one, None where no other was logged.
    """

    step: float
    before: float
    after: float
    later: float
    error: float
    width: float
    elsewhere: Jump | None = field(default=None, compare=False)

    @property
    def rise(self) -> float:
        return self.after - self.before

    @property
    def share(self) -> float:
        """The rise as a fraction of the loss before it."""
        return self.rise / max(abs(self.before), _TINY)

    @property
    def sigmas(self) -> float:
        """The rise in standard errors of it."""
        return self.rise / self.error

    @property
    def recovers(self) -> bool:
        """Whether half of the rise is gone one window later."""
        return bool(np.isfinite(self.later) and self.later - self.before < 0.5 * self.rise)

    def likeness(self, other: Jump) -> float:
        """How much of this rise there is in another: in fractions of the loss and in the noise, whichever is less.

        A place where the loss is noisier may rise as far by chance, and one where it is lower by as large a fraction.
        """
        return min(other.share / self.share, other.sigmas / self.sigmas)

    def stands_out(self, noise: float, rise: float) -> bool:
        """Whether it is `noise` standard errors, the fraction `rise` of the loss, and without its like in the run."""
        alone = self.elsewhere is None or (self.rise > 0 and self.likeness(self.elsewhere) < ALIKE)
        return self.sigmas > noise and self.share > rise and alone

    def beside(self, unit: str) -> str:
        """A sentence about the place most like this one."""
        other = self.elsewhere
        if other is None or not other.rise > 0:
            return "Nowhere else does it rise."
        return f"Most like it is {unit} {other.step:.0f}, where it rises by {other.rise:.2g}."

    def evidence(self) -> dict[str, float | None]:
        """The numbers of both, flat, for a finding."""
        other = self.elsewhere
        return {
            "loss_before": self.before,
            "loss_after": self.after,
            "rise_error": self.error,
            "step_elsewhere": other.step if other is not None else None,
            "rise_elsewhere": other.rise if other is not None else None,
        }


def as_measured(loss: LossCurve) -> LossCurve:
    """A value that stands unchanged over many steps was measured once: the mean of an epoch, logged at every update."""
    new = np.concatenate([[True], loss.values[1:] != loss.values[:-1]])
    return replace(loss, steps=loss.steps[new], values=loss.values[new], segment=loss.segment[new])


def loss_jumps(trajectory: Trajectory, loss: LossCurve, marks: Sequence[float], updates: int) -> list[Jump]:
    """The change of the loss at each of the marks, but those around which too little of it was logged.

    Windows are `updates` or 1 % of the run long, and never shorter than a few logged points. The error of a rise comes
    from the differences of neighbouring points on each side, so that a trend is no noise. It is that of independent
    points; how much larger it is in this run is measured at the places away from all marks, in windows so short that a
    trend adds nothing. Few differences and few independent places make it larger, as Student's t has longer tails.
    """
    loss = as_measured(loss)
    finite = np.isfinite(loss.values)
    steps, values = loss.steps[finite], loss.values[finite]
    if not len(marks) or len(loss) < FEWEST_LOGGED or len(steps) < FEWEST_LOGGED:
        return []
    width, short = _widths(trajectory, steps, updates)
    found = _jumps(steps, values, marks, width)
    away = _jumps(steps, values, _places(trajectory, steps, marks, width, width), width)
    near = away if short == width else _jumps(steps, values, _places(trajectory, steps, marks, width, short), short)
    inflation = _correlation(near) * (1.0 + 2.0 / max(_independent(away, width), 0.5))
    return [
        replace(
            jump,
            error=jump.error * inflation,
            elsewhere=_most_alike(jump, away or [other for other in found if other is not jump], inflation),
        )
        for jump in found
    ]


def _widths(trajectory: Trajectory, steps: FloatArray, updates: int) -> tuple[float, float]:
    """Steps on each side of a mark, and of the short windows."""
    interval = float(np.median(np.diff(steps)))
    least = max(updates, 0.01 * trajectory.steps) if trajectory.step_unit == "update" else 0.0
    width = max(least, FEWEST_POINTS * interval)
    return width, max(_SHORT * width, FEWEST_POINTS * interval)


def _places(trajectory: Trajectory, steps: FloatArray, marks: Sequence[float], width: float, each: float) -> FloatArray:
    """Places away from all marks, spread over the run, and epoch boundaries: for windows of the length `each`."""
    begin, end = float(steps[0]) + each, float(steps[-1]) - each
    places = np.linspace(begin, end, min(_PLACES, max(int(4.0 * (end - begin) / each), 0) + 1))
    if trajectory.steps_per_epoch and trajectory.step_unit == "update":
        boundaries = np.arange(1.0, trajectory.steps / trajectory.steps_per_epoch) * trajectory.steps_per_epoch
        places = np.sort(np.concatenate([places, boundaries[:: max(1, len(boundaries) // _PLACES)]]))
    nearest: FloatArray = np.min(np.abs(places[:, None] - np.asarray(marks)[None, :]), axis=1)
    away: FloatArray = places[nearest > _AWAY * width]
    return away


def _jumps(steps: FloatArray, values: FloatArray, places: Sequence[float] | FloatArray, width: float) -> list[Jump]:
    found = (_jump(steps, values, float(place), width) for place in places)
    return [jump for jump in found if jump is not None]


def _jump(steps: FloatArray, values: FloatArray, step: float, width: float) -> Jump | None:
    """With the error it has where the points are independent; None where too little of the loss was logged."""
    first, at, last, end = (int(i) for i in np.searchsorted(steps, step + width * np.arange(-1.0, 3.0)))
    if min(at - first, last - at) < FEWEST_POINTS:
        return None
    middle = _median(values[first:at])
    later = _median(values[last:end]) if end > last else float("nan")
    error = max(_error(values, at, at - first, last - at), 1e-12 * abs(middle), _TINY)
    return Jump(step, middle, _median(values[at:last]), later, error, width)


def _median(values: FloatArray) -> float:
    """np.median of a short array takes five times as long."""
    ordered = np.sort(values)
    return float(0.5 * (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]))


def _error(values: FloatArray, at: int, before: int, after: int) -> float:
    """The standard error of the difference of the medians of so many points before and after the index `at`."""
    sides = [
        np.diff(values[max(at - max(before, _NEIGHBOURS), 0) : at]),
        np.diff(values[at : at + max(after, _NEIGHBOURS)]),
    ]
    both = np.concatenate(sides)
    told = [side if len(side) >= _ENOUGH else both for side in sides]
    errors = (median_error(side, 2.0 * count) for side, count in zip(told, (before, after), strict=True))
    return math.hypot(*errors) * (1.0 + 3.0 / min(len(side) for side in told))


def _correlation(near: list[Jump]) -> float:
    """How many times larger than that of independent points the error is: correlated points count for fewer."""
    if len(near) < FEWEST_POINTS:
        return 1.0
    sigmas = np.array([jump.sigmas for jump in near])
    return max(1.0, 1.4826 * float(np.median(np.abs(sigmas - np.median(sigmas)))))


def _independent(away: list[Jump], width: float) -> float:
    """How many windows lie side by side at these places."""
    gaps = np.diff([jump.step for jump in away])
    return 1.0 + float(np.minimum(gaps, width).sum()) / width if away else 0.0


def _most_alike(jump: Jump, others: list[Jump], inflation: float) -> Jump | None:
    if not others or not jump.rise > 0:
        return None
    found = max(others, key=jump.likeness)
    return replace(found, error=found.error * inflation)
