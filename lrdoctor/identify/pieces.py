"""One parameter group -> its fits in time order: one schedule where one explains all, else one per session or break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lrdoctor.identify.choose import read_stretch, unknown
from lrdoctor.identify.stretch import Stretch, finite_points, tolerance
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.identification import Fit
from lrdoctor.model.run import Checkpoint
from lrdoctor.model.trajectory import GroupTrajectory, Trajectory
from lrdoctor.schedules import Stepped

_FEWEST = 4  # points: a shorter piece is not cut off from its neighbour
_USUAL = 50  # points that tell how often the LR was logged
_MAX_CUTS = 24
_MAX_DEPTH = 2
_HEAD = 0.1  # share of the steps before the first logged point that make a log one whose head is cut off
_SHAPELESS = ("LinearLR", "ExponentialLR", "PolynomialLR")  # any part of these looks like another one of them
_EXTRAPOLATED = 1.25  # times the highest logged LR
_GOOD = 1e-4  # fit error: a curve this close all along is not looked into for breaks
_OFF_CLOCK = 2.0  # steps by which the ticks of a schedule that begins with the log may be off
_MOST_UNSEEN = 100.0  # steps between two points, at each of which a schedule may have begun again
_CONTINUES = 3.0  # roundings: so well must the schedule before a restart foretell the points after it


def read_group(trajectory: Trajectory, group: GroupTrajectory, checkpoints: Sequence[Checkpoint]) -> tuple[Fit, ...]:
    """The fits of a group; empty where it has no finite point."""
    steps, lr = finite_points(group)
    if not len(lr):
        return ()
    log = _Log(trajectory, steps, lr, checkpoints)
    whole = log.read_from_start(len(steps))
    if whole.exact or (whole.family != "Unknown" and whole.fit_error < _GOOD):
        return (whole,)
    starts = _session_starts(trajectory, steps)
    pieces = log.read_sessions(starts) if starts else log.read_broken(0, len(steps), whole, _MAX_DEPTH)
    if whole.family != "Unknown" and any(piece.family == "Unknown" for piece in pieces):
        return (whole,)
    return tuple(pieces) if any(piece.family != "Unknown" for piece in pieces) else (whole,)


def _session_starts(trajectory: Trajectory, steps: FloatArray) -> list[tuple[int, float]]:
    """(index of its first point, first step) of every session that continued an earlier one."""
    begun = [segment.first_step for segment in trajectory.segments[1:] if segment.resumed]
    found = [(int(np.searchsorted(steps, first)), first) for first in begun]
    return [(index, first) for index, first in found if 0 < index < len(steps)][:_MAX_CUTS]


class _Log:
    """The finite points of a group, and how to read any part of them."""

    def __init__(
        self, trajectory: Trajectory, steps: FloatArray, lr: FloatArray, checkpoints: Sequence[Checkpoint]
    ) -> None:
        self.trajectory = trajectory
        self.steps = steps
        self.lr = lr
        self.checkpoints = checkpoints
        self.tol = tolerance(lr, trajectory)
        ends = (trajectory.planned_steps, trajectory.steps)
        self.planned = tuple(dict.fromkeys(float(end) for end in ends if end))

    def read(
        self, begin: int, end: int, first: float = 0.0, horizons: tuple[float, ...] = (), quick: bool = False
    ) -> Fit:
        """Points `begin` to `end` read on a clock that starts at step `first`."""
        stretch = self.stretch(begin, end, first, horizons)
        return read_stretch(self.trajectory, stretch, first, self.checkpoints, quick)

    def stretch(self, begin: int, end: int, first: float, horizons: tuple[float, ...] = ()) -> Stretch:
        left = [planned - first for planned in self.planned if planned > first]
        planned = tuple(dict.fromkeys([*left, *(self.planned if first else ()), *horizons]))
        gap = self._gap(begin) if begin or first else 0.0
        here = slice(begin, end)
        steps = self.steps[here] - first
        quantum, spacing = self.trajectory.lr_quantum, self._spacing(end)
        return Stretch(steps, self.lr[here], self.tol[here], planned, max(1.5, gap), quantum, spacing)

    def _gap(self, begin: int) -> float:
        """Steps between the point before `begin` and the one there; the usual distance for the first of all."""
        if begin:
            return float(self.steps[begin] - self.steps[begin - 1])
        return float(np.median(np.diff(self.steps[:_USUAL]))) if len(self.steps) > 1 else 0.0

    def _spacing(self, end: int) -> float:
        """The usual distance of the last points of the log; 0 where it is dense, or goes on after `end`."""
        if end < len(self.steps) or end < 2:
            return 0.0
        usual = float(np.median(np.diff(self.steps[-_USUAL:])))
        return usual if usual > 1.0 else 0.0

    def read_from_start(self, end: int, quick: bool = False) -> Fit:
        """The points from the first on; where the log's head is cut off, no peak far above what was seen is read."""
        fit = self.read(0, end, quick=quick)
        seen = float(self.lr[:end].max())
        far = fit.family in _SHAPELESS and fit.peak_lr > _EXTRAPOLATED * seen
        if self.steps[0] < _HEAD * self.steps[end - 1] or not far:
            return fit
        late = self.read(0, end, float(self.steps[0]), quick=quick)
        return late if late.family != "Unknown" else unknown(self.stretch(0, end, 0.0), 0.0, fit.family)

    def read_sessions(self, starts: list[tuple[int, float]]) -> list[Fit]:
        """A session goes on with the schedule before it where that foretells it; else it has a schedule of its own."""
        fits: list[Fit] = []
        begin, first = 0, 0.0
        for index, (end, following) in enumerate([*starts, (len(self.steps), 0.0)]):
            if fits and self._foretold(fits[-1], begin, end):
                fits[-1] = self._extended(fits[-1], end)
            else:
                fits += self._read_piece(begin, end, first, fits[-1] if fits else None)
            if index < len(starts):
                begin, first = end, following
        return fits

    def _foretold(self, fit: Fit, begin: int, end: int) -> bool:
        if fit.family == "Unknown":
            return False
        off = np.abs(fit.whole.lr_at(self.steps[begin:end]) - self.lr[begin:end])
        return bool((off <= _CONTINUES * self.tol[begin:end]).all())

    def _begun_again(self, fit: Fit, begin: int, end: int, first: float) -> Fit | None:
        """The schedule before `begin` from its first step on, begun at `first` or at a step that was not logged."""
        if fit.family in ("Unknown", "Constant", "RangeTest") or not fit.exact or begin == 0:
            return None
        steps, lr = self.steps[begin:end], self.lr[begin:end]
        whole = fit.whole if isinstance(fit.whole, Stepped) else Stepped(fit.whole, 1.0, fit.stepped)
        off_clock = whole.first_update if abs(whole.first_update) <= _OFF_CLOCK else 0.0
        gap = max(self.steps[begin] - self.steps[begin - 1], self._gap(0))  # steps after a checkpoint are logged twice
        starts = np.arange(self.steps[begin], self.steps[begin] - min(gap, _MOST_UNSEEN), -1.0)
        for start in dict.fromkeys([*([first] if first else []), *starts.tolist()]):
            begun = replace(whole, first_update=start + off_clock)
            off = np.abs(begun.lr_at(steps) - lr)
            if bool((off <= self.tol[begin:end]).all()):
                error = float(off.max() / lr.max())
                here = replace(fit, first_step=float(steps[0]), last_step=float(steps[-1]))
                return replace(here, whole=begun, fit_error=error)
        return None

    def _extended(self, fit: Fit, end: int) -> Fit:
        begin = int(np.searchsorted(self.steps, fit.first_step))
        off = np.abs(fit.whole.lr_at(self.steps[begin:end]) - self.lr[begin:end])
        error = float(off.max() / self.lr[begin:end].max())
        return replace(fit, last_step=float(self.steps[end - 1]), fit_error=max(error, fit.fit_error))

    def _read_piece(self, begin: int, end: int, first: float, before: Fit | None) -> list[Fit]:
        """A session on its own clock, which may have started over; a break inside it is looked for too."""
        again = self._begun_again(before, begin, end, first) if before is not None else None
        if again is not None:
            return [again]
        known = before.schedule.horizon if before is not None and before.steps_per_tick == 1.0 else None
        horizons = (float(known),) if known else ()
        fit = self.read(begin, end, first, horizons)
        if first and fit.family == "Unknown":  # or the clock went on while the schedule changed
            on_old_clock = self.read(begin, end, 0.0)
            fit = on_old_clock if on_old_clock.family != "Unknown" else fit
        return [fit] if fit.exact else self.read_broken(begin, end, fit, 1)

    def read_broken(self, begin: int, end: int, whole: Fit, depth: int) -> list[Fit]:
        """The same in two parts, where a jump or a kink divides them and both parts are exact; else `whole`."""
        if depth == 0 or end - begin < 2 * _FEWEST:
            return [whole]
        for cut in self._breaks(begin, end):
            left = self.read_from_start(cut, quick=True) if begin == 0 else self.read(begin, cut, quick=True)
            if left.family == "Unknown" or not left.exact:
                continue
            if self._foretold(left, cut, end):
                return [self._extended(left, end)]
            right = self._begun_again(left, cut, end, 0.0) or self.read(cut, end, float(self.steps[cut]))
            parts = [right] if right.exact else self.read_broken(cut, end, right, depth - 1)
            if all(part.exact for part in parts):
                return [left, *parts]
        return [whole]

    def _breaks(self, begin: int, end: int) -> list[int]:
        """Where the LR bends most sharply, and where it leaves its highest level: the likeliest places of a change."""
        t, lr = self.steps[begin:end], self.lr[begin:end]
        slope = np.diff(lr) / np.diff(t)
        bend = np.abs(np.diff(slope))
        sharpest = np.argsort(bend)[::-1][:3] + 1
        top = np.flatnonzero(lr >= lr.max() - self.tol[begin:end])
        cuts = [int(top[-1]) + 1, *(int(at) + more for at in sharpest for more in (0, 1))]
        inside = [begin + cut for cut in dict.fromkeys(cuts) if _FEWEST <= cut <= end - begin - _FEWEST]
        return inside[:6]
