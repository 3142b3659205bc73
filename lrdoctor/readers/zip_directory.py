"""The directory of a zip archive: what it says of each member is looked at only where that member is asked for.

A checkpoint has a member for each tensor, filed under a number, and few of them are wanted. Entries of one layout
follow each other there: a stretch of them is found at once, and read as columns. Layout after APPNOTE.TXT 6.3.10,
section 4.3.12.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np

from lrdoctor.model.arrays import IntArray

_ENTRY = struct.Struct("<4s6H3I5H2I")
_LENGTHS = struct.Struct("<4s24x3H12x")  # of the same: its mark, and how long name, extra field and comment are
_U4 = struct.Struct("<I")
_PACKED_AT, _HEADER_AT = 20, 42
_COLUMNS = np.dtype(
    {
        "names": ["method", "crc", "packed", "size", "header"],
        "formats": ["<u2", "<u4", "<u4", "<u4", "<u4"],
        "offsets": [10, 16, _PACKED_AT, 24, _HEADER_AT],
        "itemsize": _ENTRY.size,
    }
)
_MARK = b"PK\x01\x02"
_MARK_NUMBER = int.from_bytes(_MARK, "little")
_LENGTHS_AT = 28  # of an entry: eight bytes with the lengths of its parts
_FEWEST = 8  # entries worth being cut at once
_AHEAD = 64  # entries that are looked at together at first
_LEAP = 16  # no more is looked at in vain than so many times what was of use before
_FEW = 64  # stretches that are looked through for a name
_MOST_DIGITS = 9
FULL32 = 0xFFFFFFFF
"""What stands in a field whose value is in the entry's extra field, as it takes more than 32 bits."""


class Member(NamedTuple):
    """One file of the archive; sizes and `header` (where its local header starts) in bytes."""

    name: str
    method: int
    flags: int
    packed: int
    size: int
    header: int


class _Stretch(NamedTuple):
    """Entries of one size, with names of one length."""

    place: int
    size: int
    many: int
    name: int


