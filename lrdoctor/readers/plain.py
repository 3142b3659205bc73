"""From skeletons to plain values: mappings, numbers and words, whatever class once held them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lrdoctor.model.run import Scalar
from lrdoctor.readers.skeleton import Stub, Tensor

Number = Callable[[Tensor], float | int | bool | None]
"""Reads the value of a tensor with one element."""
MAX_LIST = 100_000


def mapping(value: object) -> Mapping[object, object] | None:
    """A dict, or what an object of any class holds by name; None for anything else."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, Stub):
        return None
    if value.pairs:
        return value.pairs
    state = value.state
    if isinstance(state, tuple) and len(state) == 2:  # (__dict__, slots)
        state = state[0] or state[1]
    return state if isinstance(state, dict) else None


def number(value: object, read: Number) -> float | int | None:
    """A number written as such or as a tensor with one element; a bool is none."""
    if isinstance(value, Tensor):
        value = read(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole(value: object, read: Number) -> int | None:
    """A finite number as an integer."""
    found = number(value, read)
    if found is None or found != found or found in (float("inf"), float("-inf")):
        return None
    return int(found)


def scalar(value: object, read: Number) -> Scalar:
    """A number, word, bool or None; an enumeration's member by its value; None for anything else."""
    if isinstance(value, Tensor):
        return read(value)
    if isinstance(value, Stub):
        first = value.args[0] if len(value.args) == 1 else None
        return first if isinstance(first, str | int | float) else None
    return value if isinstance(value, str | int | float | bool) else None


def numbers(value: object, read: Number) -> tuple[float, ...]:
    """The numbers of a list, in order, the rest left out; () for anything else."""
    if not isinstance(value, list | tuple):
        return ()
    found: Iterable[float | int | None] = (number(item, read) for item in value[:MAX_LIST])
    return tuple(float(item) for item in found if item is not None)


def nested(value: object, *path: object) -> object:
    """What lies under `path` in mappings of mappings, or None."""
    for name in path:
        inside = mapping(value)
        if inside is None:
            return None
        value = inside.get(name)
    return value
