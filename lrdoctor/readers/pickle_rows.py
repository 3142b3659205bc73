"""Calls that rebuild tensors, found and checked byte for byte many at a time: the bulk of a checkpoint's pickle.

A row is one call up to the next: the tensor, and what names the one that follows. It is a row only where every byte
from one call to the next is accounted for, as protocol 2 spells it once its names are in the memo, and where what it
puts into the memo has numbers that follow each other.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import IntArray

_Bytes = npt.NDArray[np.uint8]
_WINDOW = 1 << 22  # bytes looked at together
_BEYOND = 2048  # more than a row of unexpected bytes can lead past the end of a window
_ALWAYS = True
_KEPT_BYTES = 1 << 20  # of a pickle whose rows are kept
_MOST_KEPT = 8  # of them
_FEWEST = 16  # rows that are worth being taken together
_MARK, _PUT, _TEXT, _SET, _DICT = b"(rXu}"


def _widths(opcodes: dict[bytes, int]) -> IntArray:
    """(256,) how long each opcode is with its argument; 0 for all others."""
    widths = np.zeros(256, dtype=np.int64)
    for opcode, width in opcodes.items():
        widths[opcode[0]] = width
    return widths


_INT = _widths({b"K": 2, b"M": 3, b"J": 5})
_INT_BITS = np.array([(1 << 8 * max(width - 1, 0)) - 1 for width in _INT.tolist()], dtype=np.uint32)
"""Which of the four bytes behind the opcode are the number's."""
_GET = _widths({b"h": 2, b"j": 5})
_CLOSING = np.frombuffer(b")\x85\x86\x87ttttt", dtype=np.uint8)  # of a tuple with so many numbers
_MOST_DIGITS = 9
_MOST_SIZES = len(_CLOSING) - 1


def rows_from(data: bytes, start: int, anchor: bytes) -> tuple[Rows, int]:
    """The rows of a pickle from a call at `start` on, and up to where they are this pickle's.

    Checkpoints of one training spell the same rows: earlier ones at the same place are taken as far as the bytes agree.
    """
    kept = _kept.get(start)
    until = kept.same_until(data, start, anchor) if kept is not None else start
    if kept is not None and until > start:
        return kept, until
    rows = Rows(data, start, anchor)
    if rows.stop == len(data) and len(data) <= _KEPT_BYTES:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[start] = rows
    return rows, rows.stop if rows.stop == len(data) else rows.starts[-1]


