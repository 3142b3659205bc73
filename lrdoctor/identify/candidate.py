"""One reading of a stretch, and how it is judged: error against the log, and length of its description."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from lrdoctor.identify.stretch import Stretch
from lrdoctor.model.identification import WarmupShape
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import Warmup

UNROUND = 8.0
"""Description length of a number that no short decimal reproduces."""

WARMUP_COST = 1.5
"""Description length of there being a warmup."""

SHIFT_COST = 0.75
"""Description length of each tick that the clock is off."""


UNSEEN_END_COST = 0.75
"""Description length of an end that lies within the distance of two points after the last one."""

PART_TICK_COST = 4.0
"""Description length of a horizon that is no whole number of ticks: no torch scheduler takes one."""

_MOST_DIGITS = 7
_FRACTION_DIGITS = 3.0
_DENOMINATORS = (3.0, 6.0, 7.0, 9.0, 12.0, 24.0)


@dataclass(frozen=True, slots=True)
class Candidate:
    """`schedule` is the main schedule, `whole` it with its warmup; both in ticks. `shift` as in `Fit`.

    `free` counts the fitted numbers, `cost` is the description length: the fewer digits, the more a person wrote it.
    `trust` caps the confidence of a reading that says little of the schedule however well it fits. `per_tick` is set
    where `schedule` is stepped once per so many ticks of the clock it was read on, and `whole` knows.
    """

    schedule: Schedule
    whole: Schedule
    free: int
    cost: float
    shift: float = 0.0
    warmup: WarmupShape | None = None
    assumed: tuple[str, ...] = ()
    trust: float = 1.0
    per_tick: float | None = None

    @property
    def family(self) -> str:
        return self.schedule.family

    def misfit(self, stretch: Stretch) -> float:
        """The largest |fitted - logged| in units of the log's rounding: at most 1 where the fit is exact."""
        return float(np.max(np.abs(self.residual(stretch)) / stretch.tol))

    def error(self, stretch: Stretch) -> float:
        """The largest |fitted - logged| / peak."""
        return float(np.max(np.abs(self.residual(stretch)))) / stretch.peak

    def residual(self, stretch: Stretch) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return self.whole.lr_at(stretch.t + self.shift) - stretch.lr


def make_candidate(
    main: Schedule,
    numbers: Iterable[float],
    *,
    shift: float = 0.0,
    warmup_steps: float = 0.0,
    start_factor: float = 0.0,
    kind: str = "linear",
    extra_cost: float = 0.0,
    assumed: tuple[str, ...] = (),
) -> Candidate:
    """A candidate whose main schedule was described by `numbers` (defaults and zeros cost nothing: leave them out)."""
    described = [number for number in numbers if number not in (0.0, 1.0)]
    whole, warmup = main, None
    cost = extra_cost + sum(map(digits, described)) + SHIFT_COST * abs(shift)
    cost += 0.0 if float(shift).is_integer() else UNROUND
    free = len(described)
    if warmup_steps > 0:
        whole = Warmup(main, warmup_steps, start_factor, kind)
        warmup = WarmupShape(kind, warmup_steps, start_factor)
        cost += WARMUP_COST + digits(warmup_steps) + factor_digits(start_factor, warmup_steps)
        free += 1 + (start_factor != 0.0)
    return Candidate(main, whole, free, cost, shift, warmup, assumed)


def factor_digits(factor: float, steps: float) -> float:
    """Description length of a start factor.

    A ramp of k / n or (k + 1) / (n + 1) starts one tick above zero: as usual as one that starts at it. One third is
    torch's default.
    """
    natural = any(abs(factor * ticks - 1.0) < 1e-6 for ticks in (steps, steps + 1.0, 3.0))
    return 1.0 if natural else digits(factor)


def digits(value: float, tolerance: float = 1e-7) -> float:
    """How many significant digits `value` needs to be right within the relative `tolerance`; UNROUND if more than 7.

    Fractions such as 1/3 count as three digits; zero and one cost nothing.
    """
    value = abs(float(value))
    if value in (0.0, 1.0):
        return 0.0
    if any(abs(fraction - value) <= tolerance * value for fraction in _fractions(value)):
        return min(_FRACTION_DIGITS, _decimals(value, tolerance))
    return _decimals(value, tolerance)


def _decimals(value: float, tolerance: float) -> float:
    counts = range(1, _MOST_DIGITS + 1)
    return next((float(count) for count in counts if abs(rounded(value, count) - value) <= tolerance * value), UNROUND)


def short_forms(value: float) -> Iterator[float]:
    """`value` as a person may have written it, in more and more digits; fractions such as 1/3 count as three."""
    yield from (rounded(value, count) for count in range(1, int(_FRACTION_DIGITS) + 1))
    yield from _fractions(value)
    yield from (rounded(value, count) for count in range(int(_FRACTION_DIGITS) + 1, _MOST_DIGITS + 1))


def _fractions(value: float) -> Iterator[float]:
    """The nearest of each small denominator."""
    parts = ((round(value * whole), whole) for whole in _DENOMINATORS if 0.5 < value * whole < 100.0)
    yield from (part / whole for part, whole in parts)


def rounded(value: float, count: int) -> float:
    """`value` to `count` significant digits."""
    return float(f"{value:.{count - 1}e}")
