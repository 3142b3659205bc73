"""Search for the best schedule of a family under what is known of a run: hundreds of schedules x a thousand draws.

All candidates take the run's own number of updates. Each is judged on the same posterior draws, so that a difference
between two of them is not blurred by what both share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import Constant, CosineAnnealingLR, LinearLR, Sequence, Warmup
from lrdoctor.simulate import gate
from lrdoctor.simulate.f7 import loss
from lrdoctor.simulate.fitted import Fitted
from lrdoctor.simulate.grid import Grid, compress, scaled
from lrdoctor.simulate.predict import PEAK_CHANGE_SD, REPLICATE_SD, Evaluate

DRAWS = 1000
KNOTS = 120
"""Knots a candidate is compressed to: the loss at the end of a smooth schedule is then exact to 1e-4."""

FAMILIES = ("wsd", "cosine", "linear")
_DECAYS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
_ENDS = (0.0, 0.05, 0.1)
_HORIZONS = (1.0, 1.1, 1.25, 1.5, 2.0)
_PEAKS = (0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0)
_WARMUP, _LEAST_WARMUP = 0.01, 100  # beside the run's own warmup; never none, the law does not know why there is one
_START_FACTOR = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One schedule of the search, with what is expected of it: `loss` at the end, `gain` over the run as executed.

    `gain_90` is the interval of the gain, `best_probability` that of being the best of all, `regret` the mean loss
    given away because another one is.
    """

    name: str
    schedule: Schedule
    loss: float
    gain: float
    gain_90: tuple[float, float]
    best_probability: float
    regret: float


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Candidates, best first; how many were tried, and with how many posterior draws."""

    ranked: tuple[Candidate, ...]
    tried: int
    draws: int


def search(
    fitted: Fitted,
    families: tuple[str, ...] = FAMILIES,
    *,
    keep_peak: bool = False,
    draws: int = DRAWS,
    evaluate: Evaluate = loss,
) -> Search:
    """Try the families' schedules over a grid of their parameters, peaks inside the gate unless `keep_peak`."""
    tried = list(_candidates(fitted, families, keep_peak))
    theta = fitted.pool.draws(draws)
    executed = fitted.usable.lr / fitted.usable.peak
    before = evaluate(theta, compress(executed, [fitted.usable.steps], KNOTS))[:, 0]
    losses = np.stack([evaluate(theta, one.grid)[:, 0] for one in tried])
    gains = before - losses
    # chance and a change of the peak blur each candidate for itself; the law's own error is shared between candidates
    own_sd = np.array([np.hypot(np.sqrt(2.0) * REPLICATE_SD, PEAK_CHANGE_SD * np.log(one.ratio)) for one in tried])
    blurred = gains + own_sd[:, None] * np.random.default_rng(7).normal(size=gains.shape)
    best = np.bincount(np.argmax(blurred, axis=0), minlength=len(tried)) / gains.shape[1]
    regret = np.mean(blurred.max(axis=0) - blurred, axis=1)
    # a peak the run was not trained at must promise more than its own uncertainty to be preferred
    order = np.argsort(own_sd - gains.mean(axis=1), kind="stable")
    ranked = [
        _candidate(fitted, tried[i], gains[i], own_sd[i], losses[i].mean(), best[i], regret[i]) for i in order.tolist()
    ]
    return Search(tuple(ranked), len(tried), len(theta))


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    """A schedule of the search: its name, the grid of its lr over the run's peak, its own peak over the run's."""

    name: str
    schedule: Schedule
    grid: Grid
    ratio: float


def _candidate(
    fitted: Fitted, tried: _Tried, gains: FloatArray, own_sd: float, expected: float, best: float, regret: float
) -> Candidate:
    from scipy.stats import norm, t

    fit_half = float(t.ppf(0.95, fitted.library.population().freedom)) * float(gains.std())
    half = float(np.hypot(fit_half, norm.ppf(0.95) * np.hypot(own_sd, fitted.structural_sd)))
    gain = float(gains.mean())
    return Candidate(
        tried.name, tried.schedule, float(expected), gain, (gain - half, gain + half), float(best), float(regret)
    )


def _candidates(fitted: Fitted, families: tuple[str, ...], keep_peak: bool) -> Iterator[_Tried]:
    """Every candidate the gate lets pass without a doubt. A shape is compressed once, and scaled to each peak."""
    usable = fitted.usable
    updates = np.arange(usable.steps, dtype=np.float64)
    for warmup in sorted({usable.warmup, max(round(_WARMUP * usable.steps), _LEAST_WARMUP)} - {0}):
        shapes = [
            (name, Warmup(main(1.0), float(warmup), _START_FACTOR), main)
            for family in families
            for name, main in _SHAPES[family](usable.steps - warmup)
        ]
        for name, shape, main in shapes:
            u = shape.lr_at(updates)
            grid = compress(u, [usable.steps], KNOTS)
            for ratio in (1.0,) if keep_peak else _PEAKS:
                peak = ratio * usable.peak
                schedule = Warmup(main(peak), float(warmup), _START_FACTOR)
                if not gate.doubt_remedy(schedule, u * peak, usable.peak, fitted.library):
                    yield _Tried(f"{name}, peak {peak:.3g}, warmup {warmup}", schedule, scaled(grid, ratio), ratio)


_Main = Callable[[float], Schedule]


def _wsd(ticks: int) -> Iterator[tuple[str, _Main]]:
    for part in _DECAYS:
        for end in _ENDS:
            yield f"wsd, decay {part:g}, end {end:g}", partial(_stable, round(part * ticks), ticks, end)


def _stable(decay: int, ticks: int, end: float, peak: float) -> Schedule:
    return Sequence((Constant(peak), LinearLR(peak, max(decay, 1), 1.0, end)), (float(ticks - decay),))


def _cosine(ticks: int) -> Iterator[tuple[str, _Main]]:
    for horizon in _HORIZONS:
        for end in _ENDS:
            yield f"cosine, horizon {horizon:g}, end {end:g}", partial(_annealed, round(horizon * ticks), end)


def _annealed(ticks: int, end: float, peak: float) -> Schedule:
    return CosineAnnealingLR(peak, ticks, end * peak, clamped=True)


def _linear(ticks: int) -> Iterator[tuple[str, _Main]]:
    for end in _ENDS:
        yield f"linear, end {end:g}", partial(_falling, ticks, end)


def _falling(ticks: int, end: float, peak: float) -> Schedule:
    return LinearLR(peak, ticks, 1.0, end)


_SHAPES: dict[str, Callable[[int], Iterator[tuple[str, _Main]]]] = {"wsd": _wsd, "cosine": _cosine, "linear": _linear}
