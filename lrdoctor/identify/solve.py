"""Fit a model to a stretch, then state it with as few digits as the log's rounding allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from lrdoctor.identify.candidate import rounded
from lrdoctor.identify.levenberg import minimise
from lrdoctor.identify.models import FACTORS, RATES, TICKS, Model, Numbers
from lrdoctor.identify.stretch import Stretch
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import Warmup

NEARLY = 50.0  # a fit this many roundings off may still become exact once its numbers are rounded
_EXACT_SLACK, _ROUGH_SLACK = 1.05, 1.3  # how much worse a shorter statement may fit
_GAMMA = "log_rate"


@dataclass(frozen=True, slots=True)
class Problem:
    """A model on a stretch: `fixed` numbers are given, the others are fitted."""

    model: Model
    stretch: Stretch
    shift: float = 0.0
    fixed: Mapping[str, float] = field(default_factory=dict)

    def whole(self, numbers: Mapping[str, float]) -> Schedule:
        """The main schedule with its warmup, in ticks."""
        main = self.model.make(numbers)
        steps = numbers.get("warmup_steps", 0.0)
        return Warmup(main, steps, numbers.get("start_factor", 0.0)) if steps > 0 else main

    def residual(self, numbers: Mapping[str, float]) -> FloatArray:
        """(n,) fitted - logged."""
        lead = numbers.get("shift", self.shift)
        return self.whole(numbers).lr_at(self.stretch.t + lead) - self.stretch.lr

    def error(self, numbers: Mapping[str, float]) -> float:
        """The largest |fitted - logged| / peak; inf where no schedule can be made of the numbers."""
        return self._worst(numbers, self.stretch.peak)

    def misfit(self, numbers: Mapping[str, float]) -> float:
        """The largest residual in roundings of the log; inf where the numbers are no schedule a person would write."""
        return self._worst(numbers, self.stretch.tol) if _plausible(numbers) else float("inf")

    def _worst(self, numbers: Mapping[str, float], unit: FloatArray | float) -> float:
        try:
            worst = float(np.max(np.abs(self.residual(numbers)) / unit))
        except (ValueError, ArithmeticError):
            return float("inf")
        return worst if np.isfinite(worst) else float("inf")


def _plausible(numbers: Mapping[str, float]) -> bool:
    """A fit is free to leave the range of the arguments; what it finds there is no schedule."""
    slack = 1e-6 * max(numbers.get("lr", 0.0), 0.0)
    low, high = numbers.get("eta_min", 0.0), numbers.get("lr", numbers.get("max_lr", 0.0))
    positive = all(numbers[name] > 0 for name in ("power", "max_lr", "lr") if name in numbers)
    rises = numbers.get("div_factor", 2.0) > 1.0 and numbers.get("start_factor", 0.0) < 1.0
    return positive and rises and -slack <= low < max(high, 1e-300) and numbers.get("start_factor", 0.0) > -1e-6


def fit(problem: Problem, start: Mapping[str, float]) -> Numbers:
    """The numbers that fit best in the least-squares sense, from `start`; fixed ones stay."""
    names = [name for name in start if name not in problem.fixed]
    whole = {**start, **problem.fixed}
    if not names:
        return whole
    peak = problem.stretch.peak
    scales = {name: _scale(name, whole[name], peak) for name in names}
    size = len(problem.stretch)

    def residual(x: FloatArray) -> FloatArray:
        numbers = {**whole, **{name: scales[name].out(value) for name, value in zip(names, x.tolist(), strict=True)}}
        try:
            off = problem.residual(numbers) / peak
        except (ValueError, ArithmeticError):
            return np.full(size, 1e3)
        return np.nan_to_num(off, nan=1e3, posinf=1e3, neginf=-1e3)

    begin = np.array([scales[name].into(whole[name]) for name in names])
    if size < len(names):
        return whole
    with np.errstate(all="ignore"):
        found = minimise(residual, begin)
    return {**whole, **{name: scales[name].out(value) for name, value in zip(names, found.tolist(), strict=True)}}


@dataclass(frozen=True, slots=True)
class _Scale:
    """A number as the solver sees it: of order one; ticks and factors by their logarithm, so they stay positive."""

    unit: float
    logarithmic: bool = False

    def into(self, value: float) -> float:
        return float(np.log(max(value, 1e-9))) if self.logarithmic else value / self.unit

    def out(self, value: float) -> float:
        return float(np.exp(np.clip(value, -20.0, 50.0))) if self.logarithmic else value * self.unit


def _scale(name: str, value: float, peak: float) -> _Scale:
    if name in TICKS or name in FACTORS:
        return _Scale(1.0, logarithmic=True)
    return _Scale(peak) if name in RATES else _Scale(1.0)


def simplify(problem: Problem, numbers: Numbers, first: tuple[str, ...] = ()) -> Numbers:
    """State the numbers, `first` ones first, in the shortest form under which the rest can still fit the log.

    Where the fit is not exact, only defaults and planned lengths are tried: more digits than that nobody can tell.
    """
    misfit = problem.misfit(numbers)
    exact = misfit <= NEARLY
    limit = max(1.0, (_EXACT_SLACK if exact else _ROUGH_SLACK) * misfit)
    fixed: Numbers = dict(problem.fixed)
    for name in dict.fromkeys([*first, *_order(problem.model, numbers)]):
        for value in _shorter(problem, name, numbers) if exact else _expected(problem, name, numbers):
            tried = Problem(problem.model, problem.stretch, problem.shift, {**fixed, name: value})
            refit = fit(tried, numbers)
            if tried.misfit(refit) <= limit:
                numbers = refit
                fixed[name] = value
                break
        else:
            fixed[name] = numbers[name]
    return numbers


def _order(model: Model, numbers: Numbers) -> list[str]:
    """What a person would leave at its default first, then LRs, then tick counts: each number fixed helps the next."""
    rates = [name for name in numbers if name in RATES]
    ticks = [name for name in numbers if name in TICKS]
    first = [*model.usual, "start_factor", "shift", *rates, "warmup_steps", *ticks]
    return list(dict.fromkeys([*(name for name in first if name in numbers), *numbers]))


def _shorter(problem: Problem, name: str, numbers: Numbers) -> Iterator[float]:
    """Simpler values to try for a number, simplest first."""
    value = numbers[name]
    yield from problem.model.usual.get(name, ())
    if name == "start_factor":
        yield 0.0
    if name in TICKS:
        yield from _ticks_near(problem.stretch, name, numbers)
    elif name == "shift":
        yield float(round(value))
    elif name == _GAMMA:
        gamma = float(np.exp(-np.exp(value)))
        for short in (rounded(gamma, count) for count in range(1, 8)):
            if 0.0 < short < 1.0:
                yield float(np.log(-np.log(short)))
    else:
        yield from (short for short in (rounded(value, count) for count in range(1, 8)) if value != 0.0)


def _expected(problem: Problem, name: str, numbers: Numbers) -> Iterator[float]:
    """The values a number has more often than not."""
    yield from problem.model.usual.get(name, ())
    if name in TICKS:
        yield from _planned_ends(problem.stretch, name, numbers)


def _planned_ends(stretch: Stretch, name: str, numbers: Numbers) -> Iterator[float]:
    if name != "warmup_steps":
        ends = (planned - numbers.get("warmup_steps", 0.0) for planned in stretch.planned)
        yield from (end for end in ends if 0.5 * numbers[name] < end < 2.0 * numbers[name])


def _ticks_near(stretch: Stretch, name: str, numbers: Numbers) -> Iterator[float]:
    value = numbers[name]
    yield from _planned_ends(stretch, name, numbers)
    for count in range(1, 4):
        short = rounded(value, count)
        if short.is_integer() and 0 < abs(short - value) <= 0.02 * value:
            yield short
    yield float(max(round(value), 1))
