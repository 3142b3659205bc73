"""Smooth families, with or without a linear warmup in front, at the three clocks a log may be read at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from lrdoctor.identify.candidate import (
    PART_TICK_COST,
    SHIFT_COST,
    UNSEEN_END_COST,
    Candidate,
    digits,
    make_candidate,
    rounded,
)
from lrdoctor.identify.models import MODELS, TICKS, Model, Numbers
from lrdoctor.identify.solve import NEARLY, Problem, fit, simplify
from lrdoctor.identify.stretch import Stretch
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import LinearLR, PolynomialLR

SHIFTS = (0.0, 1.0, -1.0)
SIMPLIFIED = 6
"""So many of the best fits are worked out to their shortest statement."""

_NEAR_SHIFT = 0.01  # of the peak
_FEWEST_BETWEEN, _FEW = 2, 5
_USUAL_SLACK = 1.5  # ticks; see Stretch.slack
_SHORT = 3  # digits: what a person writes a peak LR with
_STARTS_BELOW = 0.999  # of the peak: a first point this low is a warmup's


@dataclass(frozen=True, slots=True)
class Solved:
    """A problem with the numbers that fit it best."""

    problem: Problem
    numbers: Numbers
    misfit: float

    @classmethod
    def of(cls, problem: Problem, start: Numbers) -> Solved:
        """Fitted from `start`."""
        numbers = fit(problem, start)
        return cls(problem, numbers, problem.misfit(numbers))

    @property
    def near(self) -> bool:
        """Whether a shift by one tick could make it exact: that moves a curve by a few parts of its span."""
        stretch = self.problem.stretch
        return self.problem.error(self.numbers) < _NEAR_SHIFT + 4.0 / max(stretch.last - float(stretch.t[0]), 1.0)


def smooth_candidates(stretch: Stretch, models: tuple[Model, ...] = MODELS) -> Iterator[Candidate]:
    """Readings of the stretch as one smooth decline, behind a warmup where the LR rises at the start."""
    thin = stretch.thin
    if len(thin) < 3 or not _declines(thin):
        return
    solved = best_first(one for model in models for one in _solve_shifts(thin, model))
    if not solved or solved[0].misfit > 1.0:
        solved = best_first([*solved, *(one for model in models for one in _solve_clock(thin, model))])
    exact = [one for one in solved if one.misfit <= NEARLY]
    for one in exact[:SIMPLIFIED] or _best_of_each(solved):
        numbers = simplify(one.problem, one.numbers)
        yield candidate_of(one.problem, numbers)
        yield from _warmup_begun_before(one.problem, numbers)
        yield from _lines_begun_elsewhere(one.problem, numbers)


def _best_of_each(solved: list[Solved]) -> list[Solved]:
    """The best fit of every family, where it is one at all."""
    best = {one.problem.model.family: one for one in reversed(solved) if np.isfinite(one.misfit)}
    return list(best.values())


def _declines(thin: Stretch) -> bool:
    """Whether the LR was seen on its way down, and not only before and after: then any smooth curve would do."""
    after = thin.at(slice(thin.top, None))
    low = float(after.lr.min())
    between = (after.lr < thin.peak - 2 * after.tol) & (after.lr > low + 2 * after.tol)
    falls = thin.peak - low > 2 * thin.tol.max()
    return falls and (int(between.sum()) >= _FEWEST_BETWEEN or len(after) < _FEW)


def best_first(solved: Iterable[Solved]) -> list[Solved]:
    """Best first: exact ones are equal, and the same numbers found twice count once."""
    ranked = sorted(solved, key=lambda one: (max(one.misfit, 1.0), abs(one.problem.shift), one.problem.model.cost))
    told = {(one.problem.model.make, one.problem.shift, _rough(one.numbers)): one for one in reversed(ranked)}
    return [one for one in ranked if any(one is kept for kept in told.values())]


def _rough(numbers: Numbers) -> tuple[str, ...]:
    return tuple(f"{value:.5g}" for value in numbers.values())


def _solve_shifts(thin: Stretch, model: Model) -> list[Solved]:
    unshifted = list(_solve(thin, model, SHIFTS[0]))
    if not any(one.near for one in unshifted):
        return unshifted
    return [*unshifted, *(one for shift in SHIFTS[1:] for one in _solve(thin, model, shift))]


def _solve(thin: Stretch, model: Model, shift: float) -> Iterator[Solved]:
    """Fits from each first guess; where the LR rises at the start, of a warmup and what follows together."""
    rises = thin.top > 0 and thin.lr[0] < _STARTS_BELOW * thin.peak
    start = float(thin.t[thin.top]) + shift if rises else 0.0
    main = _moved(thin.at(slice(thin.top if rises else 0, None)), start - shift)
    if len(main) < 2:
        return
    problem = Problem(model, thin, shift)
    for guess in model.guesses(main):
        numbers = {**_ramp(thin, start), **guess} if rises else guess
        yield Solved.of(problem, numbers)


def _moved(stretch: Stretch, start: float) -> Stretch:
    """The same on a clock that starts at `start`."""
    ends = tuple(end - max(start, 0.0) for end in stretch.planned if end > start)
    return replace(stretch, t=stretch.t - start, planned=ends)


def _ramp(thin: Stretch, start: float) -> Numbers:
    return {"warmup_steps": max(start, 0.5), "start_factor": max(float(thin.lr[0]) / thin.peak, 0.0)}


def _solve_clock(thin: Stretch, model: Model) -> Iterator[Solved]:
    """Fits in which the main schedule's clock is free: logs written within an epoch, warmups too short to be seen."""
    for skipped in (0, 1):
        rest = thin.at(slice(skipped, None))
        problem = Problem(model, rest)
        for guess in model.guesses(rest) if len(rest) > 3 else ():
            if "log_rate" in guess:  # an exponential's clock cannot be told from its values
                continue
            found = Solved.of(problem, {"shift": -0.5 * float(rest.t[0]), **guess})
            shift = found.numbers["shift"]
            if skipped == 0 and -1.5 <= shift <= rest.slack:
                yield found
            elif found.misfit <= NEARLY and 0.0 < -shift <= rest.t[0]:
                yield _unseen_warmup(Problem(model, thin), found.numbers)


