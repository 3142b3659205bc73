"""What a learning-rate range test found: up to which learning rate the loss was at its lowest before it rose again."""

from __future__ import annotations

import math

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.identification import Identification
from lrdoctor.model.trajectory import Trajectory

SWEEP = 10.0
"""A sweep goes through at least this factor (chosen by us)."""
SMOOTHED = 5
"""Losses are smoothed by a median over so many, or a twentieth of the sweep (chosen by us)."""
CAME_BACK = 0.1
"""The loss must have come back by this part of its fall: else the test was too short to show a limit (chosen by us)."""
CLEAR = 3.0
"""Standard errors of the smoothed loss by which it must have risen (chosen by us)."""
_MAD, _MEDIAN = 1.4826, 1.25  # a normal distribution's standard deviation in its MAD; a median's error in a mean's
_FEWEST = 20


def range_limit(trajectory: Trajectory, identification: Identification) -> float | None:
    """The highest LR at which the loss of a range test was at its lowest, as far as its noise tells.

    None for other runs, or where the loss did not rise again.
    """
    lead, loss = identification.lead, trajectory.loss
    if lead is None or loss is None or len(lead.fits) != 1 or lead.fit.family != "RangeTest":
        return None
    lrs = lead.fit.whole.lr_at(loss.steps)
    if len(loss) < _FEWEST or lrs[-1] < SWEEP * max(float(lrs[0]), 1e-300):
        return None
    return _lowest(loss.values, lrs)


def _lowest(losses: FloatArray, lrs: FloatArray) -> float | None:
    broken = np.flatnonzero(~np.isfinite(losses))
    end = int(broken[0]) if len(broken) else len(losses)
    if end < _FEWEST:
        return None
    width = max(SMOOTHED, end // 20) | 1
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(losses[:end], width), axis=1)
    at = int(np.argmin(smooth))
    fell = float(smooth[0] - smooth[at])
    back = float(smooth[at:].max() - smooth[at])
    if fell <= 0 or (not len(broken) and back < CAME_BACK * fell):
        return None
    off = losses[width // 2 : width // 2 + at + 1] - smooth[: at + 1]
    error = median_error(off, width)
    low = np.flatnonzero(smooth <= smooth[at] + CLEAR * error)
    return float(lrs[int(low[-1]) + width // 2])


def median_error(off: FloatArray, count: float) -> float:
    """The standard error of a median of `count` values, as told by the median of these deviations."""
    return _MAD * _MEDIAN * float(np.median(np.abs(off))) / math.sqrt(count)
