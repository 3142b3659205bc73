"""What stands before a decline: nothing, a warmup of any shape in front of it, or a ramp over its own first ticks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lrdoctor.identify.candidate import (
    SHIFT_COST,
    UNSEEN_END_COST,
    WARMUP_COST,
    Candidate,
    digits,
    factor_digits,
    short_forms,
)
from lrdoctor.identify.roundest import roundest
from lrdoctor.identify.stretch import Stretch
from lrdoctor.identify.tails import Tail
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.identification import WarmupShape
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import LinearLR, Overlaid, Sequence, Warmup
from lrdoctor.schedules.ramps import KINDS, ramp

SHIFTS = (0.0, 1.0, -1.0)
KIND_COST = {"linear": 0.0, "constant": 0.0, "cosine": 0.75, "exponential": 0.75, "log": 0.75}
_RARE_KIND = 1.0
_USUAL_SLACK = 1.5  # ticks; see Stretch.slack
LONGEST_FLAT = 0.25
"""Share of the run: a lower level that lasted longer was no warmup."""

OVERLAY_COST = 1.0
_TOWARD_COST = {"peak": 0.0, "end": 0.0, "times": 0.0, "moving": 0.5}
_DONE = 1.0 - 1e-5  # of the ramp: more is the flat top of its last epoch
_MOST_AHEAD = 2.0  # ticks: a ramp that moves within an epoch is logged at its end, the decline an epoch behind it
_BIAS_LR = (0.1, 0.01, 0.0)  # Ultralytics' warmup_bias_lr, and what people set it to

Toward = Literal["peak", "end", "moving", "times"]


@dataclass(frozen=True, slots=True)
class _Head:
    """The points before the decline, in ticks of its clock, with what the decline would have been there."""

    t: FloatArray
    lr: FloatArray
    tol: FloatArray
    main: FloatArray
    peak: float
    ends: float  # the first tick at which the decline is seen
    lead: float  # of the log's clock over the decline's


def behind_heads(stretch: Stretch, tail: Tail, begin: int, last: float | None = None) -> Iterator[Candidate]:
    """Readings of the whole stretch of which `tail` explains the points from `begin` on.

    `last` is the run's last tick where the stretch is only its beginning.
    """
    longest = LONGEST_FLAT * (stretch.last if last is None else last)
    first = _first_explained(stretch, tail, begin)
    if first == 0:
        if -stretch.slack <= tail.origin <= 1.0 and stretch.t[0] >= tail.origin:
            yield _candidate(stretch, tail, tail.main, 0.0 - tail.origin, None, 0.0)
        return
    if tail.origin > 0:
        yield from _in_front(stretch, tail, first, longest)
    if abs(tail.origin) <= 1.0:
        yield from _over(stretch, tail, first, longest)


def _first_explained(stretch: Stretch, tail: Tail, begin: int) -> int:
    """Index of the point from which on the decline explains all."""
    upto = slice(None, begin + 1)
    off = np.abs(tail.main.lr_at(stretch.t[upto] - tail.origin) - stretch.lr[upto])
    wrong = np.flatnonzero((off > stretch.tol[upto]) | (stretch.t[upto] < tail.origin - 1e-9))
    return int(wrong[-1]) + 1 if len(wrong) else 0


def _in_front(stretch: Stretch, tail: Tail, first: int, longest: float) -> Iterator[Candidate]:
    """The decline's clock starts where the ramp ends."""
    t, lr, tol = stretch.t[:first], stretch.lr[:first], stretch.tol[:first]
    top = float(tail.main.lr_at([0.0])[0])
    for shift in SHIFTS:
        steps = tail.origin + shift
        if steps <= 0:
            continue
        for kind in KINDS if steps > 1 else ("linear", "constant"):
            if kind == "constant" and steps > longest:
                continue
            start = _start_factor(kind, np.maximum(t + shift, 0.0), lr / top, steps)
            for factor in _plain_factors(start, float(tol.max()) / top, steps):
                if kind == "exponential" and factor <= 0:
                    continue
                if _explains(top * ramp(kind, t + shift, steps, factor), lr, tol):
                    whole = Warmup(tail.main, steps, factor, kind)
                    yield _candidate(stretch, tail, whole, shift, WarmupShape(kind, steps, factor), 0.0)
                    if kind == "linear":
                        yield from _begun_before(stretch, tail, steps, factor, shift)
                    break
    yield from _done_early(stretch, tail, first, top)


def _begun_before(stretch: Stretch, tail: Tail, steps: float, factor: float, shift: float) -> Iterator[Candidate]:
    """A ramp that was under way at the first point after a gap: the same line, begun at zero within the gap."""
    ahead = round(factor * steps / (1.0 - factor)) if factor < 1.0 else 0
    if stretch.slack > _USUAL_SLACK and 0 < ahead <= stretch.slack:
        whole, shape = Warmup(tail.main, steps + ahead), WarmupShape("linear", steps + ahead, 0.0)
        yield _candidate(stretch, tail, whole, shift + ahead, shape, -SHIFT_COST * ahead)


