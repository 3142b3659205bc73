"""The series on which sessions are found: the LR, or a training loss that was logged more densely beside it."""

from __future__ import annotations

import numpy as np

from lrdoctor.reconstruct.axis import Axis
from lrdoctor.reconstruct.logged import Logged, gather
from lrdoctor.reconstruct.names import is_total_loss, role_of
from lrdoctor.reconstruct.recording import Recording
from lrdoctor.reconstruct.sessions import find_sessions

_SAME_SPAN = (0.5, 2.0)  # a loss on the same axis ends near where the LR ends


def choose_clock(record: Recording, axis: Axis, lead: Logged) -> Logged:
    """The lead, unless the loss shows restarts that fall between the lead's points.

    An LR logged once an epoch repeats a step at most where a resume went back; the loss of each step shows it.
    """
    dense = densest_loss(record, axis, lead.paths)
    if dense is None or len(dense) <= len(lead) or not _same_axis(dense, lead):
        return lead
    return dense if find_sessions(dense).count > find_sessions(lead).count else lead


def densest_loss(record: Recording, axis: Axis, paths: tuple[str, ...]) -> Logged | None:
    """The whole training loss with the most points; None where only parts or none was logged."""
    losses = [tag for tag in record.tags if role_of(tag) == "train-loss" and is_total_loss(tag)]
    found = [gather(tag, record.of_tag(tag), axis, paths) for tag in losses]
    return max(found, key=len, default=None)


def _same_axis(dense: Logged, lead: Logged) -> bool:
    """Whether both end at about the same step and every file with the LR has the loss."""
    if not len(lead) or not np.isin(np.unique(lead.file), dense.file).all():
        return False
    low, high = _SAME_SPAN
    return low * float(lead.steps.max()) <= float(dense.steps.max()) <= high * max(float(lead.steps.max()), 1.0)
