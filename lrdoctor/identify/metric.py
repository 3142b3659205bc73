"""Whether cuts followed a logged metric: torch's ReduceLROnPlateau, run over every curve that has a value a tick."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from lrdoctor.identify.clock import Clock
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.schedules import ReduceLROnPlateau

_MOST_TICKS = 1000
_FEWEST_LOOKS = 3  # a cut
_TORCH_EPS = 1e-8
_LOOKED_AT, _APART = ("metric", "eval-loss"), 2.0  # updates: nobody evaluates at every one
_LOGGED_OFF = 1.0  # updates by which a metric may be logged before or after the LR that was in force
_THRESHOLDS = ((1e-4, 0.0), (0.0, 1e-4), (0.0, 0.0))  # (relative, absolute): torch's default, Keras's, none


def followed_patience(
    trajectory: Trajectory, clock: Clock, plateau: ReduceLROnPlateau, shift: float = 0.0
) -> int | None:
    """The patience with which some curve gives exactly the plateau's cuts (at least two); None where none does.

    The log shows them `shift` ticks earlier.
    """
    cuts = plateau.cuts
    if len(cuts) < 2 or clock.unit == "update" or _is_step_lr(tuple(cut - shift for cut in cuts)):
        return None
    longest = int(min(np.diff(cuts).min(), cuts[0]))
    exactly = np.asarray(cuts)
    for values in _per_tick(trajectory, clock):
        patience = _replayed(values, longest, exactly - 1.0, exactly, _at_the_end(plateau))
        if patience is not None:
            return patience
    return None


def followed_between(
    trajectory: Trajectory, plateau: ReduceLROnPlateau, after: FloatArray, at: FloatArray
) -> int | None:
    """The patience with which some curve, each value of it a look at the metric, gives cuts between these steps.

    `after` and `at` are (n,): the last step at which the larger LR was logged, and the first one with the smaller.
    """
    if len(at) < 2:
        return None
    for curve in trajectory.curves:
        good = np.isfinite(curve.values)
        steps, values = curve.steps[good], curve.values[good]
        looks = _FEWEST_LOOKS * len(at) <= len(values) <= _MOST_TICKS and np.median(np.diff(steps)) >= _APART
        if curve.role not in _LOOKED_AT or not looks:
            continue
        low = np.searchsorted(steps, after - _LOGGED_OFF).astype(np.float64)
        high = np.searchsorted(steps, at + _LOGGED_OFF, side="right").astype(np.float64)
        if not _is_step_lr(tuple(high.tolist())):
            longest = int(min(np.diff(high).min(), high[0]))
            patience = _replayed(values, longest, low, high, _at_the_end(plateau))
            if patience is not None:
                return patience
    return None


def _at_the_end(plateau: ReduceLROnPlateau) -> bool:
    """Whether a further cut would not be seen: torch leaves out those smaller than its `eps`."""
    last = float(plateau.levels()[-1])
    return last - max(last * plateau.factor, plateau.min_lr) <= _TORCH_EPS


def _replayed(values: FloatArray, longest: int, low: FloatArray, high: FloatArray, ended: bool) -> int | None:
    """The patience, less than `longest`, under which the LR is cut once in each (low, high], and nowhere else.

    `ended` where further cuts would not be seen.
    """
    windows = list(zip(low.tolist(), high.tolist(), strict=True))
    for signed in (values, -values):
        for relative, absolute in _THRESHOLDS:
            better = [*_improvements(signed, relative, absolute), len(values)]
            for patience in range(longest):
                if _falls_into(_cuts(better, patience), windows, ended):
                    return patience
    return None


def _falls_into(cuts: Iterator[int], windows: list[tuple[float, float]], ended: bool) -> bool:
    """Whether there is one cut for each window in turn, and no further one that would be seen."""
    for low, high in windows:
        if not low < next(cuts, -1) <= high:
            return False
    return ended or next(cuts, None) is None


def _is_step_lr(cuts: tuple[float, ...]) -> bool:
    """Cuts at one distance need no metric, unless the first is late: as under a metric that improved until then."""
    gaps = np.diff(cuts)
    return bool((gaps == gaps[0]).all()) and -1.0 <= cuts[0] - gaps[0] < 1.0


def _per_tick(trajectory: Trajectory, clock: Clock) -> Iterator[FloatArray]:
    """Each curve with a finite value at every tick from the first on: the last one of the tick."""
    for curve in trajectory.curves:
        ticks = np.floor((curve.steps - clock.first) / clock.per_tick + 1e-9)
        good = np.isfinite(curve.values) & (ticks >= 0)
        last = np.flatnonzero(np.append(np.diff(ticks[good]) != 0, True)) if good.any() else np.empty(0, dtype=int)
        seen, values = ticks[good][last], curve.values[good][last]
        if 0 < len(seen) <= _MOST_TICKS and np.array_equal(seen, np.arange(len(seen))):
            yield values


def _improvements(values: FloatArray, relative: float, absolute: float) -> Iterator[int]:
    """The indices of the values that were the best so far, for a metric that should fall."""
    best = float("inf")
    for index, value in enumerate(values.tolist()):
        if value < best - relative * abs(best) - absolute if np.isfinite(best) else True:
            best = value
            yield index


def _cuts(better: list[int], patience: int) -> Iterator[int]:
    """How many values were seen at each cut, before the last value: one after every `patience + 1` without a better."""
    for begin, end in pairwise(better):
        last = min(end, better[-1] - 1)
        yield from range(begin + patience + 2, last + 1, patience + 1)
