"""Rises and falls: OneCycleLR in its four forms, whole, cut short or seen only at the foot, and warm restarts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from lrdoctor.identify.candidate import Candidate, digits, rounded
from lrdoctor.identify.declines import decline_candidates
from lrdoctor.identify.models import MODELS, Model, Numbers
from lrdoctor.identify.plateaus import shortest
from lrdoctor.identify.smooth import SHIFTS, Solved, best_first, candidate_of, smooth_candidates
from lrdoctor.identify.solve import NEARLY, Problem, fit, simplify
from lrdoctor.identify.stretch import Stretch
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR, Overlaid, Sequence, Warmup

DEFAULT_DIV, DEFAULT_PCT, DEFAULT_FINAL_DIV = 25.0, 0.3, 1e4  # torch's defaults
USUAL = {"div_factor": (DEFAULT_DIV,), "final_div_factor": (DEFAULT_FINAL_DIV,), "pct_start": (DEFAULT_PCT,)}
_FORMS = (("cos", False), ("linear", False), ("cos", True), ("linear", True))
_OTHER_DIVS = (2.0, 3.0, 4.0, 5.0, 8.0, 10.0, 15.0, 16.0, 20.0, 30.0, 40.0, 50.0, 100.0, 1000.0)
_SIMPLIFIED = 4  # so many of the best fits are worked out to their shortest statement
_MULTIPLIERS = (1, 2, 3)
_CYCLE_POINTS = 4  # a cosine's three numbers need more points than these to be confirmed
_COSINE = tuple(model for model in MODELS if model.family == "CosineAnnealingLR")[:1]
_STRAY = 0.05  # of the points of one hill
_PLAIN_SHARES, _WHOLE = (0.3, 0.1, 0.2, 0.25, 0.4, 0.5, 0.05, 0.15), 1e-4
_SURE, _UNSURE = 2e-6, 2e-2  # relative: the peak and the foot were seen, the end of the fall hardly
_LEAST_FALL = 0.1  # of the peak: a rise that is followed by no fall is a warmup
_JUMP = 0.3  # of the range: a restart rises by at least this at once, after a fall of at least this


def _make(anneal: str, three_phase: bool, numbers: Mapping[str, float]) -> Schedule:
    total = numbers["total_steps"]
    return OneCycleLR(
        max_lr=numbers["max_lr"],
        total_steps=int(total) if float(total).is_integer() else total,  # type: ignore[arg-type]
        pct_start=min(max(numbers["pct_start"], 1e-6), 1.0 - 1e-6),
        anneal_strategy=anneal,
        div_factor=numbers["div_factor"],
        final_div_factor=numbers["final_div_factor"],
        three_phase=three_phase,
    )


def onecycle_candidates(stretch: Stretch) -> Iterator[Candidate]:
    """Readings of the stretch as one cycle: only where it begins with a rise."""
    thin = stretch.thin
    if len(thin) < 4 or thin.top < 2 or thin.lr[0] <= 0 or not _one_hill(thin):
        return
    still_rising = thin.top == len(thin) - 1
    found = _foot(thin) if still_rising else _peaked(thin)
    yield from found


def _one_hill(thin: Stretch) -> bool:
    """Whether the LR goes up and then down, but for a few points."""
    steps = np.diff(thin.lr)
    up, down = steps[: thin.top], steps[thin.top :]
    wrong = int((up < 0).sum()) + int((down > 0).sum())
    return wrong <= _STRAY * len(steps)


def _peaked(thin: Stretch) -> Iterator[Candidate]:
    """The peak was seen: everything but the end of the last phase can be solved for."""
    solved: list[Solved] = []
    for anneal, three_phase in _FORMS:
        model = Model("OneCycleLR", partial(_make, anneal, three_phase), _nothing, USUAL, cost=1.0 + three_phase)
        solved += _solve(model, thin, rigid=anneal == "cos")
    ranked = best_first(one for one in solved if _falls(one.numbers))
    exact = [one for one in ranked if one.misfit <= NEARLY]
    for one in exact[:_SIMPLIFIED] or [one for one in ranked[:1] if np.isfinite(one.misfit)]:
        for first in ((), ("total_steps",)):
            yield candidate_of(one.problem, simplify(one.problem, one.numbers, first))
    for one in exact:
        for numbers in _at_plain_shares(one):
            yield candidate_of(one.problem, numbers)


def _at_plain_shares(one: Solved) -> Iterator[Numbers]:
    """The same rise at a plain share of another whole length: a straight fall does not tell how long it was planned."""
    found = one.numbers
    rise = found["pct_start"] * found["total_steps"]
    peak, div = (_in_short(found[name], _SURE) for name in ("max_lr", "div_factor"))
    rate = peak * (1.0 - 1.0 / (div * found["final_div_factor"])) / (found["total_steps"] - rise)
    for share in _PLAIN_SHARES:
        total = float(round(rise / share))
        if total <= one.problem.stretch.last or abs(rise / share - total) > _WHOLE * total:
            continue
        low = peak - rate * (total - share * total)
        told = peak / (div * low) if low > 0 else DEFAULT_FINAL_DIV
        for final in (_in_short(told, _UNSURE), DEFAULT_FINAL_DIV, told):
            numbers = {**found, "max_lr": peak, "total_steps": total, "pct_start": share}
            numbers |= {"div_factor": div, "final_div_factor": final}
            if one.problem.misfit(numbers) <= 1.0:
                yield numbers
                break


def _in_short(value: float, doubt: float) -> float:
    """In the fewest digits within the relative `doubt`."""
    return shortest(value, doubt * value)


def _falls(numbers: Numbers) -> bool:
    """Whether the last phase goes down by more than a little, to where it was planned to end."""
    return numbers["div_factor"] * numbers["final_div_factor"] * (1.0 - _LEAST_FALL) > 1.0


def _solve(model: Model, thin: Stretch, rigid: bool) -> list[Solved]:
    """Fits at each shift; once a `rigid` curve is exact, another shift could only say the same in worse numbers."""
    solved: list[Solved] = []
    for shift in SHIFTS:
        problem = Problem(model, thin, shift)
        for guess in _peak_guesses(thin, shift):
            solved.append(Solved.of(problem, guess))
            if rigid and solved[-1].misfit <= 1.0:
                return solved
        if not any(one.near for one in solved):
            break
    return solved


def _nothing(_: Stretch) -> Iterator[Numbers]:
    return iter(())


def _peak_guesses(thin: Stretch, shift: float) -> Iterator[Numbers]:
    at = float(thin.t[thin.top]) + shift
    start = float(np.clip(thin.peak / thin.lr[0], 1.5, 1e6))
    ended = thin.lr[-1] < 1e-3 * thin.peak
    ends = [thin.last + shift + 1.0] if ended else [*thin.planned, *(thin.last * factor for factor in (1.0, 1.5, 3.0))]
    for end in dict.fromkeys(ends):
        share = (at + 1.0) / end
        if not 0.0 < share < 1.0:
            continue
        for final in (DEFAULT_FINAL_DIV, max(float(thin.lr[0] / thin.lr[-1]), 1e-3) if thin.lr[-1] > 0 else 1e6):
            yield {
                "max_lr": thin.peak,
                "total_steps": end,
                "pct_start": share,
                "div_factor": start,
                "final_div_factor": final,
            }


def _foot(thin: Stretch) -> Iterator[Candidate]:
    """Only the foot of a cosine rise: how high and how long it was planned is known if its usual height is assumed."""
    model = Model("OneCycleLR", partial(_make, "cos", False), _nothing, USUAL, cost=1.5)
    for shift in SHIFTS:
        problem = Problem(model, thin, shift)
        usual = _usual_height(problem)
        # A height that the rounding of the log leaves open is no height: then the usual one is assumed.
        fitting = [usual] if usual and problem.misfit(usual) <= 1.0 else list(_own_heights(problem))
        for numbers in fitting:
            for stated, assumed in _lengths(problem, numbers):
                if problem.misfit(stated) <= 1.0:
                    height = (f"div_factor = {DEFAULT_DIV:g}",) if stated["div_factor"] == DEFAULT_DIV else ()
                    yield candidate_of(problem, stated, (*height, *assumed))


def _usual_height(problem: Problem) -> Numbers | None:
    """The rise, if it starts at 1/25 of its peak: one number is left, its length."""
    thin = problem.stretch
    # The first logged point is at the foot or so near it that the difference is found by the fit.
    low, high = float(thin.lr[0]), float(thin.lr[-1])
    part = (high - low) / (low * (DEFAULT_DIV - 1.0))
    if not 0.0 < part < 1.0 or thin.last <= 0:
        return None
    rise = math.pi * (thin.last + problem.shift) / math.acos(1.0 - 2.0 * part)
    guess = _stated(low * DEFAULT_DIV, rise, DEFAULT_DIV)
    given = {name: guess[name] for name in ("pct_start", "div_factor", "final_div_factor")}
    fixed = Problem(problem.model, thin, problem.shift, given)
    return fit(fixed, guess)


def _own_heights(problem: Problem) -> Iterator[Numbers]:
    """The rise from each other height a person would write: its bend must have been seen to tell them apart."""
    thin = problem.stretch
    for div in _OTHER_DIVS:
        part = (float(thin.lr[-1]) / float(thin.lr[0]) - 1.0) / (div - 1.0)
        if 0.0 < part < 1.0:
            rise = math.pi * (thin.last + problem.shift) / math.acos(1.0 - 2.0 * part)
            guess = _stated(float(thin.lr[0]) * div, rise, div)
            given = {name: guess[name] for name in ("pct_start", "div_factor", "final_div_factor")}
            numbers = fit(Problem(problem.model, thin, problem.shift, given), guess)
            if problem.misfit(numbers) <= 1.0:
                yield numbers


def _stated(peak: float, rise: float, div: float) -> Numbers:
    return {
        "max_lr": peak,
        "total_steps": (rise + 1.0) / DEFAULT_PCT,
        "pct_start": DEFAULT_PCT,
        "div_factor": div,
        "final_div_factor": DEFAULT_FINAL_DIV,
    }


def _lengths(problem: Problem, numbers: Numbers) -> Iterator[tuple[Numbers, tuple[str, ...]]]:
    """The length in ticks that goes with the rise: the planned one if that makes pct_start a plain number."""
    rise = numbers["pct_start"] * numbers["total_steps"]
    peak = next(
        (short for short in (rounded(numbers["max_lr"], count) for count in range(1, 6))
         if problem.misfit({**numbers, "max_lr": short}) <= 1.0),
        numbers["max_lr"],
    )  # fmt: skip
    numbers = {**numbers, "max_lr": peak}
    for planned in problem.stretch.planned:
        share = rise / planned
        short = next((value for value in (rounded(share, 1), rounded(share, 2)) if abs(value - share) < 2e-4), None)
        if short is not None and 0.0 < short < 1.0:
            yield {**numbers, "total_steps": planned, "pct_start": short}, ()
    total = numbers["total_steps"]
    assumed = (f"pct_start = {DEFAULT_PCT:g}",)
    if abs(total - round(total)) > 0 and problem.misfit({**numbers, "total_steps": float(round(total))}) <= 1.0:
        yield {**numbers, "total_steps": float(round(total))}, assumed
    yield numbers, assumed


def restart_candidates(stretch: Stretch) -> Iterator[Candidate]:
    """Cosines that jump back to the peak: one cycle gives the shape, the jumps confirm the lengths."""
    much = _JUMP * (stretch.peak - float(stretch.lr.min()))
    fallen = np.maximum.accumulate(stretch.lr) - stretch.lr
    jumps = np.flatnonzero((np.diff(stretch.lr) > much) & (fallen[:-1] > much))
    if not len(jumps):
        return
    ends = [*(jumps + 1).tolist(), len(stretch)]
    if ends[0] >= _CYCLE_POINTS:
        yield from _from_first_cycle(stretch, ends[0])
    else:
        yield from _from_longest_cycle(stretch, ends)


def _from_first_cycle(stretch: Stretch, end: int) -> Iterator[Candidate]:
    """The first cycle gives the shape, and the warmup in front of it; how the others grow is tried out."""
    first = replace(stretch.at(slice(None, end)), planned=(float(stretch.t[end]),), spacing=0.0)
    quick = list(decline_candidates(first))
    for found in quick or smooth_candidates(first, _COSINE):
        cosine = found.schedule
        if isinstance(cosine, CosineAnnealingLR) and cosine.k_decay == 1.0 and found.misfit(first) <= 1.0:
            for cycle in {cosine.T_max, round(cosine.T_max), *_equal_parts(stretch, found)}:
                for multiplier in _MULTIPLIERS:
                    for decay in _decays(stretch, end, cosine) if multiplier == 1 else (1.0,):
                        yield _restarts(cosine, cycle, multiplier, found, decay)


def _equal_parts(stretch: Stretch, found: Candidate) -> list[float]:
    """The cycle lengths that divide a planned length, after the warmup, into whole cycles (Transformers)."""
    before = 0.0 if found.warmup is None or found.warmup.overlaid else found.warmup.steps
    length = float(found.schedule.horizon or 0.0)
    parts = ((end - before, round((end - before) / length)) for end in stretch.planned if end > before)
    return [whole / count for whole, count in parts if count > 1 and abs(whole / count - length) < 1e-3 * length]


def _decays(stretch: Stretch, start: int, cosine: CosineAnnealingLR) -> tuple[float, ...]:
    """The factor from the peak of the first cycle to that of the second, where it is a plain number below one."""
    ratio = shortest(float(stretch.lr[start]) / cosine.lr, 1e-6)
    return (1.0, ratio) if ratio < 1.0 and digits(ratio) <= 2 else (1.0,)


def _from_longest_cycle(stretch: Stretch, ends: list[int]) -> Iterator[Candidate]:
    """Where the first cycle has too few points: the one with the most gives the shape, and when it began the growth."""
    begins = [0, *ends[:-1]]
    index = int(np.argmax(np.subtract(ends, begins)))
    begin, end = begins[index], ends[index]
    if index == 0 or end - begin < _CYCLE_POINTS:
        return
    gap = float(stretch.t[begin] - stretch.t[begin - 1])
    seen = stretch.at(slice(begin, end))
    cycle = replace(seen, t=seen.t - seen.t[0], planned=(), slack=gap, spacing=0.0)
    for found in smooth_candidates(cycle, _COSINE):
        cosine = found.schedule
        if isinstance(cosine, CosineAnnealingLR) and found.misfit(cycle) <= 1.0:
            began = float(stretch.t[begin]) - found.shift
            for multiplier in _MULTIPLIERS:
                before = sum(multiplier**-back for back in range(1, index + 1))  # cycles of this length before this one
                if abs(began - before * cosine.T_max) < 1.0:
                    first_cycle = round(cosine.T_max / multiplier**index)
                    yield _restarts(cosine, first_cycle, multiplier, replace(found, shift=0.0))


def _restarts(
    cosine: CosineAnnealingLR, cycle: float, multiplier: int, found: Candidate, decay: float = 1.0
) -> Candidate:
    """The restarts instead of the cosine, behind what stands before it."""
    length = int(cycle) if float(cycle).is_integer() else cycle
    main = CosineAnnealingWarmRestarts(cosine.lr, length, multiplier, cosine.eta_min, decay)  # type: ignore[arg-type]
    told = [value for value in (float(multiplier), decay) if value != 1.0]
    return replace(found, schedule=main, whole=_instead(found.whole, main), cost=found.cost + sum(map(digits, told)))


def _instead(whole: Schedule, main: Schedule) -> Schedule:
    """`whole` with another main schedule."""
    match whole:
        case Warmup() | Overlaid():
            return replace(whole, main=main)
        case Sequence(parts=(ramp, _)):
            return replace(whole, parts=(ramp, main))
        case _:
            return main
