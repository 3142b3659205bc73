"""The identification as a table: one row a stretch of each parameter group."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.model.identification import Fit
from lrdoctor.model.trajectory import StepUnit
from lrdoctor.report import numbers as fmt
from lrdoctor.report.printable import printable
from lrdoctor.report.words import schedule_words


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """`group` names as one text the groups that share this reading."""

    group: str
    span: str
    reading: str
    params: tuple[tuple[str, str], ...]
    fit_error: str
    confidence: str
    runner_up: str
    assumed: tuple[str, ...]


def schedule_rows(diagnosis: Diagnosis) -> tuple[ScheduleRow, ...]:
    """One row a fit; groups that read the same (bias and no-decay groups mostly do) share their rows."""
    unit = diagnosis.trajectory.step_unit
    sharing: dict[tuple[ScheduleRow, ...], list[str]] = {}
    for group in diagnosis.identification.groups:
        sharing.setdefault(tuple(_row(fit, unit) for fit in group.fits), []).append(printable(group.name))
    return tuple(replace(row, group=_names(names)) for rows, names in sharing.items() for row in rows)


def _row(fit: Fit, unit: StepUnit) -> ScheduleRow:
    known = fit.family != "Unknown"
    error = "exact to rounding" if fit.exact else fmt.small(fit.fit_error)
    return ScheduleRow(
        group="",
        span=f"{fmt.count(fit.first_step)} to {fmt.count(fit.last_step)}",
        reading=schedule_words(fit, unit),
        params=tuple((key, fmt.value(value)) for key, value in fit.schedule.params().items()),
        fit_error=error if known else fmt.NOTHING,
        confidence=fmt.share(fit.confidence) if known else fmt.NOTHING,
        runner_up=fit.runner_up or fmt.NOTHING,
        assumed=tuple(printable(text) for text in fit.assumed),
    )


def _names(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {fmt.plural(len(names) - 1, 'more group')}"
