"""The roundest whole number of a range: what a person would have written."""

from __future__ import annotations

import math


def roundest(after: float, upto: float) -> float | None:
    """The integer in (after, upto] with the fewest significant digits, the largest of those; None without one."""
    low, high = math.floor(after + 1e-9) + 1, math.floor(upto + 1e-9)
    if low > high:
        return None
    unit = 10 ** len(str(abs(high)))
    while unit > 1 and (high // unit) * unit < low:
        unit //= 10
    half = 5 * unit // 10  # 250 is as round as 300
    best = (high // unit) * unit
    return float(best if best or not half or half < low else half)
