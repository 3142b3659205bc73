"""The step axis of MAE and its descendants: `epoch_1000x`, thousandths of an epoch.

They log with step int((i / N + epoch) * 1000), N updates an epoch, so that runs of different batch size line up
(facebookresearch/mae, engine_pretrain.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.run import Run, Series
from lrdoctor.reconstruct.recording import EVENTS, Recording

_FEWEST = 4  # points before an uneven spacing counts as evidence


class Thousandths(NamedTuple):
    """`per_epoch` points to an epoch (1: only the epoch can be told), `last` the last logged value."""

    per_epoch: int
    last: float
    why: str


def updates_of_thousandths(run: Run, record: Recording, pieces: Sequence[Series], name: str) -> Thousandths | None:
    """What the axis counts if it counts thousandths of an epoch; None where nothing says so."""
    steps = np.concatenate([one.axes[name] for one in pieces if name in one.axes])
    if len(steps) < 2 or not bool((np.diff(steps) > 0).all()):
        return None
    if bool((steps % 1000 == 0).all()):
        return _whole_epochs(run, steps)
    per_epoch = _uneven(steps)
    if per_epoch is None:
        return None
    return Thousandths(per_epoch, float(steps[-1]), "its uneven spacing is that of int(1000 * i / N)")


def _whole_epochs(run: Run, steps: FloatArray) -> Thousandths | None:
    """One point an epoch: believed only where another log of the run counts the same epochs."""
    numbers = steps / 1000.0
    for series in run.series:
        epochs = series.axes.get("epoch")
        if series.kind != EVENTS and epochs is not None and np.array_equal(np.unique(epochs), numbers):
            return Thousandths(1, float(steps[-1]), f"{series.path} has the same epochs in plain numbers")
    return None


def _uneven(steps: FloatArray) -> int | None:
    """N where every step is int(1000 * k / N) for consecutive k, allowing one unit for the float division."""
    gaps = np.diff(steps)
    if len(steps) < _FEWEST or gaps.max() - gaps.min() != 1:
        return None
    per_epoch = int(np.round(1000.0 * (len(steps) - 1) / (steps[-1] - steps[0])))
    if per_epoch < 2:
        return None
    index = np.round(steps * per_epoch / 1000.0)
    consecutive = bool((np.diff(index) == 1).all())
    error = index * 1000.0 / per_epoch - steps
    return per_epoch if consecutive and bool(((error > -0.01) & (error < 1.01)).all()) else None
