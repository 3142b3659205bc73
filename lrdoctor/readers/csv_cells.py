"""One cell of a table -> a number, a list of numbers, or nothing."""

from __future__ import annotations

import re

_MAX_LIST = 64
_ABSENT = frozenset({"", "-", "na", "n/a", "null", "none", "<na>"})
_DECIMAL_COMMA = re.compile(r"[-+]?\d{1,20},\d{1,20}(?:[eE][-+]?\d{1,4})?")
_TENSOR = re.compile(r"tensor\(\s*([^\s,()]{1,40})")


def is_absent(cell: str) -> bool:
    """Whether a cell says that there is nothing in it."""
    return cell.strip().lower() in _ABSENT


def number(cell: str) -> float | None:
    """A number, also with a decimal comma or printed as a tensor."""
    text = cell.strip()
    try:
        return float(text)
    except ValueError:
        pass
    if _DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(",", "."))
    tensor = _TENSOR.match(text)
    return number(tensor[1]) if tensor else None


def is_number(cell: str) -> bool:
    return number(cell) is not None


def numbers(cell: str) -> list[float]:
    """The numbers of a printed list or tuple; [] for anything else."""
    text = cell.strip()
    if len(text) < 2 or text[0] + text[-1] not in ("[]", "()"):
        return []
    parts = text[1:-1].strip().strip(",").split(",")
    if len(parts) > _MAX_LIST:
        return []
    found = [number(part) for part in parts]
    return [] if None in found else [value for value in found if value is not None]
