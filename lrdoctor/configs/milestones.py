"""Milestones that a run does not live to see."""

from __future__ import annotations

from lrdoctor.model.count import Count
from lrdoctor.model.plan import Ignored, Setting


def late(
    given: Setting[tuple[float, ...]] | None, total: Count, unit: str, length: Setting[float] | None
) -> list[Ignored]:
    """The milestones at or behind the end of a run whose length is known, as one remark."""
    marks = [mark for mark in given.value if total.known and mark >= total.low] if given is not None else []
    if given is None or not marks:
        return []
    told = ", ".join(f"{mark:g}" for mark in marks)
    why = f"the run ends after {total.low:,.0f} {unit}s, before {told} {'comes' if len(marks) == 1 else 'come'}"
    return [Ignored(given, why, "place the milestones within the run", instead=length)]
