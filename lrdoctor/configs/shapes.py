"""Building blocks of the frameworks' schedules: a ramp where there is one, lengths as the families take them."""

from __future__ import annotations

from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import Stepped, Warmup


def ticks(value: float) -> int:
    """A length for a schedule family. They compute with real numbers; torch's arguments, and so theirs, are whole."""
    return int(value) if float(value).is_integer() else value  # type: ignore[return-value]  # see above


def warmed(main: Schedule, steps: float, start_factor: float = 0.0, kind: str = "linear") -> Schedule:
    """`main` behind a ramp of `steps` ticks; `main` itself where there is none."""
    return Warmup(main, steps, start_factor, kind) if steps > 0 else main


def ahead(schedule: Schedule, by: float) -> Schedule:
    """The schedule read `by` ticks further on: frameworks that count from one, or join parts on a common clock."""
    return Stepped(schedule, first_tick=by) if by else schedule