class Directory:
    """`count` entries at the start of `content`; places are bytes of it. `ValueError` where something else is there."""

    def __init__(self, content: bytes, count: int) -> None:
        self._content = content
        self._bytes = np.frombuffer(content, dtype=np.uint8)
        self._stretches = _stretches(content, count)
        self._by_name: dict[bytes, int] | None = None
        self._counts: dict[bytes, list[tuple[_Stretch, int]]] = {}

    def by_name(self) -> dict[bytes, int]:
        """Where each member's entry is; of several that share a name the last."""
        if self._by_name is None:
            self._by_name = {}
            for stretch in self._stretches:
                names = self._names(stretch).copy().view(f"V{stretch.name}")[:, 0].tolist() if stretch.name else [b""]
                stop = stretch.place + stretch.many * stretch.size
                self._by_name.update(zip(names, range(stretch.place, stop, stretch.size), strict=True))
        return self._by_name

    def place_of(self, name: bytes) -> int | None:
        """The place of the last entry of that name."""
        prefix = name.rstrip(b"0123456789")
        number = int(name[len(prefix) :][:_MOST_DIGITS] or b"-1")
        for stretch, lowest in self._counting(prefix):
            if lowest <= number < lowest + stretch.many:
                place = stretch.place + (number - lowest) * stretch.size
                if self._name_at(place, stretch.name) == name:
                    return place
        if self._by_name is None and len(self._stretches) <= _FEW:
            alike = [stretch for stretch in self._stretches if stretch.name == len(name)]
            if all(stretch.many == 1 for stretch in alike):
                return next((place for place, *_ in reversed(alike) if self._name_at(place, len(name)) == name), None)
        return self.by_name().get(name)

    def places_of(self, prefix: bytes, numbers: IntArray) -> IntArray:
        """The places of the members called `prefix` and a number, -1 where there is none."""
        places = np.full(len(numbers), -1, dtype=np.int64)
        for stretch, lowest in self._counting(prefix):
            rows = numbers - lowest
            np.copyto(places, stretch.place + stretch.size * rows, where=(rows >= 0) & (rows < stretch.many))
        missing = np.flatnonzero(places < 0).tolist()
        if missing:
            named = self.by_name()
            names = (prefix + str(number).encode() for number in numbers[missing].tolist())
            places[missing] = [named.get(name, -1) for name in names]
        return places

    def _counting(self, prefix: bytes) -> list[tuple[_Stretch, int]]:
        """The stretches of members called `prefix` and numbers, one by one upwards as torch has them; and their first.

        Between a first and a last number there is room for no more names than there are, as long as these rise.
        """
        if prefix not in self._counts:
            some = [one for one in self._stretches if self._name_at(one.place, len(prefix)) == prefix]
            lengths = [stretch.name for stretch in some]
            told = ((one, self._counted_from(one, prefix)) for one in some if lengths.count(one.name) == 1)
            self._counts[prefix] = [(stretch, lowest) for stretch, lowest in told if lowest is not None]
        return self._counts[prefix]

    def _counted_from(self, stretch: _Stretch, prefix: bytes) -> int | None:
        end = stretch.place + (stretch.many - 1) * stretch.size
        first, last = (self._name_at(place, stretch.name) for place in (stretch.place, end))
        digits = first[len(prefix) :], last[len(prefix) :]
        if not last.startswith(prefix) or not all(map(bytes.isdigit, digits)):
            return None
        lowest, highest = int(digits[0][:_MOST_DIGITS]), int(digits[1][:_MOST_DIGITS])
        if len(str(lowest)) < len(digits[0]) or highest - lowest != stretch.many - 1:
            return None
        back = _ENTRY.size + stretch.name - 8
        tails = np.ndarray((stretch.many,), ">u8", self._content, stretch.place + back, (stretch.size,))
        return lowest if (tails[1:] > tails[:-1]).all() else None

    def columns(self, places: IntArray) -> np.ndarray[Any, Any]:
        """(n,) fields of the entries at these places: "method", "crc", "packed", "size" and "header"."""
        return np.ndarray((len(self._content) - _ENTRY.size + 1,), _COLUMNS, self._content, 0, (1,))[places]

    def member(self, place: int) -> Member:
        """All of one entry."""
        fields = _ENTRY.unpack_from(self._content, place)
        _, _, _, flags, method, _, _, _, packed, size, name_length, extra_length, _, *_, header = fields
        name = self._name_at(place, name_length).decode("utf-8", "replace")
        if FULL32 in (packed, size, header):
            place += _ENTRY.size + name_length
            packed, size, header = _wide(self._content[place : place + extra_length], packed, size, header)
        return Member(name, method, flags, packed, size, header)

    def first_alone(self, end: bytes) -> bool:
        """Whether the first member's name ends so, and certainly no other's does."""
        if not end or not 0 < len(self._stretches) <= _FEW or self._stretches[0].many > 1:
            return False
        first, *others = (self._may_end(stretch, end) for stretch in self._stretches)
        return first and not any(others)

    def _may_end(self, stretch: _Stretch, end: bytes) -> bool:
        """Whether a name in the stretch can end so: of many, the last letter is looked at."""
        if stretch.many == 1:
            return self._name_at(stretch.place, stretch.name).endswith(end)
        return bool((self._names(stretch)[:, -1] == end[-1]).any())

    def reaches(self) -> int:
        """Where the last of the members' contents ends, at least, in bytes of the file."""
        furthest = 0
        for stretch in self._stretches:
            if stretch.many == 1:
                furthest = max(furthest, self._end_of(stretch.place))
                continue
            ends = self._numbers(stretch, _HEADER_AT).astype(np.int64) + self._numbers(stretch, _PACKED_AT)
            if int(ends.max()) >= FULL32:
                wide = np.flatnonzero(ends >= FULL32).tolist()
                ends[wide] = [self._end_of(stretch.place + row * stretch.size) for row in wide]
            furthest = max(furthest, int(ends.max()))
        return furthest

    def _end_of(self, place: int) -> int:
        (packed,), (header,) = (_U4.unpack_from(self._content, place + at) for at in (_PACKED_AT, _HEADER_AT))
        if FULL32 in (packed, header):
            member = self.member(place)
            packed, header = member.packed, member.header
        return int(header + packed)

    def _name_at(self, place: int, length: int) -> bytes:
        return self._content[place + _ENTRY.size : place + _ENTRY.size + length]

    def _names(self, stretch: _Stretch) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """(count, name) bytes."""
        rows = self._bytes[stretch.place : stretch.place + stretch.many * stretch.size].reshape(-1, stretch.size)
        return rows[:, _ENTRY.size : _ENTRY.size + stretch.name]

    def _numbers(self, stretch: _Stretch, offset: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
        """(count,) the four bytes at `offset` of each entry."""
        return np.ndarray((stretch.many,), "<u4", self._content, stretch.place + offset, (stretch.size,))


def _stretches(content: bytes, count: int) -> list[_Stretch]:
    found: list[_Stretch] = []
    place, ahead = 0, _AHEAD
    while count > 0:
        mark, name, extra, comment = _LENGTHS.unpack_from(content, place)
        if mark != _MARK:
            raise ValueError("not a directory entry")
        size = _ENTRY.size + name + extra + comment
        if place + size > len(content):
            raise ValueError("an entry is cut off")
        alike = _alike(content, place, size, min(count, ahead)) if name else 1
        found.append(_Stretch(place, size, alike, name))
        ahead = max(_AHEAD, _LEAP * alike)
        place += alike * size
        count -= alike
    return found


def _alike(content: bytes, place: int, size: int, most: int) -> int:
    """How many entries from `place` on have the mark and the lengths of the first, and so its size; at least one."""
    count = min(most, (len(content) - place) // size)
    further = place + (_FEWEST - 1) * size + _LENGTHS_AT
    first = place + _LENGTHS_AT
    if count < _FEWEST or content[further : further + 8] != content[first : first + 8]:
        return 1
    lengths = np.ndarray((count,), "<u8", content, first, (size,))
    same = (lengths == lengths[0]) & (np.ndarray((count,), "<u4", content, place, (size,)) == _MARK_NUMBER)
    return count if same.all() else int(np.argmin(same))


def _wide(extra: bytes, packed: int, size: int, header: int) -> tuple[int, int, int]:
    """The 64-bit values of the fields that do not fit, in the order size, packed, header (APPNOTE 4.5.3)."""
    position = 0
    while position + 4 <= len(extra):
        mark, length = struct.unpack_from("<2H", extra, position)
        position += 4
        if mark == 1:
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, position))
            size = next(wide, size) if size == FULL32 else size
            packed = next(wide, packed) if packed == FULL32 else packed
            header = next(wide, header) if header == FULL32 else header
        position += length
    return packed, size, header
