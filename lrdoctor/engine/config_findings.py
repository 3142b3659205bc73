"""What rules need to speak of a training config: a finding about a setting, and the schedule a plan leads to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.finding import Finding, Remedy, Severity
from lrdoctor.model.plan import Plan, Setting

POINTS = 2000
"""A planned schedule is looked at in so many points at most."""


def config_finding(
    plan: Plan,
    about: Setting[Any] | None,
    measured: str,
    expected: str,
    consequence: str,
    cure: str,
    *,
    evidence: Mapping[str, float | int | str | bool | None] | None = None,
    severity: Severity | None = None,
    code: str = "",
) -> Finding:
    """A finding at the place of `about`: the setting to change. Without one, or without a place, at the file's start.

    `cure` says what to write instead, `code` is it as text to paste. The steps are those of the planned run.
    """
    total = plan.total.value
    return Finding(
        measured=measured,
        expected=expected,
        consequence=consequence,
        first_step=0.0,
        last_step=max(0.0, total - 1.0) if total is not None else 0.0,
        evidence={"framework": plan.framework, **(evidence or {})},
        remedy=Remedy(cure, None, code),
        severity=severity,
        place=about.place if about is not None else None,
        key=about.key if about is not None else "",
    )


def planned_lrs(plan: Plan, total: float) -> tuple[FloatArray, FloatArray] | None:
    """(steps, learning rates), both (T,), of a run of `total` steps; None where the plan builds no schedule.

    Steps are whole updates or, for a plan in epochs, fractions of them. At most `POINTS`, the first and the last among
    them.
    """
    schedule = plan.built(total)
    if schedule is None:
        return None
    last = max(total - 1.0, 0.0) if plan.unit == "update" else total - 1e-9
    steps = np.linspace(0.0, last, int(min(POINTS, max(2.0, total))) if plan.unit == "update" else POINTS)
    steps = np.unique(np.rint(steps)) if plan.unit == "update" else steps
    with np.errstate(all="ignore"):
        return steps, schedule.lr_at(steps)
