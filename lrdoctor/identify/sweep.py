"""A range test: a rise to the last point by one factor a tick, or by one amount while the loss falls and rises."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lrdoctor.identify.candidate import Candidate, digits, make_candidate
from lrdoctor.identify.plateaus import shortest
from lrdoctor.identify.stretch import Stretch
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.schedules import RangeTest

_FEWEST = 8  # points
_STATED = 3  # so many statements of one rise are tried
_LEAST_FACTOR = 10.0  # of the rise: nobody warms up by equal factors over more than a decade
_LEAST_RISE = 5.0  # of a straight rise that is told by its loss
_LONGEST = 20_000  # updates: a sweep is short
_FALLS = 0.05  # of the first loss: a loss that fell less does not tell where it turned
_NOISE = 6.0  # times the noise of the smoothed loss, for a rise that is one
_TOO_HIGH, _NOTHING = 0.5, 1e-3  # the last LR: the usual sweeps end at 1 or 10; the first one over it
_LINEAR_TRUST = 0.7  # a warmup that ended in divergence looks the same


def sweep_candidates(stretch: Stretch, trajectory: Trajectory) -> Iterator[Candidate]:
    """Readings of the stretch as a range test."""
    lr, t = stretch.lr, stretch.t
    if len(stretch) < _FEWEST or lr[0] < 0 or bool((np.diff(lr) <= 0).any()) or stretch.last > _LONGEST:
        return
    if lr[0] > 0 and lr[-1] >= _LEAST_FACTOR * lr[0]:
        slope, start = np.polyfit(t, np.log(lr), 1, w=lr / stretch.tol)
        yield from _statements(stretch, float(start), float(slope), "exp")
    if lr[-1] >= _LEAST_RISE * max(float(lr[0]), 1e-300) and (turns_up(trajectory) or _runs_far(lr, trajectory)):
        slope, start = np.polyfit(t, lr, 1, w=1.0 / stretch.tol)
        for found in _statements(stretch, float(start), float(slope), "linear"):
            yield replace(found, trust=_LINEAR_TRUST)


def _statements(stretch: Stretch, start: float, slope: float, mode: str) -> Iterator[Candidate]:
    """The same rise from the tick and over the length that make both ends plain numbers, plainest first."""
    unseen = (tick for tick in range(math.floor(stretch.last) + 1, math.floor(stretch.last + stretch.spacing) + 2))
    lengths = dict.fromkeys([stretch.last, stretch.last + 1.0, *map(float, unseen), *stretch.planned])
    stated = []
    for lead in (0.0, 1.0):
        for length in lengths:
            ends = _ends(stretch, start, slope, mode, lead, length)
            if ends is not None:
                stated.append((sum(map(digits, ends)) + 0.5 * abs(lead), lead, length, *ends))
    for _, lead, length, low, high in sorted(dict.fromkeys(stated), key=lambda one: one[0])[:_STATED]:
        test = RangeTest(low, high, int(length) if length.is_integer() else length, mode)  # type: ignore[arg-type]
        yield make_candidate(test, [low, high], shift=lead)


def _ends(
    stretch: Stretch, start: float, slope: float, mode: str, lead: float, length: float
) -> tuple[float, float] | None:
    """(LR at the tick `lead` before the first, LR `length` ticks later), in few digits where the log allows."""
    low, high = start - slope * lead, start + slope * (length - lead)
    doubts = 0.3 * float(stretch.tol[0]), 0.3 * float(stretch.tol[-1])
    if mode == "exp":
        low, high = float(np.exp(low)), float(np.exp(high))
        doubts = doubts[0] * low / float(stretch.lr[0]), doubts[1] * high / float(stretch.lr[-1])
    if low < -doubts[0]:
        return None
    ends = shortest(max(low, 0.0), doubts[0]), shortest(high, doubts[1])
    return ends if ends[1] > ends[0] and length > 0 and (ends[0] > 0 or mode == "linear") else None


def _runs_far(lr: FloatArray, trajectory: Trajectory) -> bool:
    """Whether the LR went from next to nothing to one that nobody trains with, and the loss to more than it began with.

    A straight sweep to so high an LR is past the best one after a few updates.
    """
    curve = trajectory.loss
    if lr[-1] < _TOO_HIGH or lr[0] > _NOTHING * lr[-1] or curve is None or len(curve) < _FEWEST:
        return False
    third = max(len(curve) // 3, 1)
    early, late = np.median(curve.values[:third]), np.median(curve.values[-third:])
    return not bool(np.isfinite(late)) or bool(late > early)


def turns_up(trajectory: Trajectory) -> bool:
    """Whether the loss falls first and rises at the end, or ends in numbers that are none."""
    curve = trajectory.loss
    if curve is None or len(curve) < _FEWEST:
        return False
    values = curve.values
    if not np.isfinite(values[-1]):
        return bool(np.isfinite(values[: len(values) // 2]).all())
    values = values[np.isfinite(values)]
    if len(values) < _FEWEST:
        return False
    width = max(3, len(values) // 20)
    smooth = np.convolve(values, np.full(width, 1.0 / width), "valid")
    bottom = int(np.argmin(smooth))
    fallen, risen = float(smooth[0] - smooth[bottom]), float(smooth[-1] - smooth[bottom])
    noise = float(np.median(np.abs(np.diff(values)))) / width**0.5
    late = 0.2 * len(smooth) < bottom < 0.98 * len(smooth)
    return late and fallen > _FALLS * abs(float(smooth[0])) and risen > max(0.5 * fallen, _NOISE * noise)
