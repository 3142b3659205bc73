"""The same schedule at another height."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules.floored import Floored
from lrdoctor.schedules.joined import Overlaid, Sequence, Stepped, Warmup
from lrdoctor.schedules.product import Held, Product
from lrdoctor.schedules.unknown import Unknown

_RATES = ("lr", "max_lr", "eta_min", "base_lr", "min_lr", "start_lr", "end_lr")


def scaled(schedule: Schedule, factor: float) -> Schedule:
    """The same shape with every LR multiplied by `factor`; compositions are changed in their parts."""
    if isinstance(schedule, Warmup | Overlaid):
        return replace(schedule, main=scaled(schedule.main, factor))
    if isinstance(schedule, Stepped | Held):
        return replace(schedule, schedule=scaled(schedule.schedule, factor))
    if isinstance(schedule, Floored):
        return replace(schedule, schedule=scaled(schedule.schedule, factor), least=schedule.least * factor)
    if isinstance(schedule, Product):
        return replace(schedule, main=scaled(schedule.main, factor))
    if isinstance(schedule, Sequence):
        return replace(schedule, parts=tuple(scaled(part, factor) for part in schedule.parts))
    if isinstance(schedule, Unknown):
        return replace(schedule, lrs=tuple(lr * factor for lr in schedule.lrs))
    own = {one.name for one in fields(schedule)}  # type: ignore[arg-type]  # every family is a dataclass
    return _replaced(schedule, {name: getattr(schedule, name) * factor for name in _RATES if name in own})


def _replaced(schedule: Any, changes: dict[str, float]) -> Schedule:
    changed: Schedule = replace(schedule, **changes)
    return changed
