"""A stretch of one group's trajectory on a clock of its own: what every family is fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.trajectory import GroupTrajectory, Trajectory

BoolArray = npt.NDArray[np.bool_]

SEARCH_POINTS = 240
"""Fitting looks at no more points than this; whether the fit holds is checked on all of them."""

ROUNDINGS = 3.0  # a logged LR is trusted to this many times the rounding of its number format
FLOOR = 2e-9  # of the peak: torch's recursions drift from their closed forms by less than this


@dataclass(frozen=True, eq=False)
class Stretch:
    """`t` (n,) increasing ticks, tick 0 where the schedule's clock starts; `lr` (n,); `tol` (n,) the log's rounding.

    `planned` holds the tick counts at which the run may have been planned to end, best guess first. `slack` is how many
    ticks the clock may be ahead: where the log is sparse, a session begins somewhere before its first point.
    `quantum` is the unit of the last decimal where the log prints few of them, else 0. `spacing` is the usual distance
    of two points where the log is sparse, else 0: the run ended somewhere within it after the last point.
    """

    t: FloatArray
    lr: FloatArray
    tol: FloatArray
    planned: tuple[float, ...] = ()
    slack: float = 1.5
    quantum: float = 0.0
    spacing: float = 0.0

    def __len__(self) -> int:
        return len(self.t)

    @cached_property
    def peak(self) -> float:
        return float(self.lr.max())

    @cached_property
    def last(self) -> float:
        return float(self.t[-1])

    @cached_property
    def top(self) -> int:
        """Index of the first point that is at the peak, to the log's rounding."""
        return int(np.argmax(self.lr >= self.peak - self.tol))

    @cached_property
    def changed(self) -> BoolArray:
        """(n - 1,) where the LR differs from the point before by more than its number format does."""
        rounding = self.tol[1:] + self.tol[:-1]
        limit = np.minimum(rounding, 0.99 * self.quantum) if self.quantum else rounding
        return np.abs(np.diff(self.lr)) > limit

    @cached_property
    def thin(self) -> Stretch:
        """The same with at most SEARCH_POINTS points: evenly spread, the ends and the sharpest turns kept."""
        if len(self) <= SEARCH_POINTS:
            return self
        even = np.linspace(0, len(self) - 1, SEARCH_POINTS // 2).round().astype(int)
        early = np.geomspace(1, len(self) - 1, SEARCH_POINTS // 6).round().astype(int)
        bend = np.abs(np.diff(self.lr, 2))
        sharp = np.argpartition(bend, -SEARCH_POINTS // 9)[-SEARCH_POINTS // 9 :] + 1
        around = np.concatenate([even, early, len(self) - 1 - early, sharp, sharp - 1, [self.top]])
        return self.at(np.unique(np.clip(around, 0, len(self) - 1)))

    @property
    def columns(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(t, lr, tol)."""
        return self.t, self.lr, self.tol

    def at(self, index: np.ndarray[tuple[int], np.dtype[np.int64]] | slice) -> Stretch:
        """The points at these indices, on the same clock."""
        return replace(self, t=self.t[index], lr=self.lr[index], tol=self.tol[index])

    def ends_unseen(self, tick: float) -> bool:
        """Whether the run may have ended at this whole tick, after the last point of a sparse log."""
        return self.last < tick <= self.last + self.spacing + 1.0 and float(tick).is_integer() and self.spacing > 0


def tolerance(lr: FloatArray, trajectory: Trajectory) -> FloatArray:
    """(n,) how far a logged LR may be from the executed one."""
    peak = float(np.max(np.abs(lr))) if len(lr) else 0.0
    rounding = ROUNDINGS * trajectory.lr_resolution * np.abs(lr)
    return rounding + 0.51 * trajectory.lr_quantum + FLOOR * peak


def finite_points(group: GroupTrajectory) -> tuple[FloatArray, FloatArray]:
    """(steps, lr) where both are finite."""
    good = np.isfinite(group.lr) & np.isfinite(group.steps)
    return group.steps[good], group.lr[good]
