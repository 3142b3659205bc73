"""The learning rate as a line 120 wide and 28 high, for the table of all runs, with the fix behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.report.downsample import keep

WIDTH = 120
HEIGHT = 28
_PAD = 2
_BOX = (_PAD, _PAD, WIDTH - 2 * _PAD, HEIGHT - 2 * _PAD)
_POINTS = 60  # thousands of these are in one page
_FIX_POINTS = 40


@dataclass(frozen=True, slots=True)
class Spark:
    """Points of two SVG polylines on one scale, from 0 at the bottom to the larger peak at the top; empty if absent."""

    executed: str = ""
    fix: str = ""


def spark(diagnosis: Diagnosis) -> Spark:
    """The lead group's LR over the run, and the remedy's."""
    lead = diagnosis.trajectory.lead
    if lead is None:
        return Spark()
    finite = np.isfinite(lead.lr) & np.isfinite(lead.steps)
    steps, lr = lead.steps[finite], lead.lr[finite]
    if not len(lr):
        return Spark()
    wanted_steps, wanted = _fix(diagnosis, float(steps[0]), float(steps[-1]))
    top = max(float(np.max(np.concatenate([lr, wanted]))), 0.0)
    index = keep(steps, lr, _POINTS)
    span = (float(steps[0]), float(steps[-1]))
    return Spark(polyline(steps[index], lr[index], span, top, _BOX), polyline(wanted_steps, wanted, span, top, _BOX))


def _fix(diagnosis: Diagnosis, first: float, last: float) -> tuple[FloatArray, FloatArray]:
    if diagnosis.remedy is None or diagnosis.remedy.schedule is None:
        return np.empty(0), np.empty(0)
    steps = np.linspace(first, last, _FIX_POINTS)
    with np.errstate(all="ignore"):
        lr = diagnosis.remedy.schedule.lr_at(steps)
    finite = np.isfinite(lr)
    return steps[finite], lr[finite]


def polyline(
    steps: FloatArray, lr: FloatArray, span: tuple[float, float], top: float, box: tuple[float, float, float, float]
) -> str:
    """The points of an SVG polyline in `box` (left, top, width, height): `span` across, 0 to `top` upwards."""
    (first, last), (left, above, width, height) = span, box
    across = (steps - first) / (last - first) if last > first else np.zeros(len(steps))
    up = np.clip(lr / top, 0.0, 1.0) if top > 0 else np.zeros(len(lr))
    x, y = left + across * width, above + height - up * height
    points = [f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)]
    if points and last <= first:  # a single point: a flat line
        points.append(f"{left + width:.1f},{y[0]:.1f}")
    return " ".join(points)


def points(
    steps: FloatArray,
    lr: FloatArray,
    span: tuple[float, float],
    top: float,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> str:
    """`lr` over `steps` as the points of a polyline in a box of `size`: 0 at its bottom, `top` at its top."""
    width, height = size
    return polyline(steps, lr, span, top, (_PAD, _PAD, width - 2 * _PAD, height - 2 * _PAD))
