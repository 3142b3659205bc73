"""Which losses of a run the law is fitted to: evaluation losses where there are enough, else binned training losses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.trajectory import Curve, Trajectory
from lrdoctor.simulate.fit import POINTS, SIGMA, thin

MIN_POINTS = 15
"""Losses after the warmup the fit needs."""

DIVERGED_RISE = 0.5
"""Nats above its lowest from which on a loss counts as diverged."""


@dataclass(frozen=True, slots=True, eq=False)
class RunLosses:
    """Losses (M,) after `n` (M,) updates, and the standard deviation (M,) of their logarithm. `role` as in Curve.

    `broken_at` is the update after which the run diverged, None where it did not; the losses end before it.
    """

    role: str
    tag: str
    n: FloatArray
    loss: FloatArray
    sigma: FloatArray
    broken_at: float | None = None


def losses_of(trajectory: Trajectory, first: float) -> RunLosses | None:
    """The losses from update `first` on that stand for the run; None where none was logged."""
    evaluation, training = trajectory.curve("eval-loss"), trajectory.curve("train-loss")
    if evaluation is not None:
        found = _before_divergence(evaluation, trajectory.steps, first)
        if training is None or len(found.n) >= MIN_POINTS:
            return found
    return None if training is None else _before_divergence(training, trajectory.steps, first)


def _before_divergence(curve: Curve, steps: int, first: float) -> RunLosses:
    """The curve from update `first` on, without what comes after its first NaN or after the low before a large rise."""
    broken = ~np.isfinite(curve.values)
    end = float(curve.steps[int(np.argmax(broken))]) if broken.any() else np.inf
    found = _points(curve, steps, first, end)
    if len(found.n):
        rise = found.loss - np.minimum.accumulate(found.loss)
        if float(rise.max()) > DIVERGED_RISE:
            worst = int(np.argmax(rise > DIVERGED_RISE))
            end = float(found.n[int(np.argmin(found.loss[:worst]))])
            found = _points(curve, steps, first, end)
    return found if np.isinf(end) else replace(found, broken_at=end)


def _points(curve: Curve, steps: int, first: float, end: float) -> RunLosses:
    """The curve from update `first` to `end`, binned where noisy. A loss of step s is known after s + 1 updates."""
    n = np.clip(np.round(curve.steps) + 1.0, 1.0, steps)
    keep = np.isfinite(curve.values) & (curve.values > 0.0) & (n >= first) & (n <= end)
    n, loss = n[keep], curve.values[keep]
    noise = _noise(loss)
    if len(n) > 2 * POINTS and noise > SIGMA * float(np.median(loss)):
        return _binned(curve, n, loss, noise)
    chosen = thin(n)
    sigma = np.hypot(SIGMA, noise / loss[chosen]) if noise > SIGMA else np.full(len(chosen), SIGMA)
    return RunLosses(curve.role, curve.tag, n[chosen], loss[chosen], sigma)


def _noise(loss: FloatArray) -> float:
    """Standard deviation of a single loss around its trend, from the median |second difference|; 0 below 5 points."""
    if len(loss) < 5:
        return 0.0
    return float(np.median(np.abs(np.diff(loss, 2))) / 0.6745 / np.sqrt(6.0))


def _binned(curve: Curve, n: FloatArray, loss: FloatArray, noise: float) -> RunLosses:
    """Medians of POINTS bins, even in the square root of n; the error of a median is 1.2533 sd / sqrt(count)."""
    edges = np.linspace(np.sqrt(n[0]), np.sqrt(n[-1]) * (1 + 1e-9), POINTS + 1) ** 2
    bins = np.digitize(n, edges)
    rows = [
        (float(np.mean(n[bins == i])), float(np.median(loss[bins == i])), int((bins == i).sum()))
        for i in np.unique(bins)
    ]
    centre, median, count = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    sigma = np.hypot(SIGMA, 1.2533 * noise / np.sqrt(count) / median)
    return RunLosses(curve.role, curve.tag, np.round(centre), median, sigma)
