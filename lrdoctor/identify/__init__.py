"""Trajectory -> Identification: which schedule explains the executed learning rate, and how sure that is.

The exact closed forms come first, to the rounding of the log; least squares only where none of them fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lrdoctor.identify.pieces import read_group
from lrdoctor.model.identification import Fit, GroupIdentification, Identification
from lrdoctor.model.run import Checkpoint
from lrdoctor.model.trajectory import GroupTrajectory, Trajectory
from lrdoctor.schedules.scaled import scaled

__all__ = ["identify"]


def identify(trajectory: Trajectory, checkpoints: Sequence[Checkpoint] = ()) -> Identification:
    """The schedule of every parameter group. What a checkpoint states is tried first, and confirmed or not."""
    found: list[tuple[GroupTrajectory, GroupIdentification]] = []
    for group in trajectory.groups:
        alike = next((one for one in found if _factor(one[0], group) is not None), None)
        factor = _factor(alike[0], group) if alike is not None else None
        if alike is not None and factor is not None:
            fits = tuple(_scaled_fit(fit, factor) for fit in alike[1].fits)
        else:
            fits = read_group(trajectory, group, checkpoints)
        if fits:
            found.append((group, GroupIdentification(group.name, fits)))
    return Identification(tuple(identification for _, identification in found))


def _factor(known: GroupTrajectory, group: GroupTrajectory) -> float | None:
    """How many times the LR of `known` the group has throughout; None where that is not one number."""
    if known.lr.shape != group.lr.shape or not np.array_equal(known.steps, group.steps):
        return None
    here = known.lr != 0
    if not here.any() or not np.array_equal(here, group.lr != 0):
        return None
    ratio = group.lr[here] / known.lr[here]
    factor = float(np.median(ratio))
    return factor if factor > 0 and bool((np.abs(ratio - factor) <= 1e-7 * factor).all()) else None


def _scaled_fit(fit: Fit, factor: float) -> Fit:
    if factor == 1.0:
        return fit
    return replace(fit, schedule=scaled(fit.schedule, factor), whole=scaled(fit.whole, factor))
