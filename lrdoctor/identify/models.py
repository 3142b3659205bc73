"""The smooth families as functions of a few numbers, with a first guess of each from the data.

A model is fitted in numbers that are all of order one (`Number.scale`), and described in the family's own arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lrdoctor.identify.stretch import Stretch
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import CosineAnnealingLR, ExponentialLR, LinearLR, PolynomialLR

Numbers = dict[str, float]

RATES = frozenset({"lr", "eta_min", "max_lr"})
TICKS = frozenset({"T_max", "total_iters", "total_steps", "warmup_steps"})
FACTORS = frozenset({"div_factor", "final_div_factor"})


@dataclass(frozen=True, slots=True)
class Model:
    """`make` builds the main schedule from its numbers, `guesses` starts the fit, `usual` values cost nothing."""

    family: str
    make: Callable[[Mapping[str, float]], Schedule]
    guesses: Callable[[Stretch], Iterator[Numbers]]
    usual: Mapping[str, tuple[float, ...]]
    cost: float = 0.0


def _cosine(numbers: Mapping[str, float]) -> Schedule:
    return CosineAnnealingLR(numbers["lr"], _ticks(numbers["T_max"]), numbers["eta_min"])


def _clamped_cosine(numbers: Mapping[str, float]) -> Schedule:
    return CosineAnnealingLR(numbers["lr"], _ticks(numbers["T_max"]), numbers["eta_min"], clamped=True)


def _linear(numbers: Mapping[str, float]) -> Schedule:
    return LinearLR(numbers["lr"], _ticks(numbers["total_iters"]), 1.0, numbers["end_factor"])


def _polynomial(numbers: Mapping[str, float]) -> Schedule:
    return PolynomialLR(numbers["lr"], _ticks(numbers["total_iters"]), numbers["power"])


def _exponential(numbers: Mapping[str, float]) -> Schedule:
    return ExponentialLR(numbers["lr"], float(np.exp(-np.exp(numbers["log_rate"]))))


def _ticks(value: float) -> int:
    """A tick count: whole where it is whole, else as it is (a horizon in fractional epochs has no whole tick count)."""
    return int(value) if float(value).is_integer() else value  # type: ignore[return-value]


def _cosine_guesses(stretch: Stretch) -> Iterator[Numbers]:
    """The two best horizons of a coarse grid, the LR and its floor solved for."""
    t = stretch.t
    span = max(stretch.last, 1.0)
    horizons = np.unique(np.concatenate([np.geomspace(0.25 * span, 20 * span, 60), [span, span + 1, *stretch.planned]]))
    scored = []
    for horizon in horizons[horizons > 0]:
        basis = 0.5 * (1 + np.cos(np.pi * t / horizon))
        if np.ptp(basis) < 1e-9:
            continue
        floor, rise = _line(basis, stretch.lr)
        off = float(np.abs(floor + rise * basis - stretch.lr).max())
        if rise > 0:
            scored.append((off, float(horizon), floor, rise))
    for _, horizon, floor, rise in sorted(scored)[:2]:
        yield {"lr": floor + rise, "T_max": horizon, "eta_min": max(floor, 0.0)}


def _line(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Least squares y = a + b x."""
    mean_x, mean_y = float(x.mean()), float(y.mean())
    slope = float(((x - mean_x) * (y - mean_y)).sum() / ((x - mean_x) ** 2).sum())
    return mean_y - slope * mean_x, slope


def _linear_guesses(stretch: Stretch) -> Iterator[Numbers]:
    """To zero; to a floor that was reached; to a floor at the planned end."""
    low = stretch.lr <= stretch.lr.min() + stretch.tol
    knee = int(np.argmax(low))
    if knee < 2:
        return
    start, slope = _line(stretch.t[:knee], stretch.lr[:knee])
    if slope >= 0 or start <= 0:
        return
    yield {"lr": start, "total_iters": -start / slope, "end_factor": 0.0}
    floor = float(stretch.lr.min())
    if floor > 0:
        yield {"lr": start, "total_iters": (floor - start) / slope, "end_factor": floor / start}
    for horizon in stretch.planned:
        if horizon >= stretch.last and start + slope * horizon > 0:
            yield {"lr": start, "total_iters": horizon, "end_factor": (start + slope * horizon) / start}


def _polynomial_guesses(stretch: Stretch) -> Iterator[Numbers]:
    """log lr is a straight line in log(1 - t / total_iters)."""
    positive = stretch.lr > stretch.tol
    t, lr = stretch.t[positive], stretch.lr[positive]
    if len(t) < 4:
        return
    last = max(float(t[-1]), 1.0)
    horizons = np.unique(np.concatenate([last + np.geomspace(0.5, 20 * last, 60), [*stretch.planned]]))
    scored = []
    for horizon in horizons[horizons > last]:
        x = np.log1p(-t / horizon)
        intercept, power = _line(x, np.log(lr))
        off = float(np.abs(np.exp(intercept + power * x) - lr).max())
        if 0.05 < power < 10:
            scored.append((off, float(horizon), float(np.exp(intercept)), power))
    for _, horizon, start, power in sorted(scored)[:2]:
        yield {"lr": start, "total_iters": horizon, "power": power}


def _exponential_guesses(stretch: Stretch) -> Iterator[Numbers]:
    positive = stretch.lr > stretch.tol
    if positive.sum() < 3:
        return
    intercept, slope = _line(stretch.t[positive], np.log(stretch.lr[positive]))
    if slope < 0:
        yield {"lr": float(np.exp(intercept)), "log_rate": float(np.log(-slope))}


MODELS = (
    Model("CosineAnnealingLR", _cosine, _cosine_guesses, {"eta_min": (0.0,)}),
    Model("CosineAnnealingLR", _clamped_cosine, _cosine_guesses, {"eta_min": (0.0,)}, cost=0.25),
    Model("LinearLR", _linear, _linear_guesses, {"end_factor": (0.0,)}),
    Model("ExponentialLR", _exponential, _exponential_guesses, {}),
    Model("PolynomialLR", _polynomial, _polynomial_guesses, {"power": (2.0, 0.5, 0.9, 3.0)}, cost=1.0),
)
