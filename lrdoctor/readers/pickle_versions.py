"""Dicts of one number each that follow one another: torch keeps a version of every module. They are stepped over.

As with rows of tensors every byte is accounted for, and what is put into the memo has numbers that follow each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from lrdoctor.model.arrays import IntArray
from lrdoctor.readers.lazy_dict import Pair

_FEWEST = 16  # dicts that are worth being taken together
_FIRST_LOOK = 1 << 13  # bytes; four times as many where all of them were of use
# Behind the dict's name: put it; a dict, put it; what it calls the number, from the memo; the number; set.
_TAIL = re.compile(rb"r....\}r....((?:h.|j....)K).s", re.DOTALL)
_KEPT_BYTES = 1 << 20  # of what was found last
_TEXT, _PUT, _DICT, _SET = b"Xr}s"
_NAME_AT, _NAMED_AT, _GOT_AT = 5, 6, 11  # in an entry behind its opcode, and in a tail


class Versions:
    """`count` entries from byte `start` of the pickle on, up to `stop`."""

    def __init__(self, data: bytes, names: IntArray, tails: IntArray, called: str, tail: int, first: int) -> None:
        self._data = data
        self._names, self._tails = names, tails
        self._called = called
        self.start, self.stop = int(names[0]) - _NAME_AT, int(tails[-1]) + tail
        self._number_at = tail - 2
        self.indices = range(first, first + 2 * len(names))
        self._dicts: list[dict[object, object]] | None = None

    def __len__(self) -> int:
        return len(self._names)

    def keys(self) -> list[str]:
        return list(map(self._name, self._names.tolist(), self._tails.tolist()))

    def _name(self, start: int, stop: int) -> str:
        return self._data[start:stop].decode("utf-8", "surrogateescape")

    def may_have(self, name: object) -> bool:
        return isinstance(name, str)

    def pairs(self) -> Iterator[Pair]:
        return zip(self.keys(), self.dicts, strict=True)

    @property
    def dicts(self) -> list[dict[object, object]]:
        if self._dicts is None:
            numbers = [self._data[tail + self._number_at] for tail in self._tails.tolist()]
            self._dicts = [{self._called: number} for number in numbers]
        return self._dicts

    def put_at(self, index: int) -> object:
        """What an entry has put at `index` of the memo: its name or its dict."""
        row, is_dict = divmod(index - self.indices.start, 2)
        return self.dicts[row] if is_dict else self._name(int(self._names[row]), int(self._tails[row]))


def versions_at(data: bytes, start: int, memo: Mapping[int, object]) -> Versions | None:
    """The dicts from byte `start` on; None where there are few."""
    if data[start + 2 : start + _NAME_AT] != b"\0\0\0":
        return None
    found = _TAIL.match(data, start + _NAME_AT + data[start + 1])
    if found is None:
        return None
    got, tail = found[1], len(found[0])
    called = memo.get(int.from_bytes(got[1:-1], "little"))
    if not isinstance(called, str):
        return None
    first = int.from_bytes(found[0][1:5], "little")
    kept = _kept.get("last")
    if kept is not None and kept.start == start and data.startswith(kept.spelt, start):
        return Versions(data, kept.names, kept.tails, called, tail, first)
    names, tails = _entries(data, start, got, tail, first)
    if len(names) < _FEWEST:
        return None
    made = Versions(data, names, tails, called, tail, first)
    if made.stop - start <= _KEPT_BYTES:
        _kept["last"] = _Kept(start, data[start : made.stop + 1], names, tails)
    return made


class _Kept(NamedTuple):
    """What was found last, with the byte that ended it: checkpoints of one training spell the same."""

    start: int
    spelt: bytes
    names: IntArray
    tails: IntArray


_kept: dict[str, _Kept] = {}


def _entries(data: bytes, start: int, got: bytes, tail: int, first: int) -> tuple[IntArray, IntArray]:
    """Where names and tails begin, one after the other, from an entry at `start`."""
    names, tails, look = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)], _FIRST_LOOK
    while True:
        window = np.frombuffer(data[start : start + look], dtype=np.uint8)
        places = _places(window, got, tail)
        begins = np.concatenate(([0], places[:-1] + tail))[: len(places)]
        good = _are_entries(window, begins, places, first)
        count = len(good) if good.all() else int(np.argmin(good))
        names.append(start + begins[:count] + _NAME_AT)
        tails.append(start + places[:count])
        if count == 0 or count < len(good) or start + look >= len(data):
            return np.concatenate(names), np.concatenate(tails)
        start, first, look = int(tails[-1][-1]) + tail, first + 2 * count, 4 * look


def _places(window: np.ndarray, got: bytes, tail: int) -> IntArray:
    """Where the bytes of a tail stand that are the same in all of them."""
    limit = max(len(window) - tail + 1, 0)
    eight = np.ndarray((max(len(window) - _GOT_AT - 7, 0),), "<u8", window, _GOT_AT, (1,))
    places = np.flatnonzero(eight & np.uint64((1 << 8 * len(got)) - 1) == np.uint64(int.from_bytes(got, "little")))
    places = places[places < limit]
    fits = (window[places] == _PUT) & (window[places + _NAMED_AT] == _PUT)
    fits &= (window[places + _NAME_AT] == _DICT) & (window[places + tail - 1] == _SET)
    found: IntArray = places[fits]
    return found


def _are_entries(window: np.ndarray, begins: IntArray, places: IntArray, first: int) -> np.ndarray:
    """Whether each begins with a text that ends where its tail starts, and fills the next two places of the memo."""
    if not len(places):
        return np.zeros(0, dtype=bool)
    four = np.ndarray((len(window) - 3,), "<u4", window, 0, (1,))
    put = first + 2 * np.arange(len(places))
    good = (window[begins] == _TEXT) & (four[begins + 1] == places - begins - _NAME_AT) & (four[begins + 1] <= 0xFF)
    good &= (four[places + 1] == put) & (four[places + _NAMED_AT + 1] == put + 1)
    return np.asarray(good)
