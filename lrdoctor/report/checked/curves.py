"""The learning rate a plan will produce, before and after a change, as lines of characters on one scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrdoctor.engine.config_findings import planned_lrs
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.plan import Plan
from lrdoctor.report.sparkline import BLOCKS, sparkline

STAND_IN = 1000.0
"""The length a plan of unknown length is drawn at, where its shape follows the length."""


@dataclass(frozen=True, slots=True)
class PlanCurves:
    """`before` is empty where there is no plan to compare with."""

    before: str
    after: str


def drawn(plan: Plan) -> tuple[FloatArray, FloatArray] | None:
    """(steps, learning rates), both (T,); None where nothing can be drawn honestly."""
    total = plan.total.value
    if total is None:
        fixed = plan.warmup is not None and plan.warmup.fraction is None
        total = None if fixed or plan.horizon is not None else STAND_IN
    return planned_lrs(plan, total) if total is not None else None


def plan_curves(plan: Plan | None, base: Plan | None, *, width: int, blocks: str = BLOCKS) -> PlanCurves:
    """The plan and the one before it; both empty where they cannot be drawn."""
    now = drawn(plan) if plan is not None else None
    then = drawn(base) if base is not None else None
    tops = [float(np.nanmax(curve[1])) for curve in (now, then) if curve is not None and np.isfinite(curve[1]).any()]
    if now is None or not tops:
        return PlanCurves("", "")
    if plan is not None and plan.lr is not None:
        tops.append(plan.lr.value)  # a peak that is never reached is to be seen
    before = sparkline(*then, width=width, blocks=blocks, top=max(tops)) if then is not None else ""
    after = sparkline(*now, width=width, blocks=blocks, top=max(tops))
    return PlanCurves("" if before == after else before, after)
