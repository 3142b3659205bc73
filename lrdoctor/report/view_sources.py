"""What I read: files, what their side files state, sessions, and each choice the reconstruction made."""

from __future__ import annotations

from dataclasses import dataclass

from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.model.run import Source
from lrdoctor.report import numbers as fmt
from lrdoctor.report.printable import printable


@dataclass(frozen=True, slots=True)
class SourceRow:
    path: str
    kind: str
    points: str
    lr_points: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChoiceRow:
    what: str
    chosen: str
    why: str
    rejected: str


@dataclass(frozen=True, slots=True)
class HintRow:
    name: str
    value: str
    key: str
    path: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    span: str
    source: str
    how: str


@dataclass(frozen=True, slots=True)
class Reading:
    sources: tuple[SourceRow, ...]
    choices: tuple[ChoiceRow, ...]
    hints: tuple[HintRow, ...]
    sessions: tuple[SessionRow, ...]


def reading(diagnosis: Diagnosis) -> Reading:
    run, trajectory = diagnosis.run, diagnosis.trajectory
    lr_points = dict(trajectory.lr_points_by_source)
    return Reading(
        sources=tuple(
            _source(source, lr_points.get(source.path)) for source in sorted(run.sources, key=lambda s: s.path)
        ),
        choices=tuple(
            ChoiceRow(printable(c.what), printable(c.chosen), printable(c.why), printable(", ".join(c.rejected)))
            for c in trajectory.choices
        ),
        hints=tuple(
            HintRow(
                h.name,
                printable(fmt.value(h.value)) + (f" ({printable(h.detail)})" if h.detail else ""),
                printable(h.key),
                printable(h.path),
            )
            for h in sorted(run.hints, key=lambda h: (h.name, h.path, h.key))
        ),
        sessions=tuple(
            SessionRow(
                f"{fmt.count(s.first_step)} to {fmt.count(s.last_step)}", printable(s.source), _how(i, s.resumed)
            )
            for i, s in enumerate(trajectory.segments)
        ),
    )


def _source(source: Source, lr_points: int | None) -> SourceRow:
    notes = tuple(printable(str(note)) for note in source.notes)
    return SourceRow(
        printable(source.path), printable(source.kind), fmt.count(source.points), fmt.count(lr_points), notes
    )


def _how(index: int, resumed: bool) -> str:
    if index == 0:
        return "first session"
    return "resumed" if resumed else "started over"