def _unseen_warmup(problem: Problem, numbers: Numbers) -> Solved:
    """The main schedule began `-shift` ticks late: a warmup of that length, of which at most one point was logged."""
    thin = problem.stretch
    steps = -numbers["shift"]
    part = min(float(thin.t[0]) / steps, 1.0)
    factor = (float(thin.lr[0]) / numbers["lr"] - part) / (1.0 - part) if part < 1.0 else 0.0
    rest = {name: value for name, value in numbers.items() if name != "shift"}
    return Solved.of(problem, {"warmup_steps": steps, "start_factor": max(factor, 0.0), **rest})


def _lines_begun_elsewhere(problem: Problem, numbers: Numbers) -> Iterator[Candidate]:
    """A line says nothing of where it began: peaks of few digits at whole ticks of the gap before it was seen."""
    if "end_factor" not in numbers or digits(numbers["lr"]) <= _SHORT:
        return
    thin = problem.stretch
    begun = numbers.get("warmup_steps", 0.0)
    slope = numbers["lr"] * (1.0 - numbers["end_factor"]) / numbers["total_iters"]
    seen = int(np.argmax(thin.t + problem.shift >= begun - 1e-9))  # the first point on the line
    low = float(thin.t[seen - 1]) + problem.shift if seen else -thin.slack
    high = float(thin.t[seen]) + problem.shift
    for peak in {rounded(numbers["lr"] + slope * (begun - tick), count) for tick in (low, high) for count in (1, 2, 3)}:
        start = begun + (numbers["lr"] - peak) / slope
        if low < start <= high and abs(start - round(start)) < 1e-4:
            yield from _line_from(problem, numbers, peak, float(round(start)))


def _line_from(problem: Problem, numbers: Numbers, peak: float, start: float) -> Iterator[Candidate]:
    """The line that falls from `peak` at tick `start`, with what that makes of the ticks before it."""
    thin, shift = problem.stretch, problem.shift
    begun = numbers.get("warmup_steps", 0.0)
    line = {
        "lr": peak,
        "total_iters": numbers["total_iters"] + begun - start,
        "end_factor": numbers["end_factor"] * numbers["lr"] / peak,
    }
    assumed: tuple[str, ...] = ()
    if start > 0:
        first = float(thin.t[0]) + shift
        factor = (float(thin.lr[0]) / peak - first / start) / (1.0 - first / start) if first < start else 0.0
        line |= {"warmup_steps": start, "start_factor": max(round(factor, 9), 0.0)}
        assumed = () if first < start else (f"a warmup of {start:g} ticks, which was not logged",)
    elif start < 0:
        problem = Problem(problem.model, thin, shift - start)
    if problem.misfit(line) <= 1.0:
        found = candidate_of(problem, line, assumed)
        yield replace(found, cost=found.cost + SHIFT_COST * min(start, 0.0))


def _warmup_begun_before(problem: Problem, numbers: Numbers) -> Iterator[Candidate]:
    """A warmup that was under way at the first point after a gap: the same line, begun at zero within the gap."""
    factor, slack = numbers.get("start_factor", 0.0), problem.stretch.slack
    if not factor > 0 or slack <= _USUAL_SLACK:
        return
    steps = numbers["warmup_steps"]
    ahead = round(factor * steps / (1.0 - factor))
    if 0 < ahead <= slack:
        clock = Problem(problem.model, problem.stretch, problem.shift + ahead)
        whole = {**numbers, "warmup_steps": steps + ahead, "start_factor": 0.0}
        if clock.misfit(whole) <= 1.0:
            found = candidate_of(clock, whole)
            yield replace(found, cost=found.cost - SHIFT_COST * ahead)


def candidate_of(problem: Problem, numbers: Numbers, assumed: tuple[str, ...] = ()) -> Candidate:
    """The candidate these numbers state."""
    model = problem.model
    main = _plain(model.make(numbers))
    own = {name: value for name, value in numbers.items() if name not in ("warmup_steps", "start_factor", "shift")}
    told = [_as_written(name, value) for name, value in own.items() if value not in model.usual.get(name, ())]
    begun = numbers.get("warmup_steps", 0.0)
    planned = {end - begun for end in problem.stretch.planned}
    told = [value for value in told if value not in planned]
    unseen = [value for value in told if problem.stretch.ends_unseen(begun + value)]
    told = [value for value in told if value not in unseen]
    return make_candidate(
        main,
        told,
        shift=numbers.get("shift", problem.shift),
        warmup_steps=numbers.get("warmup_steps", 0.0),
        start_factor=numbers.get("start_factor", 0.0),
        extra_cost=model.cost
        + UNSEEN_END_COST * len(unseen)
        + (0.0 if all(own[name].is_integer() for name in own if name in TICKS) else PART_TICK_COST),
        assumed=assumed,
    )


def _plain(main: Schedule) -> Schedule:
    """A polynomial of power one is a straight line, and is called so."""
    if isinstance(main, PolynomialLR) and abs(main.power - 1.0) < 1e-9:
        return LinearLR(main.lr, main.total_iters, 1.0, 0.0)
    return main


def _as_written(name: str, value: float) -> float:
    return float(np.exp(-np.exp(value))) if name == "log_rate" else value
