"""Whether cuts followed a logged metric: torch's ReduceLROnPlateau, run over every curve that has a value a tick."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lrdoctor.identify.clock import Clock
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.trajectory import Trajectory

_MOST_TICKS = 1000
_THRESHOLDS = ((1e-4, 0.0), (0.0, 1e-4), (0.0, 0.0))  # (relative, absolute): torch's default, Keras's, none


def followed_patience(
    trajectory: Trajectory, clock: Clock, cuts: tuple[float, ...], shift: float = 0.0
) -> int | None:
    """The patience with which some curve gives exactly these cuts (at least two of them); None where none does.

    The log shows them `shift` ticks earlier.
    """
    if len(cuts) < 2 or clock.unit == "update" or _is_step_lr(tuple(cut - shift for cut in cuts)):
        return None
    longest = int(min(np.diff(cuts).min(), cuts[0]))
    for values in _per_tick(trajectory, clock):
        for signed in (values, -values):
            for relative, absolute in _THRESHOLDS:
                for patience in range(longest):
                    if _cuts(signed, patience, relative, absolute, len(cuts)) == list(cuts):
                        return patience
    return None


def _is_step_lr(cuts: tuple[float, ...]) -> bool:
    """Cuts at one distance need no metric, unless the first is a tick late, as under a metric that never improves."""
    gaps = np.diff(cuts)
    even = bool((gaps == gaps[0]).all()) and (len(cuts) > 2 or abs(cuts[0] - gaps[0]) <= 1.0)
    return even and cuts[0] != gaps[0] + 1.0


def _per_tick(trajectory: Trajectory, clock: Clock) -> Iterator[FloatArray]:
    """Each curve with a finite value at every tick from the first on: the last one of the tick."""
    for curve in trajectory.curves:
        ticks = np.floor((curve.steps - clock.first) / clock.per_tick + 1e-9)
        good = np.isfinite(curve.values) & (ticks >= 0)
        last = np.flatnonzero(np.append(np.diff(ticks[good]) != 0, True)) if good.any() else np.empty(0, dtype=int)
        seen, values = ticks[good][last], curve.values[good][last]
        if 0 < len(seen) <= _MOST_TICKS and np.array_equal(seen, np.arange(len(seen))):
            yield values


def _cuts(values: FloatArray, patience: int, relative: float, absolute: float, most: int) -> list[float]:
    """The ticks from which on a smaller LR is in force, for a metric that should fall; at most one more than `most`."""
    best, bad, cuts = float("inf"), 0, []
    for tick, value in enumerate(values.tolist(), start=1):
        if value < best - relative * abs(best) - absolute if np.isfinite(best) else True:
            best, bad = value, 0
        else:
            bad += 1
        if bad > patience:
            cuts.append(float(tick))
            bad = 0
            if len(cuts) > most:
                break
    return [cut for cut in cuts if cut < len(values)]
