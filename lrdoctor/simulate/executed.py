"""The learning rate of every update of a run, from the points that were logged and the schedule behind them."""

from __future__ import annotations

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.identification import Identification
from lrdoctor.model.trajectory import Trajectory

TRUSTED_FIT_ERROR = 0.01
"""A fitted schedule further than this from the log, in peaks, is not used between the logged points."""

_EARLY_PEAK = 0.2  # a peak reached later than this part of the run is a shape, not a warmup


def executed_lr(trajectory: Trajectory, identification: Identification) -> FloatArray:
    """(T,) LR of updates 0 to T-1 of the lead group: the identified schedule where it fits, else the log's points."""
    lead = trajectory.lead
    assert lead is not None  # the gate has seen to it
    finite = np.isfinite(lead.lr)
    updates = np.arange(trajectory.steps, dtype=np.float64)
    lr = np.interp(updates, lead.steps[finite], lead.lr[finite])
    known = identification.lead
    for index, fit in enumerate(known.fits if known else ()):
        if fit.family == "Unknown" or not fit.fit_error <= TRUSTED_FIT_ERROR:
            continue
        first = 0.0 if index == 0 else fit.first_step
        here = (updates >= first) & (updates <= fit.last_step)
        lr[here] = fit.whole.lr_at(updates[here])
    return np.maximum(lr, 0.0)


def warmup_updates(lr: FloatArray, identification: Identification) -> int:
    """Updates of the warmup: as identified, else up to 95 % of the peak where that is reached early."""
    known = identification.lead
    if known is not None and known.fits[0].warmup is not None:
        return int(known.fits[0].warmup_span)
    reached = int(np.argmax(lr >= 0.95 * lr.max()))
    return reached if reached <= _EARLY_PEAK * len(lr) else 0