class Rows:
    """The rows in a part of a pickle. Arrays are (rows,): positions are bytes of the pickle, indices those of the memo.

    `anchor` is what each call starts with: the function, two marks and the word "storage", all from the memo.
    """

    def __init__(self, data: bytes, start: int, anchor: bytes) -> None:
        self.anchor = anchor
        self._width = anchor.index(b"((")
        self.stop = min(len(data), start + _WINDOW)
        self._base = start
        self._padded = data[start : self.stop] + bytes(_BEYOND)
        self._u = np.frombuffer(self._padded, dtype=np.uint8)
        self._u4 = np.ndarray((len(self._padded) - 3,), dtype="<u4", buffer=self._padded, strides=(1,))
        self._u8 = np.ndarray((len(self._padded) - 7,), dtype="<u8", buffer=self._padded, strides=(1,))
        places = self._places()
        self._starts, self._next = places[:-1], places[1:]
        self._bad: _Bytes = np.zeros(len(self._starts), dtype=np.uint8)
        self._expected = np.zeros(len(self._starts), dtype=np.int64)
        self._parse()
        self.last_put = self._expected - 1
        follows = self._expected[:-1] == self.first_put[1:]
        # A run ends in front of a bad row, and behind one whose successor's numbers do not follow.
        ends = np.concatenate((np.flatnonzero(self._bad), np.flatnonzero(~follows) + 1, [len(self._starts)]))
        self._ends: list[int] = np.unique(ends).tolist()
        self.starts: list[int] = (self._starts + start).tolist()
        self.starts.append(self._base + int(places[-1]) if len(places) else self.stop)
        bounds = zip([0, *self._ends], self._ends, strict=False)
        runs = (range(first + int(self._bad[first]), last) for first, last in bounds if first < last)
        self._got: dict[range, list[int] | None] = {}
        self._runs = [run for run in runs if len(run) >= _FEWEST]

    def same_until(self, data: bytes, start: int, anchor: bytes) -> int:
        """Up to which byte a pickle has these rows from a call at `start` on, in steps of runs."""
        if anchor != self.anchor:
            return start
        seen = 0
        for row in (*(run.stop for run in self._runs), len(self._starts)):
            end = self.starts[row] - start + len(anchor)
            if not data.startswith(self._padded[seen:end], start + seen):
                return start + max(seen - len(anchor), 0)
            seen = end
        further = data.find(anchor, start + seen)
        return len(data) if further < 0 else further

    def entry_keys(self, rows: IntArray) -> list[int]:
        """The keys under which these rows open a dict."""
        at = self._entry_at[rows]
        keys: list[int] = (self._u4[at + 1] & _INT_BITS.take(self._u.take(at))).view(np.int32).tolist()
        return keys

    def key_numbers(self, rows: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """The storages' keys of these rows as numbers, and whether they are spelt as such, without a zero in front."""
        at, length = self.key_at[rows] - self._base, self.key_length[rows]
        numbers = np.zeros(len(rows), dtype=np.int64)
        for width in range(int(length.min(initial=_MOST_DIGITS)), int(length.max(initial=0)) + 1):
            which = np.flatnonzero(length == width)
            digits = self._u.take(at[which, None] + np.arange(width)) - np.uint8(ord("0"))
            numbers[which] = digits @ 10 ** np.arange(width - 1, -1, -1)
        return numbers, (length == 1) | (self._u.take(at) != ord("0"))

    def mention(self, data: bytes, span: slice, text: str) -> bool:
        """Whether a text stands anywhere in these rows."""
        try:
            spelt = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            return True  # which only a look at the texts can tell
        return data.find(spelt, self.starts[span.start], self.starts[span.stop]) >= 0

    def names_got(self, found: range) -> list[int] | None:
        """The indices of the memo that names of a run come from; None where one is not there yet."""
        if found not in self._got:
            span = slice(found.start, found.stop)
            unnamed, got = ~self.named[span], self.name[span]
            later = (got >= self.first_put[span]) & (got <= self.last_put[found.stop - 1])
            self._got[found] = None if (later & unnamed).any() else np.unique(got[unnamed]).tolist()
        return self._got[found]

    def next_run(self, position: int) -> int:
        """The first call, from `position` on, with which a run can begin; behind all of them where there is none."""
        for run in self._runs:
            if self.starts[run.stop - _FEWEST] >= position:
                return max(self.starts[run.start], position)
        return self.starts[-1]

    def run_at(self, position: int) -> range:
        """The rows that follow each other from a call at `position`; none where there are few."""
        first = bisect_left(self.starts, position)
        if first >= len(self._starts) or self.starts[first] != position or self._bad[first]:
            return range(0)
        last = self._ends[bisect_left(self._ends, first + 1)]
        return range(first, last) if last - first >= _FEWEST else range(0)

    def _places(self) -> IntArray:
        limit = len(self._u) - _BEYOND
        found = self._u[:limit] == self.anchor[0]
        for place, byte in enumerate(self.anchor[1:], 1):
            found &= self._u[place : limit + place] == byte
        return np.flatnonzero(found)

    def _parse(self) -> None:
        at = self._starts + len(self.anchor)
        self.kind = self._index(at)
        at = self._skip(at, _GET)
        key_at, at = self._text(at, _ALWAYS)
        self.key_at, self.key_length = key_at + self._base, at - key_at
        self._are_digits(key_at, self.key_length)
        self.first_put = self._expected = self._u4[at + 1].astype(np.int64)
        at = self._spelt(at, b"r....")
        at = self._skip(at, _GET)
        at = self._skip(at, _INT)
        at = self._spelt(at, b"tr....Q")
        self.offset_is_0 = (self._u4[at] & 0xFFFF) == ord("K")
        at = self._skip(at, _INT)
        self.dimensions, at = self._sizes(at)
        _, at = self._sizes(at)
        self._bad |= (self._u.take(at) & 0xFE) ^ 0x88
        at = self._skip(at + 1, _GET)
        at = self._spelt(at, b")Rr....t")
        at = self._spelt(at, b"r....R")
        self.put = self._expected
        at = self._spelt(at, b"r....")
        self._bad |= self._to_the_next(at) != self._next

    def _to_the_next(self, at: IntArray) -> IntArray:
        """Past what is between two calls: a name, before it perhaps the end of one dict and the start of another."""
        self.opens = self._u.take(at) == _SET
        at = at + self.opens
        self._entry_at = at
        if self.opens.any():
            at = self._skip(at, _INT, self.opens)
            at = self._put(self._one(at, _DICT, self.opens), self.opens)
            at = self._one(at, _MARK, self.opens)
        self.named = self._u.take(at) == _TEXT
        name_at, after = self._text(at, self.named)
        self.name_at, self.name_length = name_at + self._base, after - name_at
        self.name = self._index(at)
        return np.where(self.named, self._put(after, self.named), self._skip(at, _GET, ~self.named))

    # Each of these passes over one instruction, where `where`, and marks the rows that have another.

    def _spelt(self, at: IntArray, spelling: bytes) -> IntArray:
        """Past up to eight bytes, of which those from the first dot on are the memo's index that comes next."""
        dots = spelling.index(b"....")
        fixed = int.from_bytes(spelling.replace(b".", b"\0"), "little")
        found = self._u8[at] & np.uint64((1 << 8 * len(spelling)) - 1)
        self._bad |= found != (self._expected.astype(np.uint64) << np.uint64(8 * dots)) + np.uint64(fixed)
        self._expected = self._expected + 1
        return at + len(spelling)

    def _one(self, at: IntArray, opcode: int, where: npt.NDArray[np.bool_] | bool = True) -> IntArray:
        self._bad |= (self._u.take(at) ^ opcode) * where
        return at + where

    def _skip(self, at: IntArray, widths: IntArray, where: npt.NDArray[np.bool_] | bool = True) -> IntArray:
        found = widths.take(self._u.take(at)) * where
        self._bad |= (found == 0) & where
        return at + found

    def _put(self, at: IntArray, where: npt.NDArray[np.bool_] | bool) -> IntArray:
        self._bad |= ((self._u.take(at) ^ _PUT) | (self._u4[at + 1] != self._expected)) * where
        self._expected = self._expected + where
        return at + 5 * np.asarray(where, dtype=np.int64)

    def _text(self, at: IntArray, where: npt.NDArray[np.bool_] | bool) -> tuple[IntArray, IntArray]:
        """Where a text of less than 256 bytes begins and ends."""
        length = self._u4[at + 1]
        self._bad |= ((self._u.take(at) ^ _TEXT) | (length > 0xFF)) * where
        return at + 5, at + 5 + (length & 0xFF)

    def _are_digits(self, at: IntArray, length: IntArray) -> None:
        self._bad |= (length == 0) | (length > _MOST_DIGITS)
        for place in range(min(int(length.max(initial=0)), _MOST_DIGITS)):
            self._bad |= (self._u.take(at + place) - np.uint8(ord("0")) > 9) & (length > place)

    def _sizes(self, at: IntArray) -> tuple[IntArray, IntArray]:
        """Past a tuple of numbers; how many there are."""
        marked = self._u.take(at) == _MARK
        at = at + marked
        count = np.zeros(len(at), dtype=np.int64)
        while count.max(initial=0) < _MOST_SIZES and (widths := _INT.take(self._u.take(at))).any():
            at = at + widths
            count = count + (widths > 0)
        self._bad |= (self._u.take(at) ^ _CLOSING.take(count)) | (marked != (count > 3))
        return count, self._put(at + 1, count > 0)

    def _index(self, at: IntArray) -> IntArray:
        """The memo's index that is got."""
        index: IntArray = np.array(self._u4[at + 1], dtype=np.int64)
        index[self._u.take(at) == b"h"[0]] &= 0xFF
        return index


_kept: dict[int, Rows] = {}
