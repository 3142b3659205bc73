"""Where an executed learning rate leaves the one that was due."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.model.trajectory import GroupTrajectory

BoolArray = npt.NDArray[np.bool_]

SHARE = 0.01
"""They are apart once they differ by more than this fraction of the larger one."""
_NOTHING = 1e-3  # of the peak: differences between learning rates below this mean nothing


@dataclass(frozen=True, slots=True)
class Apart:
    """At `step` the run used `observed` where `expected` was due."""

    step: float
    observed: float
    expected: float


def first_apart(group: GroupTrajectory, due: Schedule) -> Apart | None:
    """The first logged step at which the executed LR is off by more than 1 %; None where it never is."""
    expected = due.lr_at(group.steps)
    off = _off(group.lr, expected)
    return _at(group, expected, int(np.argmax(off))) if off.any() else None


def worst_apart(group: GroupTrajectory, due: Schedule) -> Apart | None:
    """The logged step at which the executed LR is farthest off, in LR; None where it never is by more than 1 %."""
    expected = due.lr_at(group.steps)
    if not _off(group.lr, expected).any():
        return None
    return _at(group, expected, int(np.nanargmax(np.abs(group.lr - expected))))


def _off(seen: FloatArray, expected: FloatArray) -> BoolArray:
    larger = np.maximum(np.abs(seen), np.abs(expected))
    peak = float(np.nanmax(larger, initial=0.0))
    off: BoolArray = np.abs(seen - expected) > np.maximum(SHARE * larger, _NOTHING * peak)
    return off


def _at(group: GroupTrajectory, expected: FloatArray, index: int) -> Apart:
    return Apart(float(group.steps[index]), float(group.lr[index]), float(expected[index]))
