"""What a learning-rate range test says: where the loss falls fastest, where it is lowest, where it diverges.

The loss is smoothed over ln LR; how far each LR can be trusted is told by smoothing again with the noise shuffled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrdoctor.errors import ReadError
from lrdoctor.identify import identify
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.identification import Fit
from lrdoctor.model.run import Run
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.schedules import RangeTest

FEWEST = 10
"""Losses with an LR beside them that a reading needs."""

SAFETY = 10.0
"""The LR of the lowest loss is already too high to train with; a tenth of it is the usual advice (fastai's lr_find)."""

_WIDTH = 1 / 40  # of the sweep: standard deviation of the smoothing kernel, chosen by us
_LEAST_WIDTH = 1.0  # points
_RESAMPLES = 200
_SEED = 7
_MOST = 400  # points of the sweep that is resampled
_MAD = 1.4826  # standard deviations of a normal distribution in its median absolute deviation
_CLEAR = 4.0  # standard errors of the smoothed loss that a fall must exceed
_TIMES_BEST = 4.0  # of the lowest loss: where fastai and Lightning stop


@dataclass(frozen=True, slots=True)
class Spread:
    """An LR, and the interval that holds it in nine of ten resamplings of the noise."""

    lr: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class RangeReading:
    """`lr`, `loss` and `smooth` are (n,), the sweep in order. What the loss does not tell is None, and `notes` say why.

    `fit` is the identified sweep; `noise` the standard deviation of the loss around `smooth` before it is lowest.
    """

    path: str
    tag: str
    lr: FloatArray
    loss: FloatArray
    smooth: FloatArray
    fit: Fit
    noise: float
    steepest: Spread | None
    lowest: Spread | None
    diverged: float | None
    notes: tuple[str, ...]

    @property
    def tenth(self) -> float | None:
        """The LR of the lowest loss over ten."""
        return None if self.lowest is None else self.lowest.lr / SAFETY


def read_range_test(run: Run, trajectory: Trajectory) -> RangeReading:
    """Read the sweep of a run; ReadError where it is none, or too little of it was logged."""
    lead, curve = trajectory.lead, trajectory.loss
    if lead is None:
        raise ReadError("No range test can be read.", where=run.path, why="no learning rate was logged")
    if curve is None:
        raise ReadError("No range test can be read.", where=run.path, why="no loss was logged")
    good = np.isfinite(lead.lr) & (lead.lr > 0)
    steps, rates = lead.steps[good], lead.lr[good]
    if len(rates) < FEWEST or bool((np.diff(rates) < 0).any()) or rates[-1] < 2.0 * rates[0]:
        why = "a range test has an LR that rises from its first step to its last, at least twofold"
        raise ReadError("The log is not one of a range test.", where=run.path, why=why)
    inside = (curve.steps >= steps[0]) & (curve.steps <= steps[-1])
    lr = np.exp(np.interp(curve.steps[inside], steps, np.log(rates)))
    return _reading(run.path, curve.tag, lr, curve.values[inside], identify(trajectory).groups[0].fit)


def read_sweep(name: str, lr: FloatArray, loss: FloatArray) -> RangeReading:
    """Read a sweep just made: losses (T,) of updates whose `lr` (T,) rose by equal factors. ReadError as above."""
    if len(lr) < FEWEST:
        raise ReadError("No range test can be read.", where=name, why=f"{len(lr)} updates, {FEWEST} are needed")
    schedule = RangeTest(float(lr[0]), float(lr[-1]), len(lr) - 1)
    fit = Fit(schedule, schedule, 0.0, len(lr) - 1.0, "update", 1.0, 0.0, 1.0, True)
    return _reading(name, "loss", lr, loss, fit)


def _reading(path: str, tag: str, lr: FloatArray, loss: FloatArray, fit: Fit) -> RangeReading:
    notes: list[str] = []
    broken = np.flatnonzero(~np.isfinite(loss))
    diverged = float(lr[broken[0]]) if len(broken) else None
    if len(broken):
        notes.append(f"the loss is no number any more from LR {lr[broken[0]]:.3g} on")
        lr, loss = lr[: broken[0]], loss[: broken[0]]
    if len(loss) < FEWEST:
        why = f"{len(loss)} finite losses beside a learning rate, {FEWEST} are needed"
        raise ReadError(
            "No range test can be read.", where=path, why=why, hint="log the loss at every step of the sweep"
        )
    capped = _capped(loss)
    smooth = _smoothed(lr, capped)
    bottom = int(np.argmin(smooth))
    off = (capped - smooth)[: max(bottom, FEWEST)]
    noise = float(np.median(np.abs(off))) * _MAD
    error = noise / max(1.0, _kernel_points(lr)) ** 0.5
    steepest: Spread | None = None
    lowest: Spread | None = None
    if smooth[: bottom + 1].max() - smooth[bottom] <= _CLEAR * error:
        notes.append("the loss never falls by more than its noise: the sweep says nothing of the peak LR")
    else:
        steepest, lowest = _resampled(lr, smooth, off)
        diverged = _divergence(lr, smooth, bottom) or diverged
        if diverged is None:
            notes.append("the loss had not risen again when the sweep ended: the lowest loss may lie at a higher LR")
            lowest = lowest if bottom < len(lr) - 2 else None
    return RangeReading(path, tag, lr, loss, smooth, fit, noise, steepest, lowest, diverged, tuple(notes))


def _kernel_points(lr: FloatArray) -> float:
    """How many points the smoothing averages."""
    return 3.5 * max(_WIDTH * len(lr), _LEAST_WIDTH)


def _capped(loss: FloatArray) -> FloatArray:
    """The loss cut down well above where it began and at four times its lowest: the explosion would drown all else."""
    start = float(np.median(loss[: max(3, len(loss) // 10)]))
    return np.minimum(loss, max(start + (start - float(loss.min())), _TIMES_BEST * float(loss.min())))


def _smoothed(lr: FloatArray, y: FloatArray) -> FloatArray:
    """(n,) a line fitted around each point, in ln LR, with Gaussian weights: it keeps slopes up to the ends."""
    x = np.log(lr)
    width = max(_WIDTH * float(np.ptp(x)), _LEAST_WIDTH * float(np.ptp(x)) / (len(x) - 1))
    smooth = np.empty_like(y)
    for begin in range(0, len(x), 512):  # in blocks, so that a long sweep needs little memory
        away = x[None, :] - x[begin : begin + 512, None]
        weight = np.exp(-0.5 * (away / width) ** 2)
        s0, s1, s2 = weight.sum(1), (weight * away).sum(1), (weight * away**2).sum(1)
        t0, t1 = weight @ y, (weight * away) @ y
        smooth[begin : begin + 512] = (s2 * t0 - s1 * t1) / np.maximum(s0 * s2 - s1 * s1, 1e-300)
    return smooth


def _resampled(lr: FloatArray, smooth: FloatArray, off: FloatArray) -> tuple[Spread, Spread]:
    """The LR of the steepest fall and of the lowest loss, with the spread that noise such as `off` gives them."""
    at = _points(lr, smooth)
    if len(lr) > _MOST:  # the spread is read off a thinned sweep, with the noise that so many points average away
        index = np.unique(np.linspace(0, len(lr) - 1, _MOST).round().astype(np.int64))
        off = off * (_MOST / len(lr)) ** 0.5
        lr, smooth = lr[index], smooth[index]
    rng = np.random.default_rng(_SEED)
    noisy = (smooth + rng.choice(off, len(lr)) for _ in range(_RESAMPLES))
    found = np.array([_points(lr, _smoothed(lr, one)) for one in noisy])
    low, high = np.quantile(found, [0.05, 0.95], axis=0).tolist()
    steepest, lowest = (Spread(at[i], min(low[i], at[i]), max(high[i], at[i])) for i in range(2))
    return steepest, lowest


def _points(lr: FloatArray, smooth: FloatArray) -> tuple[float, float]:
    """(LR of the steepest fall over ln LR before the lowest loss, LR of the lowest loss)."""
    bottom = max(int(np.argmin(smooth)), 1)
    slope = np.diff(smooth[: bottom + 1]) / np.diff(np.log(lr[: bottom + 1]))
    at = int(np.argmin(slope))
    return float(np.sqrt(lr[at] * lr[at + 1])), float(lr[bottom])


def _divergence(lr: FloatArray, smooth: FloatArray, bottom: int) -> float | None:
    """The first LR after the lowest loss at which all that was gained is lost again, or the loss is four times it."""
    start = float(smooth[: max(bottom, 1)].max())
    gone = np.flatnonzero((smooth[bottom:] >= start) | (smooth[bottom:] >= _TIMES_BEST * abs(float(smooth[bottom]))))
    return float(lr[bottom + gone[0]]) if len(gone) else None