def _done_early(stretch: Stretch, tail: Tail, first: int, top: float) -> Iterator[Candidate]:
    """The ramp is at the peak one tick before the decline's clock starts: mmengine's, torchtitan's."""
    t, lr, tol = stretch.t[:first], stretch.lr[:first], stretch.tol[:first]
    steps = tail.origin - 1.0
    if steps <= 0:
        return
    start = _start_factor("linear", t, lr / top, steps)
    for factor in _plain_factors(start, float(tol.max()) / top, steps):
        rise = LinearLR(top, _whole(steps), factor, 1.0)
        if _explains(rise.lr_at(t), lr, tol):
            whole = Sequence((rise, tail.main), (tail.origin,))
            yield _candidate(stretch, tail, whole, 0.0, WarmupShape("linear", tail.origin, factor), 0.5)
            return


def _whole(value: float) -> int:
    return int(value) if value.is_integer() else value  # type: ignore[return-value]


def _start_factor(kind: str, t: FloatArray, share: FloatArray, steps: float) -> float:
    """The start factor that fits the shares of the peak best."""
    if kind == "constant":
        return float(np.median(share))
    if kind == "exponential":
        left = 1.0 - np.clip(t / steps, 0.0, 1.0)
        positive = (share > 0) & (left > 0)
        if not positive.any():
            return 0.0
        return float(np.exp(left[positive] @ np.log(share[positive]) / (left[positive] @ left[positive])))
    done = ramp(kind, t, steps, 0.0)
    left = 1.0 - done
    return float(left @ (share - done) / max(float(left @ left), 1e-300))


def _plain_factors(start: float, doubt: float, steps: float) -> Iterator[float]:
    """The start factor as a person or a formula would have it, simplest first."""
    if start < max(4 * doubt, 1e-9):
        yield 0.0
    for natural in (1.0 / steps, 1.0 / (steps + 1.0)):
        if abs(natural - start) < 0.02 * natural:
            yield natural
    yield from short_forms(start) if start > 0 else ()
    yield max(start, 0.0)


def _explains(fitted: FloatArray, lr: FloatArray, tol: FloatArray) -> bool:
    return bool((np.abs(fitted - lr) <= tol).all())


def _over(stretch: Stretch, tail: Tail, first: int, longest: float) -> Iterator[Candidate]:
    """The decline's clock runs all along; while the ramp lasts it may be a tick ahead."""
    for ahead in (0.0, 1.0) if tail.origin == 1.0 else (0.0,):
        yield from _over_clock(stretch, tail, first, ahead, longest)


def _over_clock(stretch: Stretch, tail: Tail, first: int, ahead: float, longest: float) -> Iterator[Candidate]:
    t = stretch.t[:first] - tail.origin
    main = tail.main.lr_at(t + ahead)
    ends = float(stretch.t[first]) - tail.origin
    head = _Head(t, stretch.lr[:first], stretch.tol[:first], main, tail.main.peak_lr, ends, tail.origin)
    for kind, toward, steps, factor, lead in _ramps_over(head, tail.main):
        too_long = kind == "constant" and steps > longest
        if too_long or not (steps > 0 and steps > t[-1] - 1e-6 and factor > -1e-12):
            continue
        try:
            whole = Overlaid(tail.main, steps, max(factor, 0.0), kind, toward, lead, ahead)
        except ValueError:
            continue
        if _explains(whole.lr_at(t), head.lr, 2 * head.tol) and _explains(
            whole.lr_at(stretch.t - tail.origin), stretch.lr, stretch.tol
        ):
            shape = WarmupShape(kind, steps, whole.start_factor, overlaid=True)
            extra = OVERLAY_COST + _TOWARD_COST[toward] + (1.0 if lead not in (0.0, tail.origin) else 0.0)
            yield _candidate(stretch, tail, whole, 0.0 - tail.origin, shape, extra)


Ramp = tuple[str, Toward, float, float, float]


def _ramps_over(head: _Head, main: Schedule) -> Iterator[Ramp]:
    share = head.lr / head.main
    if np.ptp(share) <= 2 * float(np.max(head.tol / head.main)) and len(share) > 1:
        steps = roundest(float(head.t[-1]), head.ends)
        if steps is not None:
            factor = float(np.median(share))
            yield from (("constant", "times", steps, plain, 0.0) for plain in _plain_factors(factor, 0.0, steps))
    if len(head.t) < 2:
        yield from _from_one_point(head, main)
        return
    yield from _straight(head, main)
    yield from _straight_share(head)
    yield from _exponential_share(head)
    yield from _from_elsewhere(head)


def _from_one_point(head: _Head, main: Schedule) -> Iterator[Ramp]:
    """One point tells the start factor alone: the ramp ended by the next point."""
    steps = roundest(float(head.t[0]), head.ends)
    if head.t[0] == 0 and steps is not None:
        yield from (
            ("linear", "peak", steps, plain, 0.0) for plain in _plain_factors(head.lr[0] / head.peak, 0.0, steps)
        )


