"""A planned schedule in the contract's fields; what follows a length that is not known is null."""

from __future__ import annotations

from typing import Any

from lrdoctor.model.plan import Plan
from lrdoctor.model.schedule import Schedule
from lrdoctor.report.describe import describe

STAND_INS = (100_003, 200_017)
"""Two lengths to build a schedule of unknown length at: what differs between the two follows the length."""


def schedule_fields(plan: Plan) -> dict[str, Any] | None:
    """The contract's `schedule` of a plan; None where not even the family is known."""
    total = plan.total.value
    if total is not None:
        schedule = plan.built(total)
        return _unbuilt(plan) if schedule is None else _fields(plan, schedule, total)
    built = [(plan.built(float(length)), float(length)) for length in STAND_INS]
    fields = [_fields(plan, schedule, length) for schedule, length in built if schedule is not None]
    return _common(*fields) if len(fields) == len(STAND_INS) else _unbuilt(plan)


def _fields(plan: Plan, schedule: Schedule, total: float) -> dict[str, Any]:
    last = max(total - 1.0, 0.0)
    return {
        **describe(schedule, plan.unit).fields(),
        "peak_lr": plan.lr.value if plan.lr is not None else schedule.peak_lr,
        "final_lr": float(schedule.lr_at([last])[0]),
        "horizon_steps": schedule.horizon,
        "fit_error": None,
        "step_unit": plan.unit,
    }


def _unbuilt(plan: Plan) -> dict[str, Any] | None:
    if plan.family == "Unknown" and plan.lr is None:
        return None
    return {
        "family": plan.family,
        "stepped": None,
        "params": {},
        "warmup": None,
        "first_step": None,
        "peak_lr": plan.lr.value if plan.lr is not None else None,
        "final_lr": None,
        "horizon_steps": None,
        "fit_error": None,
        "step_unit": plan.unit,
    }


def _common(one: Any, other: Any) -> Any:
    """What both agree on, null where they differ; mappings and lists of one length are gone through."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: _common(one[key], other.get(key)) for key in one}
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [_common(left, right) for left, right in zip(one, other, strict=True)]
    return one if one == other else None
