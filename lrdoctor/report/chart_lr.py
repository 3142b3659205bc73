"""The layers of the learning-rate chart: what was executed, which schedule explains it, and the fix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lrdoctor.model.arrays import FloatArray, floats
from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.model.schedule import Schedule
from lrdoctor.model.trajectory import GroupTrajectory, Trajectory
from lrdoctor.report.downsample import keep
from lrdoctor.report.printable import printable
from lrdoctor.report.trace import LR_AXES, Layer, Style, line

LEAD_POINTS = 4000
FIT_POINTS = 1200
FIX_POINTS = 2000
OTHER_POINTS = 8000  # shared by all other groups
OVERLAP_POINTS = 2000  # shared by all overlaps
MAX_GROUPS = 24
MAX_OVERLAPS = 24
_GROUP_COLOURS = 6


def lr_layers(diagnosis: Diagnosis) -> tuple[Layer, ...]:
    """The layers, bottom first. Empty where no learning rate was logged and there is no fix to draw."""
    return tuple(
        layer
        for layers in (
            _overlaps(diagnosis.trajectory),
            _others(diagnosis.trajectory),
            _executed(diagnosis.trajectory),
            _identified(diagnosis),
            _fix(diagnosis),
        )
        for layer in layers
    )


def _executed(trajectory: Trajectory) -> Iterator[Layer]:
    if trajectory.lead is not None and len(trajectory.lead.lr):
        style = Style("executed", dots=True, width=2.5)
        yield Layer("executed", style, (_group(trajectory.lead, style, LEAD_POINTS, name="executed"),))


def _others(trajectory: Trajectory) -> Iterator[Layer]:
    others = trajectory.groups[1 : 1 + MAX_GROUPS]
    for i, group in enumerate(others):
        style = Style(f"group{i % _GROUP_COLOURS + 1}", width=1.5, shown=False)
        yield Layer(printable(group.name), style, (_group(group, style, OTHER_POINTS // len(others)),), rank=4)


def _overlaps(trajectory: Trajectory) -> Iterator[Layer]:
    overlaps = trajectory.overlaps[:MAX_OVERLAPS]
    if overlaps:
        style = Style("executed", width=1.5, opacity=0.35)
        budget = OVERLAP_POINTS // len(overlaps)
        name = "trained again later"
        yield Layer(name, style, tuple(line(name, o.steps, o.lr, style, LR_AXES, budget) for o in overlaps), "faded", 3)


def _identified(diagnosis: Diagnosis) -> Iterator[Layer]:
    lead = diagnosis.identification.lead
    fits = [fit for fit in lead.fits if fit.family != "Unknown"] if lead else []
    if not fits or diagnosis.trajectory.lead is None:
        return
    style = Style("identified", dash="dot", width=2)
    logged = diagnosis.trajectory.lead
    where = keep(logged.steps, logged.lr, FIT_POINTS)
    name = f"identified: {' + '.join(dict.fromkeys(fit.family for fit in fits))}"
    traces = []
    for fit in fits:
        steps = _grid(fit.first_step, fit.last_step, logged.steps[where])
        traces.append(line(f"identified {fit.family}", steps, _evaluate(fit.whole, steps), style, LR_AXES, FIT_POINTS))
    yield Layer(name, style, tuple(traces), "dot", 1)


def _fix(diagnosis: Diagnosis) -> Iterator[Layer]:
    style = Style("fix", width=2, dash="dash")
    if diagnosis.replay is not None:
        steps, lr = diagnosis.replay.steps, diagnosis.replay.lr
        name = "fix, stepped through torch"
    elif diagnosis.remedy is not None and diagnosis.remedy.schedule is not None:
        steps = _grid(0.0, max(diagnosis.trajectory.steps - 1.0, 1.0), np.empty(0))
        lr = _evaluate(diagnosis.remedy.schedule, steps)
        name = "fix"
    else:
        return
    yield Layer(name, style, (line("fix", steps, lr, style, LR_AXES, FIX_POINTS),), "dash", 2)


def _group(group: GroupTrajectory, style: Style, budget: int, name: str | None = None) -> dict[str, object]:
    return line(name or group.name, group.steps, group.lr, style, LR_AXES, budget)


def _grid(first: float, last: float, logged: FloatArray) -> FloatArray:
    """Even steps between `first` and `last` (whole ones where there are enough), and the logged ones among them."""
    even = np.linspace(first, last, FIT_POINTS)
    if last - first >= FIT_POINTS:
        even = np.rint(even)
    inside = logged[(logged >= first) & (logged <= last)]
    return floats(np.unique(np.concatenate([even, inside])))


def _evaluate(schedule: Schedule, steps: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        return schedule.lr_at(steps)