def _straight(head: _Head, main: Schedule) -> Iterator[Ramp]:
    """A straight rise to the peak of the decline (timm) or to where it meets the decline (detectron2)."""
    slope, start = np.polyfit(head.t, head.lr, 1)
    if slope <= 0:
        return
    yield from _on_the_logs_clock(head, float(slope), float(start))
    met = _meeting(float(start), float(slope), main, float(head.t[-1]), head.ends + 1.0)
    reached = {"peak": (head.peak - float(start)) / float(slope), "end": met}
    towards: tuple[Toward, Toward] = ("peak", "end")
    for toward in towards:
        at = reached[toward]
        if at is not None:
            for steps in _near(at):
                doubt = float(head.tol[0]) / head.peak
                yield from (
                    ("linear", toward, steps, plain, 0.0)
                    for plain in _plain_factors(float(start) / head.peak, doubt, steps)
                )


def _on_the_logs_clock(head: _Head, slope: float, start: float) -> Iterator[Ramp]:
    """The same to the peak where the ramp counts from the log's first tick, and the decline is a tick ahead (timm)."""
    if head.lead:
        low = start - slope * head.lead
        for steps in _near((head.peak - low) / slope):
            yield from (
                ("linear", "peak", steps, plain, head.lead) for plain in _plain_factors(low / head.peak, 0.0, steps)
            )


def _meeting(start: float, slope: float, main: Schedule, low: float, high: float) -> float | None:
    """The tick in [low, high] at which the line meets the decline."""
    t = np.linspace(low, high, 33)
    above = start + slope * t - main.lr_at(t)
    crossed = np.flatnonzero(np.diff(np.sign(above)))
    if not len(crossed):
        return None
    i = int(crossed[0])
    return float(t[i] - above[i] * (t[i + 1] - t[i]) / (above[i + 1] - above[i]))


def _straight_share(head: _Head) -> Iterator[Ramp]:
    """A straight rise of the share of the decline that is in force (mmcv); within an epoch ahead (Ultralytics)."""
    share = head.lr / head.main
    under = share < _DONE
    if under.sum() < 2:
        return
    slope, start = np.polyfit(head.t[under], share[under], 1)
    if slope <= 0:
        return
    doubt = 2 * float(np.max(head.tol / head.main))
    for steps in _near((1.0 - float(start)) / float(slope)):
        yield from (("linear", "times", steps, plain, 0.0) for plain in _plain_factors(float(start), doubt, steps))
    if 0 < start <= _MOST_AHEAD * slope:
        yield "linear", "moving", 1.0 / float(slope), 0.0, float(start / slope)


def _exponential_share(head: _Head) -> Iterator[Ramp]:
    share = head.lr / head.main
    if share.min() <= 0:
        return
    slope, start = np.polyfit(head.t, np.log(share), 1)
    if slope > 0 > start:
        for steps in _near(-float(start) / float(slope)):
            factor = float(np.exp(start))
            yield from (("exponential", "times", steps, plain, 0.0) for plain in _plain_factors(factor, 0.0, steps))


def _from_elsewhere(head: _Head) -> Iterator[Ramp]:
    """From a rate of its own, also a higher one, towards the decline: the bias group of Ultralytics."""
    for rate in dict.fromkeys([*_BIAS_LR, *_BIAS_LR[:2]]):
        gone = head.main - rate
        if np.abs(gone).min() <= 0:
            continue
        share = (head.lr - rate) / gone
        under = share < _DONE
        if under.sum() < 2:
            continue
        slope, start = np.polyfit(head.t[under], share[under], 1)
        if slope > 0 and -1.0 < start <= _MOST_AHEAD * slope:
            yield "linear", "moving", 1.0 / float(slope), rate / head.peak, float(start / slope)


def _near(steps: float) -> Iterator[float]:
    """The whole number next to it first."""
    if abs(steps - round(steps)) < 1e-2:
        yield float(round(steps))
    yield steps


def end_cost(stretch: Stretch, ticks: float, origin: float) -> float:
    """Description length of so many ticks since `origin` as the end of the run; inf where it cannot be that."""
    return UNSEEN_END_COST if stretch.ends_unseen(origin + ticks) else math.inf


def _candidate(
    stretch: Stretch, tail: Tail, whole: Schedule, shift: float, warmup: WarmupShape | None, extra: float
) -> Candidate:
    planned = {end - tail.origin for end in stretch.planned} | set(stretch.planned)
    told = [number for number in tail.numbers if number not in (0.0, 1.0) and number not in planned]
    cost = tail.cost + extra + SHIFT_COST * abs(shift)
    free = len(told)
    if warmup is not None:
        kind_cost = KIND_COST.get(warmup.kind, _RARE_KIND)
        cost += WARMUP_COST + digits(warmup.steps) + factor_digits(warmup.start_factor, warmup.steps) + kind_cost
        told = [number for number in told if number != warmup.steps]  # inverse_sqrt's timescale
        free += 1 + (warmup.start_factor != 0.0)
    cost += sum(min(digits(number), end_cost(stretch, number, tail.origin)) for number in told)
    return Candidate(tail.main, whole, free, cost, shift, warmup)
