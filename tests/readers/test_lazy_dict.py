"""A dict that is filled later is, whatever is asked of it, the dict it will be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lrdoctor.readers.lazy_dict import LazyDict


class Part:
    """Pairs that count how often they are built."""

    def __init__(self, **pairs: object) -> None:
        self.held, self.built = pairs, 0

    def keys(self) -> list[Any]:
        return [*self.held]

    def may_have(self, name: object) -> bool:
        return name in self.held or name == "perhaps"

    def pairs(self) -> Iterator[tuple[object, object]]:
        self.built += 1
        return iter(self.held.items())


def lazy() -> tuple[LazyDict, Part]:
    made, part = LazyDict(), Part(b=2, c=3)
    made["a"] = 1
    made.append({"a0": 0}, part)
    made.append({"b": 4, "d": 5}, Part(e=6))
    return made, part


WHOLE: dict[object, object] = {"a": 1, "a0": 0, "b": 4, "c": 3, "d": 5, "e": 6}


@pytest.mark.parametrize(
    "ask",
    [
        list,
        dict,
        lambda d: [*d.items()],
        lambda d: [*d.keys()],
        lambda d: [*d.values()],
        lambda d: [*reversed(d)],
        lambda d: {**d},
        lambda d: d == WHOLE,
        lambda d: d != WHOLE,
        lambda d: d["c"],
        lambda d: d.get("c"),
        lambda d: d.get("none", 7),
        lambda d: ("c" in d, "none" in d, "perhaps" in d),
        lambda d: d.pop("b"),
        lambda d: d.popitem(),
        lambda d: d.setdefault("c", 9),
        lambda d: d.copy(),
        lambda d: d | {"f": 1},
        lambda d: {"f": 1} | d,
        repr,
        len,
        bool,
    ],
)
def test_every_question_is_answered_as_the_whole_dict_would(ask: Callable[[Any], object]) -> None:
    assert ask(lazy()[0]) == ask(dict(WHOLE))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(c=8, z=9),
        lambda d: d.__setitem__("c", 8),
        lambda d: d.__delitem__("c"),
        lambda d: d.clear(),
        lambda d: d.__ior__({"c": 8}),
    ],
)
def test_every_change_is_made_after_what_came_before(change: Callable[[Any], object]) -> None:
    made, whole = lazy()[0], dict(WHOLE)
    change(made)
    change(whole)
    assert [*made.items()] == [*whole.items()]


def test_nothing_is_built_for_names_that_are_not_there_nor_for_what_is_at_hand() -> None:
    made, part = lazy()
    assert "none" not in made
    assert made.get("none") is None
    assert bool(made)
    assert [*made.at_hand()] == [("a", 1), ("a0", 0), ("b", 4), ("d", 5)]
    assert len(made) == len(WHOLE)
    assert part.built == 0
    assert made["c"] == 3
    assert part.built == 1


def test_a_name_that_may_be_there_is_looked_for() -> None:
    made, part = lazy()
    assert "perhaps" not in made
    assert part.built == 1
