"""Warmups that run beside the main schedule's own clock (timm, Ultralytics, MMCV), and rises that never ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lrdoctor.identify.candidate import Candidate, digits, make_candidate
from lrdoctor.identify.models import MODELS
from lrdoctor.identify.plateaus import shortest
from lrdoctor.identify.smooth import smooth_candidates
from lrdoctor.identify.stretch import Stretch
from lrdoctor.model.identification import WarmupShape
from lrdoctor.schedules import LinearLR, Sequence, Stepped

_COST = 2.0
_RISE_TRUST = 0.4  # what comes after the rise is the schedule, and it was not seen
_CURVED = tuple(model for model in MODELS if model.family in ("CosineAnnealingLR", "PolynomialLR"))


def overlaid_candidates(stretch: Stretch) -> Iterator[Candidate]:
    """The main schedule counts from tick 0 all along; a ramp towards its peak stands in for it at first.

    `Candidate.schedule` starts in the middle: at the tick at which the ramp gives way to it.
    """
    top = stretch.top
    if top < 2 or len(stretch) - top < 4:
        return
    rest = stretch.at(slice(top, None))
    for main in smooth_candidates(rest, _CURVED):
        if main.warmup is None and main.misfit(rest) <= 1.0:
            yield from _behind_ramp(stretch, main)


def _behind_ramp(stretch: Stretch, main: Candidate) -> Iterator[Candidate]:
    t, lr = stretch.t[: stretch.top] + main.shift, stretch.lr[: stretch.top]
    slope, start = np.polyfit(t, lr, 1)
    peak = main.schedule.peak_lr
    if slope <= 0 or start >= peak:
        return
    factor = shortest(max(float(start), 0.0) / peak, 0.5 * float(stretch.tol[0]) / peak)
    reached = (peak - float(start)) / float(slope)
    steps = float(round(reached)) if abs(reached - round(reached)) < 1e-3 else reached
    if not t[-1] < steps:
        return
    ramp = LinearLR(peak, int(steps) if steps.is_integer() else steps, factor, 1.0)  # type: ignore[arg-type]
    late = Stepped(main.schedule, 1.0, "update", 0.0, steps)
    whole = Sequence((ramp, late), (steps,))
    cost = main.cost + _COST + digits(steps) + digits(factor)
    yield Candidate(late, whole, main.free + 2, cost, main.shift, WarmupShape("linear", steps, factor))


def rise_candidates(stretch: Stretch) -> Iterator[Candidate]:
    """A straight rise to the very last point: a warmup that had not ended when the log did."""
    if stretch.top < len(stretch) - 1 or len(stretch) < 4:
        return
    slope, start = np.polyfit(stretch.t, stretch.lr, 1)
    if slope <= 0:
        return
    last = stretch.last
    peak = float(start + slope * last)
    factor = shortest(max(float(start), 0.0) / peak, float(stretch.tol[-1]) / peak)
    line = LinearLR(peak, int(last) if last.is_integer() else last, factor, 1.0)  # type: ignore[arg-type]
    rise = make_candidate(line, [peak, factor], assumed=("the rise had not ended when the log did",))
    yield replace(rise, trust=_RISE_TRUST)
