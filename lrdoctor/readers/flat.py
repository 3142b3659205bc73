"""Nested records of JSON -> flat names with numbers: {"val": {"loss": 0.3}, "lr": [1, 2]} -> val/loss, lr[0], lr[1]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

MAX_DEPTH = 6
MAX_LIST = 64  # longer lists are data (histograms, samples), not one number per parameter group
MAX_NUMBERS = 4096  # of one record
_LONGEST_NUMBER = 32  # characters of a number written as text


def numbers_in(record: Mapping[str, object]) -> dict[str, float]:
    """Every number of a record by its flat name; whatever is no number is left out."""
    found: dict[str, float] = {}
    for name, value in _flat("", record, 0):
        if len(found) >= MAX_NUMBERS:
            break
        found[name] = value
    return found


def number(value: object) -> float | None:
    """A number, also one written as text (fairseq); None for anything else, bools included."""
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return None
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_NUMBER:
        try:
            return float(value)
        except ValueError:
            return None
    return None


def _flat(name: str, value: object, depth: int) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        if depth < MAX_DEPTH and "_type" not in value:  # W&B marks images, tables and histograms so
            for key, inner in value.items():
                yield from _flat(f"{name}/{key}" if name else str(key), inner, depth + 1)
    elif isinstance(value, list | tuple):
        if depth < MAX_DEPTH and len(value) <= MAX_LIST:
            for index, inner in enumerate(value):
                yield from _flat(f"{name}[{index}]", inner, depth + 1)
    else:
        read = number(value)
        if read is not None:
            yield name, read
