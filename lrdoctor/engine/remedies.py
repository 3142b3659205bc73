"""Changes a remedy makes to a schedule: other LRs, another horizon. Compositions are changed in their parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules.scaled import scaled as scaled

_HORIZONS = ("T_max", "total_iters", "total_steps")


def with_horizon(schedule: Schedule, ticks: int) -> Schedule:
    """A family with a planned end, ending after `ticks` instead; families without one are returned as they are."""
    return _replaced(schedule, {name: ticks for name in _HORIZONS if hasattr(schedule, name)})


def _replaced(schedule: Any, changes: dict[str, Any]) -> Schedule:
    changed: Schedule = replace(schedule, **changes)
    return changed
