"""How coarsely a log rounds: read off the digits and bits of its values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.reconstruct.recording import EVENTS

FLOAT64_REPR = 1e-9  # chosen by us: also covers the running means some frameworks print instead of the value
FLOAT32 = 6e-8  # half a unit in the last of 24 bits
BFLOAT16 = 2e-3  # half a unit in the last of 8 bits, 2 ** -9
FLOAT16 = 4.9e-4  # half a unit in the last of 11 bits, 2 ** -11
_SAMPLE = 2000
_ENOUGH = 8  # distinct values before short decimals are taken for rounding and not for round numbers
_MANY_DIGITS, _FEW_CUT = 5, 3  # so many values of so many digits each are not written by a person
_TEXT_DIGITS = 3  # a text log with fewer digits still prints at least "1.00e-07"
_LONG = 9  # more significant digits than any log is rounded to on purpose


class Resolution(NamedTuple):
    """`relative` is the largest rounding error over the value; `quantum` the step of fixed decimals, 0 without."""

    relative: float
    quantum: float


def resolution_of(values: FloatArray, kind: str, *, fixed_decimals: int | None = None) -> Resolution:
    """The rounding of logged LRs. `fixed_decimals`: the writer is known to print so many."""
    if fixed_decimals is not None:
        return Resolution(FLOAT64_REPR, 10.0**-fixed_decimals)
    distinct = _distinct(values)
    if not len(distinct):
        return Resolution(FLOAT32 if kind == EVENTS else FLOAT64_REPR, 0.0)
    if kind == EVENTS or _fits_float32(distinct):
        return Resolution(_float_kind(distinct), 0.0)
    return _decimal(distinct, kind)


def _distinct(values: FloatArray) -> FloatArray:
    """Some of the distinct finite non-zero magnitudes, spread over the log."""
    magnitudes = np.abs(values[np.isfinite(values) & (values != 0.0)])
    thinned = magnitudes[:: max(1, len(magnitudes) // _SAMPLE)]
    return np.unique(thinned)


def _fits_float32(distinct: FloatArray) -> bool:
    """Whether all values are float32 numbers; round decimals (0.5) are, by chance, so most must need many digits."""
    long = np.array([_digits(value)[0] > _LONG for value in distinct.tolist()])
    return bool(long.mean() > 0.5) and bool((distinct.astype(np.float32).astype(np.float64) == distinct).all())


def _float_kind(distinct: FloatArray) -> float:
    """The coarsest of the binary formats that holds all values; float32 where there are too few to tell."""
    if len(distinct) < _ENOUGH:
        return FLOAT32
    bits = distinct.astype(np.float32).view(np.uint32)
    if not (bits & 0xFFFF).any():
        return BFLOAT16
    return FLOAT16 if not (bits & 0x1FFF).any() else FLOAT32


def _decimal(distinct: FloatArray, kind: str) -> Resolution:
    parts = [_digits(value) for value in distinct.tolist()]
    digits = max(count for count, _ in parts)
    decimals = max(place for _, place in parts)
    if kind in ("text", "tqdm", "log") and digits < _LONG:
        return Resolution(0.5 * 10.0 ** (1 - max(digits, _TEXT_DIGITS)), 0.0)
    if digits >= _LONG or (len(distinct) < _ENOUGH and not _all_cut(digits, parts)):
        return Resolution(FLOAT64_REPR, 0.0)
    full = float(np.mean([count == digits for count, _ in parts]))
    at_last_place = float(np.mean([place == decimals for _, place in parts]))
    if at_last_place > full and decimals <= 6:
        return Resolution(FLOAT64_REPR, 10.0**-decimals)
    return Resolution(0.5 * 10.0 ** (1 - digits) if digits > 2 else FLOAT64_REPR, 0.0)


def _all_cut(digits: int, parts: list[tuple[int, int]]) -> bool:
    """Whether a few values show the rounding too: several of them have as many digits as the longest, and not few."""
    return digits >= _MANY_DIGITS and sum(count == digits for count, _ in parts) >= _FEW_CUT


def _digits(value: float) -> tuple[int, int]:
    """(significant digits, decimal places) of the shortest text that reads back as `value`."""
    mantissa, _, exponent = f"{value!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = fraction.rstrip("0")
    significant = (whole + fraction).lstrip("0")
    if not fraction:
        significant = significant.rstrip("0")
    return max(1, len(significant)), max(0, len(fraction) - int(exponent or 0))
