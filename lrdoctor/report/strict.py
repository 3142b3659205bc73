"""Any tree of plain values as strict JSON: NaN and infinities become null, and are told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def strict(tree: object, where: str = "") -> tuple[Any, list[str]]:
    """`tree` with JSON types only, and a note for each number JSON cannot hold ("fit_error is NaN, written as null").

    Mappings need string keys; tuples become lists, numpy scalars and arrays Python's own types.
    """
    notes: list[str] = []
    return _convert(tree, where, notes), notes


def _convert(value: object, where: str, notes: list[str]) -> Any:
    match value:
        case None | bool() | str():
            return value
        case np.generic() | np.ndarray():
            return _convert(value.tolist(), where, notes)
        case int():
            return int(value)
        case float():
            return _number(value, where, notes)
        case Mapping():
            return {str(key): _convert(item, f"{where}.{key}".lstrip("."), notes) for key, item in value.items()}
        case list() | tuple():
            return [_convert(item, f"{where}[{index}]", notes) for index, item in enumerate(value)]
    return str(value)


def _number(value: float, where: str, notes: list[str]) -> float | None:
    if math.isfinite(value):
        return float(value)
    name = "NaN" if math.isnan(value) else "infinity" if value > 0 else "-infinity"
    notes.append(f"{where} is {name}, written as null")
    return None
