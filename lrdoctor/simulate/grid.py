"""A schedule compressed to a few hundred knots, over which the loss laws are evaluated in vectors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray

MAX_KNOTS = 300
"""A schedule is told by this many updates; more changes the loss by less than 2e-5, or 2e-4 where it restarts
several times (tests/simulate/test_f7.py)."""

_EARLY_KNOTS = 40  # of them evenly in ln n, for the ramp of the warmup


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A schedule compressed to J knots, that is J-1 stretches of updates; everything in it is free of the parameters.

    `n` (J,) update counts, increasing, the first 0; `u` (J,) relative lr of update n; `S` (J,) cumulative u before it
    in thousands; `mean_u` (J-1,) mean u of the updates of a stretch. `onset` and `spread` (J,) are the mean and the
    variance of S over the changes of u that lead to knot j (the rise from 0 to the first update included), weighted by
    |change|. `points` (M,) are the indices of the knots at which the loss is wanted.
    """

    n: FloatArray
    u: FloatArray
    S: FloatArray
    mean_u: FloatArray
    onset: FloatArray
    spread: FloatArray
    points: npt.NDArray[np.int64]


def compress(u: FloatArray, at: npt.ArrayLike, max_knots: int = MAX_KNOTS) -> Grid:
    """The grid of a schedule `u` (T,), one relative lr an update, for the losses after `at` (M,) updates, 0 < at <= T.

    Knots stand where u^1/2 changes, at both sides of the largest jumps, and at each of `at` besides.
    """
    total = len(u)
    wanted = np.asarray(at, dtype=np.int64)
    if total == 0 or wanted.size == 0 or wanted.min() < 1 or wanted.max() > total:
        raise ValueError(f"losses are wanted after 1 to {total} updates, got {wanted!r}")
    padded = np.append(u, u[-1])  # the knot after the last update closes the sums, its own lr is never used up
    n = np.unique(np.concatenate([_knots(padded, max_knots), wanted]))
    S = np.concatenate([[0.0], np.cumsum(u)]) / 1000.0
    onset, spread = _onsets(padded, S, n)
    mean_u = np.diff(S[n]) * 1000.0 / np.diff(n)
    return Grid(n.astype(np.float64), padded[n], S[n], mean_u, onset, spread, np.searchsorted(n, wanted))


def scaled(grid: Grid, factor: float) -> Grid:
    """The grid of the same schedule with every lr multiplied by `factor`."""
    return replace(
        grid,
        u=grid.u * factor,
        S=grid.S * factor,
        mean_u=grid.mean_u * factor,
        onset=grid.onset * factor,
        spread=grid.spread * factor**2,
    )


def _onsets(u: FloatArray, S: FloatArray, n: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of S over the changes that lead to each knot, (J,) each."""
    weight = np.abs(np.diff(u)) + 1e-15  # S has a mean over a flat stretch too, where it does not matter
    acts_from = S[1:] - S.mean()  # around zero, so that the differences of the running sums below stay exact
    moments = [np.concatenate([[0.0], np.cumsum(weight * acts_from**power)])[n] for power in (0, 1, 2)]
    mass, first, second = (np.diff(moment) for moment in moments)
    mean = first / mass
    spread = np.where(np.diff(n) > 1, np.maximum(second / mass - mean**2, 0.0), 0.0)
    return np.concatenate([[0.0], mean + S.mean()]), np.concatenate([[0.0], spread])


def _knots(u: FloatArray, max_knots: int) -> npt.NDArray[np.int64]:
    """At most `max_knots` update indices that tell the schedule, first and last included."""
    last = len(u) - 1
    if last < max_knots:
        return np.arange(last + 1)
    change = np.abs(np.diff(np.sqrt(np.maximum(u, 0.0))))
    length = np.concatenate([[0.0], np.cumsum(change + max(float(change.sum()), 1e-9) / (4 * last))])
    jumps = np.argsort(change)[-max_knots // 4 :]
    jumps = jumps[change[jumps] > length[-1] / max_knots]
    early = np.geomspace(1, last, _EARLY_KNOTS).astype(np.int64)
    quantiles = np.linspace(0.0, length[-1], max_knots - 2 * len(jumps) - _EARLY_KNOTS)
    even = np.clip(np.searchsorted(length, quantiles), 0, last)
    return np.unique(np.concatenate([early, even, jumps, jumps + 1, [0, last]]))
