"""The executed LR and the LR of the fix as two lines of characters on one scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.report.sparkline import WIDTH, sparkline


@dataclass(frozen=True, slots=True)
class LrCurves:
    """`fixed` is empty where there is no fix to draw."""

    executed: str
    fixed: str


def lr_curves(diagnosis: Diagnosis, *, width: int = WIDTH) -> LrCurves | None:
    """The lead group's LR and its remedy's at the logged steps; None where no finite LR was logged.

    One scale, because a LR that stays at the foot of its cycle looks healthy on a scale of its own.
    """
    lead = diagnosis.trajectory.lead
    if lead is None or not np.isfinite(lead.lr).any():
        return None
    top = diagnosis.trajectory.peak_lr
    remedy = diagnosis.remedy.schedule if diagnosis.remedy is not None else None
    if remedy is None:
        return LrCurves(sparkline(lead.steps, lead.lr, width=width, top=top), "")
    fixed = remedy.lr_at(lead.steps)
    top = float(np.nanmax([top, *fixed[np.isfinite(fixed)]]))
    executed = sparkline(lead.steps, lead.lr, width=width, top=top)
    return LrCurves(executed, sparkline(lead.steps, fixed, width=width, top=top))
