"""Numbers as a person would write them: learning rates, steps, counts, shares. Never a NaN on the page: an en dash."""

from __future__ import annotations

import math

NOTHING = "\N{EN DASH}"


def lr(value: float | None) -> str:
    """A learning rate with up to three significant digits: 0.1, 0.05, 3e-4, 1.25e-3."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0.0:
        return "0"
    return _plain(value, 3) if 0.01 <= abs(value) < 1e4 else _scientific(value, 3)


def count(value: float | None) -> str:
    """A whole number with thousands separators; up to two decimals where it is not whole."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}".rstrip("0").rstrip(".")


def plural(value: float, noun: str, nouns: str | None = None) -> str:
    """`1 step`, `2 steps`."""
    return f"{count(value)} {noun if value == 1 else nouns or noun + 's'}"


def small(value: float | None) -> str:
    """An error or a difference, two significant digits: 1.2e-7."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0.0:
        return "0"
    return _plain(value, 2) if 0.01 <= abs(value) < 100 else _scientific(value, 2)


def loss(value: float | None) -> str:
    """A loss, four significant digits."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0.0:
        return "0"
    return _plain(value, 4) if 1e-3 <= abs(value) < 1e6 else _scientific(value, 4)


def rounded_up(value: float) -> str:
    """A bound, two significant digits: the smallest such number that is not below `value`."""
    if not math.isfinite(value) or value <= 0.0:
        return NOTHING
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / unit - 1e-9) * unit:.6g}"


def share(value: float | None) -> str:
    """A fraction as a percentage: 0.983 is `98 %`, 0.0001 is `0.01 %`."""
    if value is None or not math.isfinite(value):
        return NOTHING
    percent = 100.0 * value
    if percent == 0.0 or abs(percent) >= 10.0:
        return f"{percent:.0f}\N{NO-BREAK SPACE}%"
    return f"{percent:.2g}\N{NO-BREAK SPACE}%"


def value(value: object) -> str:
    """Any value of an evidence table or a parameter list."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return NOTHING
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _real(value)
    if isinstance(value, list | tuple):
        return ", ".join(_item(item) for item in value)
    return str(value)


def seconds(value: float) -> str:
    """A duration: `0.4 s`, `12 s`."""
    return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"


def _item(entry: object) -> str:
    """One element of a list: no thousands separator, whose comma would read as the next element."""
    return str(entry) if isinstance(entry, int) else value(entry)


def _real(number: float) -> str:
    if not math.isfinite(number):
        return NOTHING if math.isnan(number) else ("\N{INFINITY}" if number > 0 else "-\N{INFINITY}")
    if number.is_integer() and abs(number) < 1e12:
        return f"{number:,.0f}"
    return _plain(number, 4) if 1e-2 <= abs(number) < 1e6 else _scientific(number, 3)


def _plain(number: float, digits: int) -> str:
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    text = f"{number:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scientific(number: float, digits: int) -> str:
    mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"
