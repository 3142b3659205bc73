"""A whole number that may be known exactly, within bounds, or not at all."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Count:
    """Somewhere between `low` and `high`, both inclusive; `high` may be infinite.

    Arithmetic takes both ends along, as every quantity here grows or falls steadily with the ones it comes from.
    """

    low: float = 1.0
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"Count needs low <= high, got {self.low} and {self.high}")

    @classmethod
    def exactly(cls, value: float) -> Count:
        """That number; 0 for what a config makes negative."""
        return cls(max(0.0, float(value)), max(0.0, float(value)))

    @property
    def known(self) -> bool:
        return self.low == self.high and math.isfinite(self.low)

    @property
    def value(self) -> float | None:
        """The number, where it is known."""
        return self.low if self.known else None

    @property
    def ends(self) -> tuple[float, ...]:
        """The finite ends, to try a rule on: one of a known number, none of an unknown one's infinity."""
        return tuple(dict.fromkeys(end for end in (self.low, self.high) if math.isfinite(end)))

    def times(self, other: Count | float) -> Count:
        other = other if isinstance(other, Count) else Count.exactly(other)
        return Count(self.low * other.low, _product(self.high, other.high))

    def over(self, other: Count | float, *, up: bool = True) -> Count:
        """Divided by `other` and rounded, up unless told otherwise; at least 1 as no epoch is without an update."""
        other = other if isinstance(other, Count) else Count.exactly(other)
        return Count(max(1.0, _ratio(self.low, other.high, up)), max(1.0, _ratio(self.high, other.low, up)))

    def part(self, factor: float, *, up: bool = True) -> Count:
        """`factor` times as much (a share below 1, or a number of epochs), rounded."""
        factor = max(0.0, factor)
        return Count(_rounded(self.low * factor, up), _rounded(self.high * factor, up) if factor else 0.0)

    def at_most(self, limit: Count) -> Count:
        return Count(min(self.low, limit.low), min(self.high, limit.high))

    def __str__(self) -> str:
        if self.known:
            return f"{self.low:,.0f}"
        if math.isinf(self.high):
            return "unknown" if self.low <= 1 else f"{self.low:,.0f} or more"
        return f"{self.low:,.0f} to {self.high:,.0f}"


UNKNOWN = Count()


def parse_count(text: str) -> Count:
    """`1000`, `10_000` or `10_000..50_000`. ValueError for anything else."""
    parts = [int(part.strip().replace(",", "_")) for part in text.split("..")]
    if len(parts) > 2 or min(parts) < 1:
        raise ValueError(text)
    return Count(float(parts[0]), float(parts[-1]))


def _product(a: float, b: float) -> float:
    return 0.0 if 0.0 in (a, b) else a * b


def _rounded(value: float, up: bool) -> float:
    if math.isinf(value):
        return value
    return float(math.ceil(value - 1e-9) if up else math.floor(value + 1e-9))


def _ratio(a: float, b: float, up: bool) -> float:
    if math.isinf(b):
        return 0.0 if math.isfinite(a) else 1.0
    if math.isinf(a) or b == 0:
        return math.inf
    return _rounded(a / b, up)
