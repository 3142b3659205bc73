"""Where to look on the charts: sessions, jumps of the schedule, the end of the warmup, and the findings' spans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.model.finding import SEVERITIES, Finding
from lrdoctor.report import numbers as fmt
from lrdoctor.report.clean import chart_text
from lrdoctor.report.trace import LANE_AXES, Json

MAX_MARKS = 40
MAX_LANES = 8
_JUMPING = ("StepLR", "MultiStepLR", "CosineAnnealingWarmRestarts")
_JUMP = np.log(1.5)  # the smallest change of one step worth a line; chosen by us, as in the milestone rule
_APART = 0.09  # labels closer than this share of the run would overlap: the later one is left out
_WIDE = 0.6  # a span over more than this share of the run is not shaded: the shade would be the background


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at a trajectory step."""

    step: float
    label: str
    kind: str


def marks(diagnosis: Diagnosis) -> tuple[Mark, ...]:
    """At most MAX_MARKS lines, by step; sessions come before milestones where there are too many."""
    found = [*_sessions(diagnosis), *_warmup(diagnosis), *_jumps(diagnosis)][:MAX_MARKS]
    return tuple(sorted(found, key=lambda mark: (mark.step, mark.label)))


def _sessions(diagnosis: Diagnosis) -> Iterator[Mark]:
    for segment in diagnosis.trajectory.segments[1:]:
        yield Mark(segment.first_step, "resumed" if segment.resumed else "started over", "session")


def _warmup(diagnosis: Diagnosis) -> Iterator[Mark]:
    lead = diagnosis.identification.lead
    if lead is None:
        return
    first = lead.fits[0]
    if first.warmup is not None:
        end = first.warmup_span
        if first.first_step < end <= first.last_step:
            yield Mark(end, "warmup ends", "milestone")


def _jumps(diagnosis: Diagnosis) -> Iterator[Mark]:
    lead, reading = diagnosis.trajectory.lead, diagnosis.identification.lead
    if lead is None or reading is None or len(lead.lr) < 2 or all(fit.family not in _JUMPING for fit in reading.fits):
        return
    with np.errstate(all="ignore"):
        ratio = lead.lr[1:] / lead.lr[:-1]
        jump = np.abs(np.log(ratio)) > _JUMP
    jump &= np.isfinite(ratio) & (ratio > 0) & (np.diff(lead.segment) == 0)
    for i in np.flatnonzero(jump):
        step = float(lead.steps[i + 1])
        if any(fit.family in _JUMPING and fit.first_step <= step <= fit.last_step for fit in reading.fits):
            yield Mark(step, f"\N{MULTIPLICATION SIGN}{ratio[i]:.2g}", "milestone")


def mark_shapes(found: tuple[Mark, ...]) -> list[Json]:
    """The lines as plotly shapes through all panels."""
    return [
        {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": mark.step,
            "x1": mark.step,
            "y0": 0,
            "y1": 1,
            "layer": "below",
            "line": {
                "color": f"@{mark.kind}",
                "width": 1.5 if mark.kind == "session" else 1,
                "dash": "dash" if mark.kind == "session" else "dot",
            },
        }
        for mark in found
    ]


def mark_labels(found: tuple[Mark, ...], height: float, steps: int) -> list[Json]:
    """The lines' labels at `height` of the figure, as many as fit side by side."""
    shown: list[Mark] = []
    for mark in found:
        if not shown or mark.step - shown[-1].step >= _APART * steps:
            shown.append(mark)
    return [
        {
            "xref": "x",
            "yref": "paper",
            "x": mark.step,
            "y": height,
            "text": chart_text(mark.label),
            "showarrow": False,
            "font": {"size": 11, "color": "@muted"},
            "bgcolor": "@surface",
            "borderpad": 2,
        }
        for mark in shown
    ]


def lanes(findings: tuple[Finding, ...]) -> list[tuple[str, list[Finding]]]:
    """The findings of each code, worst first, one lane a code."""
    by_code: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=lambda f: (_rank(f), f.code, f.first_step)):
        by_code.setdefault(finding.code, []).append(finding)
    return list(by_code.items())[:MAX_LANES]


def lane_traces(rows: list[tuple[str, list[Finding]]], steps: int) -> list[Json]:
    """One thick bar a finding in the strip above the LR chart."""
    return [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": chart_text(finding.code),
            "x": _span(finding, steps),
            "y": [row, row],
            "xaxis": LANE_AXES.x,
            "yaxis": LANE_AXES.y,
            "line": {"color": f"@{severity(finding)}", "width": 6},
            "marker": {"color": f"@{severity(finding)}", "size": 8, "symbol": "square"},
            "hovertemplate": _hover(finding),
            "showlegend": False,
        }
        for row, (_, findings) in enumerate(rows)
        for finding in findings
    ]


def span_shapes(findings: tuple[Finding, ...], steps: int) -> list[Json]:
    """A light shade on both panels for findings that concern a part of the run only."""
    return [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": finding.first_step,
            "x1": finding.last_step,
            "y0": 0,
            "y1": 1,
            "layer": "below",
            "line": {"width": 0},
            "fillcolor": f"@{severity(finding)}-shade",
        }
        for finding in findings
        if steps and 0 < finding.last_step - finding.first_step < _WIDE * steps
    ][:MAX_MARKS]


def span_text(finding: Finding) -> str:
    if finding.first_step == finding.last_step:
        return f"step {fmt.count(finding.first_step)}"
    return f"steps {fmt.count(finding.first_step)} to {fmt.count(finding.last_step)}"


def severity(finding: Finding) -> str:
    return finding.severity or "warning"


def _rank(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity) if finding.severity else 1


def _span(finding: Finding, steps: int) -> list[float]:
    last = min(finding.last_step, max(steps - 1.0, finding.first_step))
    return [finding.first_step, last]


def _hover(finding: Finding) -> str:
    return f"{chart_text(finding.name)}, {span_text(finding)}<extra>{chart_text(finding.code)}</extra>"
