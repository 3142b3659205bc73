"""Building blocks of the frameworks' schedules: ramps, cycles, clocks, lengths as the families take them."""

from __future__ import annotations

from collections.abc import Callable

from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import Sequence, Stepped, Warmup

MOST_CYCLES = 1000


def ticks(value: float) -> int:
    """A length for a schedule family. They compute with real numbers; torch's arguments, and so theirs, are whole."""
    return int(value) if float(value).is_integer() else value  # type: ignore[return-value]  # see above


def warmed(main: Schedule, steps: float, start_factor: float = 0.0, kind: str = "linear") -> Schedule:
    """`main` behind a ramp of `steps` ticks; `main` itself where there is none."""
    return Warmup(main, steps, start_factor, kind) if steps > 0 else main


def ahead(schedule: Schedule, by: float) -> Schedule:
    """The schedule read `by` ticks further on: frameworks that count from one, or join parts on a common clock."""
    return Stepped(schedule, first_tick=by) if by else schedule


def cycles(total: float, length: Callable[[int], float], part: Callable[[int], Schedule]) -> Schedule:
    """part(0), part(1), ..., each for its length, as many as `total` ticks need. ValueError beyond MOST_CYCLES."""
    parts, marks, end = [part(0)], [], length(0)
    while end < total:
        if len(parts) == MOST_CYCLES or length(len(parts)) <= 0:
            raise ValueError(f"more than {MOST_CYCLES} cycles in {total:g} updates")
        marks.append(end)
        end += length(len(parts))
        parts.append(part(len(parts)))
    return Sequence(tuple(parts), tuple(marks)) if marks else parts[0]
