"""Jumps of the loss at given steps, beside what it does elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.trajectory import LossCurve, Trajectory

FEWEST_POINTS = 3
"""Points on each side, where the loss was logged once an epoch (chosen by us)."""
_NEIGHBOURS = 20  # points on each side that tell how much the loss scatters (chosen by us)
_CONTROLS = 60  # other places of the run that are looked at for comparison


@dataclass(frozen=True, slots=True)
class Jump:
    """The loss around `step`: medians over a window on each side, and again one window later."""

    step: float
    before: float
    after: float
    later: float
    scatter: float
    points: int

    @property
    def doubt(self) -> float:
        """The scatter of one point, or the standard error of the rise where that is larger, for want of points.

        Of Gaussian noise sigma is the median absolute deviation / 0.6745, and the standard error of the median of n
        points 1.2533 sigma / sqrt(n).
        """
        return self.scatter * max(1.0, 1.2533 / 0.6745 * math.sqrt(2.0 / self.points))

    @property
    def rise(self) -> float:
        return self.after - self.before

    @property
    def recovers(self) -> bool:
        """Whether half of the rise is gone one window later."""
        return bool(np.isfinite(self.later) and self.later - self.before < 0.5 * self.rise)


def as_measured(loss: LossCurve) -> LossCurve:
    """A value that stands unchanged over many steps was measured once: the mean of an epoch, logged at every update."""
    new = np.concatenate([[True], np.diff(loss.values) != 0.0])
    return replace(loss, steps=loss.steps[new], values=loss.values[new], segment=loss.segment[new])


def jump_window(trajectory: Trajectory, loss: LossCurve, updates: int) -> float:
    """Steps on each side: `updates` or 1 % of the run, and never fewer than a few logged points."""
    interval = float(np.median(np.diff(loss.steps)))
    least = max(updates, 0.01 * trajectory.steps) if trajectory.step_unit == "update" else 0.0
    return max(least, FEWEST_POINTS * interval)


def loss_jump(loss: LossCurve, step: float, width: float) -> Jump | None:
    """The loss on both sides of `step`; None where too little of it was logged."""
    finite = np.isfinite(loss.values)
    steps, values = loss.steps[finite], loss.values[finite]
    before, after, later = (
        values[(steps >= start) & (steps < start + width)] for start in (step - width, step, step + width)
    )
    if min(len(before), len(after)) < FEWEST_POINTS:
        return None
    middle = float(np.median(before))
    scatter = max(float(np.median(np.abs(before - middle))), _scatter_around(steps, values, step))
    end = float(np.median(later)) if len(later) else float("nan")
    return Jump(step, middle, float(np.median(after)), end, scatter, min(len(before), len(after)))


def _scatter_around(steps: FloatArray, values: FloatArray, step: float) -> float:
    """The median absolute deviation of the loss near `step`, from neighbours' differences: a trend is no scatter.

    Three points before a milestone can agree by accident.
    """
    at = int(np.searchsorted(steps, step))
    near = np.abs(np.diff(values[max(at - _NEIGHBOURS, 0) : at + _NEIGHBOURS]))
    return float(np.median(near)) / math.sqrt(2.0) if len(near) else 0.0


def largest_rise_elsewhere(trajectory: Trajectory, loss: LossCurve, marks: Sequence[float], width: float) -> float:
    """The largest rise of the same kind at other places: epoch boundaries, and places spread over the run."""
    places = np.linspace(loss.steps[0] + width, loss.steps[-1] - width, _CONTROLS)
    if trajectory.steps_per_epoch and trajectory.step_unit == "update":
        boundaries = np.arange(1.0, trajectory.steps / trajectory.steps_per_epoch) * trajectory.steps_per_epoch
        places = np.concatenate([places, boundaries[:: max(1, len(boundaries) // _CONTROLS)]])
    away = [place for place in places if min(abs(place - mark) for mark in marks) > 2.0 * width]
    rises = [jump.rise for jump in (loss_jump(loss, float(place), width) for place in away) if jump is not None]
    return max(rises, default=0.0)
