"""How many updates make an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.run import Run, Series
from lrdoctor.model.trajectory import Choice
from lrdoctor.reconstruct.axis import Axis, on_axis
from lrdoctor.reconstruct.frameworks import is_framework, number_hint
from lrdoctor.reconstruct.names import words
from lrdoctor.reconstruct.recording import Recording

_LOOSE = 0.1  # relative width of the possible range below which a whole bound is taken
_TIGHT = 0.02  # relative width of the possible range below which its middle is taken
_FRACTION_ROUNDING = 0.005  # Transformers prints the epoch with two decimals


class PerEpoch(NamedTuple):
    """N, updates per epoch, or None; with the reason."""

    value: float | None
    choice: Choice | None


def updates_per_epoch(run: Run, record: Recording, axis: Axis, batch_size: int | None) -> PerEpoch:
    """N from the axis itself, the epoch column, a declared number, the checkpoints, or data set and batch size."""
    if axis.unit != "update":
        return PerEpoch(None, None)
    for value, why in _estimates(run, record, axis, batch_size):
        if value is not None and value >= 1.0:
            return PerEpoch(value, Choice("updates per epoch", f"{value:g}", why))
    return PerEpoch(None, None)


def _estimates(run: Run, record: Recording, axis: Axis, batch_size: int | None) -> Iterator[tuple[float | None, str]]:
    yield axis.steps_per_epoch, "the step axis itself counts within the epoch"
    declared = number_hint(run, "steps_per_epoch")
    steps, epochs = _pairs(record, axis)
    if len(steps):
        yield from_pairs(steps, epochs, declared), "where the logged epoch changes along the steps"
    yield declared, "declared in a file of the run"
    yield _from_checkpoints(run), "the checkpoints' step and epoch counters"
    yield _from_dataset(run, batch_size), "declared data set size over batch size"


def _pairs(record: Recording, axis: Axis) -> tuple[FloatArray, FloatArray]:
    """All (step, epoch) pairs logged side by side, or as a series named "epoch"."""
    steps, epochs = [np.empty(0)], [np.empty(0)]
    for series in record.series:
        epoch = _epoch_of(series)
        if epoch is not None:
            steps.append(on_axis(axis, series))
            epochs.append(epoch)
    all_steps, all_epochs = np.concatenate(steps), np.concatenate(epochs)
    known = np.isfinite(all_steps) & np.isfinite(all_epochs) & (all_steps >= 0)
    return all_steps[known], all_epochs[known]


def _epoch_of(series: Series) -> FloatArray | None:
    if words(series.tag) in (("epoch",), ("train", "epoch"), ("trainer", "epoch")):
        return series.values
    axes = series.axes.items()
    return next((axis for name, axis in axes if name.strip().lower().rsplit("/", 1)[-1] == "epoch"), None)


def from_pairs(steps: FloatArray, epochs: FloatArray, declared: float | None = None) -> float | None:
    """N from 0-based steps and the epoch at each, whole (0- or 1-based) or fractional; None where it stays open."""
    if bool((epochs == np.round(epochs)).all()) and len(np.unique(epochs)) > 0:
        start = 1.0 if epochs.min() == 1.0 and steps[np.argmin(epochs)] < steps.max() else 0.0
        return _from_whole(steps, epochs - start, declared)
    return _from_fractions(steps, epochs)


def _from_whole(steps: FloatArray, epochs: FloatArray, declared: float | None) -> float | None:
    """floor(s / N) = e bounds N: max (s + 1) / (e + 1) <= N <= min s / e. A bound met exactly is N."""
    later = epochs > 0
    if not later.any():
        return None
    lows, highs = (steps + 1.0) / (epochs + 1.0), steps[later] / epochs[later]
    low, high = float(lows.max()), float(highs.min())
    if math.ceil(low) > math.floor(high) and not math.isclose(low, high, rel_tol=1e-9):
        return None
    if declared is not None and low <= declared <= high:
        return declared
    if math.ceil(low) == math.floor(high):
        return float(math.ceil(low))
    if _met(low, lows, steps + 1.0, high - low):
        return low
    if _met(high, highs, steps[later], high - low):
        return high
    return (low + high) / 2.0 if high - low <= _TIGHT * low else None


def _met(bound: float, bounds: FloatArray, at: FloatArray, width: float) -> bool:
    """Whether a whole bound is N and not chance: little else is possible, or it is met off the grid of the log.

    A row at an epoch's end or start (validation, an LR logged once an epoch) does not lie on the regular log interval.
    """
    if bound != round(bound):
        return False
    distinct = np.unique(at)
    interval = float(np.median(np.diff(distinct))) if len(distinct) > 2 else 1.0
    off_grid = (at[bounds == bound] - distinct[0]) % interval != 0
    return width <= _LOOSE * bound or bool(off_grid.any())


def _from_fractions(steps: FloatArray, epochs: FloatArray) -> float | None:
    """The k-th update ends at epoch k / N, printed with some decimals: the bounds of all points together give N."""
    updates = steps + 1.0
    far = epochs > 0.1 * epochs.max()
    rounding = _FRACTION_ROUNDING if bool((np.abs(epochs * 100 - np.round(epochs * 100)) < 1e-6).all()) else 1e-9
    if not far.any() or epochs.max() <= 0:
        return None
    low = float((updates[far] / (epochs[far] + rounding)).max())
    high = float((updates[far] / np.maximum(epochs[far] - rounding, 1e-12)).min())
    ratio = float(np.median(updates[far] / epochs[far]))
    if low > high:
        return ratio if (low - high) <= _TIGHT * ratio else None
    nearest = float(round(ratio))
    return nearest if low * (1 - 1e-9) <= nearest <= high * (1 + 1e-9) else (low + high) / 2.0


def _from_checkpoints(run: Run) -> float | None:
    """Lightning stores the index of the epoch that just ended, Transformers the number (with fraction) of epochs."""
    for saved in reversed(run.checkpoints):
        if saved.global_step and saved.epoch is not None:
            lightning = is_framework(run, "lightning") or saved.framework == "lightning"
            done = saved.epoch + 1.0 if lightning else saved.epoch
            if done > 0 and math.isclose(saved.global_step / done, round(saved.global_step / done), rel_tol=1e-3):
                return float(round(saved.global_step / done))
    return None


def _from_dataset(run: Run, batch_size: int | None) -> float | None:
    size = number_hint(run, "dataset_size")
    return float(math.ceil(size / batch_size)) if size and batch_size else None
