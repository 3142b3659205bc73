"""A dict that is filled when its contents are asked for: a checkpoint names thousands of tensors; few are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Protocol

Pair = tuple[object, object]


class Later(Protocol):
    """Pairs of a dict that are not built yet."""

    def keys(self) -> list[Any]: ...

    def may_have(self, name: object) -> bool:
        """False where it is certain that no key equals `name`."""
        ...

    def pairs(self) -> Iterator[Pair]: ...


class _Built:
    """Pairs that are built, but set after others that are not."""

    def __init__(self, pairs: dict[object, object]) -> None:
        self._pairs = pairs

    def keys(self) -> list[object]:
        return [*self._pairs]

    def may_have(self, name: object) -> bool:
        return name in self._pairs

    def pairs(self) -> Iterator[Pair]:
        return iter(self._pairs.items())


class LazyDict(dict[object, object]):
    """A dict of the pairs at hand and those of `later`, which count as set after them, in order."""

    __slots__ = ("later",)

    def __init__(self) -> None:
        super().__init__()
        self.later: list[Later] = []

    def at_hand(self) -> Iterator[Pair]:
        """The pairs that are built already."""
        return chain(dict.items(self), *(part.pairs() for part in self.later if isinstance(part, _Built)))

    def not_at_hand(self) -> list[Later]:
        return [part for part in self.later if not isinstance(part, _Built)]

    def append(self, pairs: dict[object, object], part: Later) -> None:
        """Set these pairs, and later those of `part`."""
        if self.later and pairs:
            self.later.append(_Built(pairs))
        else:
            dict.update(self, pairs)
        self.later.append(part)

    def settle(self) -> None:
        """Build all pairs."""
        parts, self.later = self.later, []
        for part in parts:
            dict.update(self, part.pairs())

    def __contains__(self, name: object) -> bool:
        if not dict.__contains__(self, name) and any(part.may_have(name) for part in self.later):
            self.settle()
        return dict.__contains__(self, name)

    def get(self, name: object, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 - this is what get does

    def __len__(self) -> int:
        if not self.later:
            return dict.__len__(self)
        return len({*dict.__iter__(self)}.union(*(part.keys() for part in self.later)))

    def __bool__(self) -> bool:
        return bool(self.later) or dict.__len__(self) > 0

    __hash__ = None


def _settling(name: str) -> Callable[..., Any]:
    method = getattr(dict, name)

    def settled(self: LazyDict, *given: Any, **named: Any) -> Any:
        if self.later:
            self.settle()
        return method(self, *given, **named)

    return settled


for _name in (
    *("__getitem__", "__setitem__", "__delitem__", "__iter__", "__reversed__", "__eq__", "__ne__", "__or__", "__ror__"),
    *("__ior__", "__repr__", "items", "keys", "values", "copy", "pop", "popitem", "setdefault", "update", "clear"),
):
    setattr(LazyDict, _name, _settling(_name))
