"""The zip container of a checkpoint: only the directory and what is asked for leave the disk."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.model.arrays import IntArray
from lrdoctor.readers.disk import Disk
from lrdoctor.readers.storage import Window

_ENTRY_BYTES = 512  # of the directory for each member at most: real entries have a hundred
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LENGTHS = struct.Struct("<4s24x3H12x")  # of the same: its mark, and how long name, extra field and comment are
_PACKED_AT, _HEADER_AT = 20, 42
_CENTRAL_FIELDS = np.dtype(
    {"names": ["method", "packed", "header"], "formats": ["<u2", "<u4", "<u4"], "offsets": [10, 20, 42], "itemsize": 46}
)
_SAYING_THE_SIZE = (0, 2, 28, 30, 32)  # where in an entry lie its mark and the lengths of its parts
_LOCAL_FIELDS = np.dtype(
    {"names": ["mark", "name", "extra"], "formats": ["<u4", "<u2", "<u2"], "offsets": [0, 26, 28], "itemsize": 30}
)
_LOCAL_MARK = int.from_bytes(b"PK\x03\x04", "little")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_FEWEST = 8  # entries worth being cut at once
_AHEAD = 64  # entries that are looked at together at first
_STORED, _DEFLATED = 0, 8
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF


Bytes = npt.NDArray[np.uint8]


class Member(NamedTuple):
    """One file of the archive; sizes and `header` (where its local header starts) in bytes."""

    name: str
    method: int
    flags: int
    packed: int
    size: int
    header: int


class DirectoryError(ReadError):
    """The directory at an archive's end is missing or malformed."""


class Archive:
    """The members by name; `DirectoryError` where the directory is of no use, `ReadError` where it is too large.

    `directory` is the byte where the list of them starts. A checkpoint has a member for each tensor, and few are asked
    for: an entry of the directory is looked at only then.
    """

    def __init__(self, data: Window, where: str) -> None:
        self.data = data
        self.where = where
        try:
            count, self.directory = _end_record(data)
            self._directory = _directory(data, count, self.directory)
            self._entries = _entries(self._directory, count)
        except (struct.error, IndexError, ValueError) as error:
            why = "its directory at the end is missing or damaged: the file is incomplete"
            raise DirectoryError("The archive cannot be read.", where=where, why=why) from error

    def names(self) -> list[str]:
        return [name.decode("utf-8", "replace") for name in self._entries]

    def member(self, name: str) -> Member | None:
        """The last member of that name, or None."""
        place = self._entries.get(name.encode("utf-8", "surrogateescape"))
        return None if place is None else _member(self._directory, place)

    def ending(self, end: bytes) -> list[Member]:
        """The members whose names end so."""
        if self._directory.count(end) == 1 and (first := _member(self._directory, 0)).name.encode().endswith(end):
            return [first]  # which is where torch puts its pickle
        return [_member(self._directory, place) for name, place in self._entries.items() if name.endswith(end)]

    def every(self) -> list[Member]:
        """All members, in the directory's order; of several that share a name the last."""
        return self.ending(b"")

    def reaches(self) -> int:
        """Where the last of the members' contents ends, at least, in bytes of the file."""
        places = np.fromiter(self._entries.values(), dtype=np.int64, count=len(self._entries))
        every = np.ndarray((len(self._directory) - 3,), dtype="<u4", buffer=self._directory, strides=(1,))
        ends = every[places + _HEADER_AT].astype(np.int64) + every[places + _PACKED_AT]
        wide = np.flatnonzero(ends >= _FULL32).tolist()
        further = (_member(self._directory, int(places[row])) for row in wide)
        ends[wide] = 0
        return max([int(ends.max(initial=0)), *(member.header + member.packed for member in further)])

    def read(self, member: Member, limit: int | None = None) -> bytes:
        """The member's bytes, unpacked; `ReadError` where they would be more than `limit`, or than allowed."""
        known = f"{limit:,} expected" if limit else raised_by("pickle_bytes")
        limit = limit or limits().pickle_bytes
        if member.size > limit:
            raise self._broken(f"{member.name} claims {member.size:,} bytes, too many ({known})")
        if member.flags & 1:
            raise self._broken(f"{member.name} is encrypted")
        start = self.start_of(member)
        packed = self.data[start : start + member.packed] if member.packed <= len(self.data) else b""
        if len(packed) < member.packed:
            raise self._broken(f"{member.name} is cut off")
        return packed if member.method == _STORED else self._unpacked(member, packed, limit, known)

    def start_of(self, member: Member) -> int:
        """Where the member's data starts; its local header has lengths of its own."""
        header = self.data[member.header : member.header + _LOCAL.size]
        return member.header + self._offset_in(header, member)

    def beginning(self, member: Member, start: int, count: int) -> bytes:
        """The bytes [start, start + count) of a stored member, in one access where they come early."""
        near = self.data[member.header : member.header + _NEAR]
        at = self._offset_in(near, member) + start
        if at + count <= len(near):
            return near[at : at + count]
        return self.data[member.header + at : member.header + at + count]

    def beginnings(self, names: Sequence[bytes], count: int) -> tuple[IntArray, Bytes]:
        """The first `count` bytes of many stored members, (n, count), and which of the names they are of.

        Left out is what takes a second look: a missing name, a packed member, a file beyond 4 GB, a long header.
        """
        if not isinstance(self.data, Disk):
            return np.empty(0, dtype=np.int64), np.empty((0, count), dtype=np.uint8)
        places = np.array([self._entries.get(name, -1) for name in names], dtype=np.int64)
        which = np.flatnonzero(places >= 0)
        entries = self._fields_of(places[which])
        plain = (entries["method"] == _STORED) & (entries["header"] != _FULL32) & (entries["packed"] >= count)
        which, entries = which[plain], entries[plain]
        pieces = self.data.pieces(entries["header"].tolist(), _NEAR)
        whole = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces)) == _NEAR
        heads = np.frombuffer(b"".join(pieces if whole.all() else compress(pieces, whole)), dtype=np.uint8)
        fields = heads.reshape(-1, _NEAR)[:, : _LOCAL.size].copy().view(_LOCAL_FIELDS)[:, 0]
        start = _LOCAL.size + fields["name"].astype(np.int64) + fields["extra"]
        good = np.flatnonzero((fields["mark"] == _LOCAL_MARK) & (start + count <= _NEAR))
        return which[whole][good], heads[(_NEAR * good + start[good])[:, None] + np.arange(count)]

    def _fields_of(self, places: IntArray) -> np.ndarray[Any, Any]:
        """Entries of the directory at these places, as a structured array."""
        rows = np.frombuffer(self._directory, dtype=np.uint8)[places[:, None] + np.arange(_CENTRAL.size)]
        entries: np.ndarray[Any, Any] = rows.view(_CENTRAL_FIELDS)[:, 0]
        return entries

    def _offset_in(self, header: bytes, member: Member) -> int:
        if len(header) < _LOCAL.size:
            raise self._broken(f"{member.name} lies outside the file")
        fields = _LOCAL.unpack_from(header)
        if fields[0] != b"PK\x03\x04":
            raise self._broken(f"{member.name} is not where the directory says")
        return int(_LOCAL.size + fields[9] + fields[10])

    def span_of(self, member: Member) -> tuple[int, int]:
        """From its local header to the end of its data, or a little more: torch pads by less than 128 bytes."""
        length = _LOCAL.size + len(member.name) + _PADDING + member.packed
        return member.header, member.header + max(length, _NEAR)

    def _unpacked(self, member: Member, packed: bytes, limit: int, known: str) -> bytes:
        if member.method != _DEFLATED:
            raise self._broken(f"{member.name} is packed by method {member.method}, which torch does not use")
        try:
            whole = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, limit + 1)
        except zlib.error as error:
            raise self._broken(f"{member.name} cannot be unpacked") from error
        if len(whole) > limit:
            raise self._broken(f"{member.name} unpacks to more than {limit:,} bytes ({known})")
        return whole

    def _broken(self, why: str) -> ReadError:
        return ReadError("The archive cannot be read.", where=self.where, why=why)


_PADDING = 128  # bytes at most in front of a member's data
_NEAR = 256  # bytes: a local header, a name, torch's padding to 64 bytes, and a number


def _directory(data: Window, count: int, start: int) -> bytes:
    """The bytes from the directory's start, enough for its entries."""
    if count > limits().members:
        raise ReadError("The archive is too large.", why=f"it has {count:,} members ({raised_by('members')})")
    return data[start : min(len(data), start + count * _ENTRY_BYTES)]


def _entries(directory: bytes, count: int) -> dict[bytes, int]:
    """Place of each entry by name. Entries of one layout follow each other in a checkpoint: those are cut at once."""
    found: dict[bytes, int] = {}
    place, lengths, ahead = 0, _LENGTHS.unpack_from, _AHEAD
    while count > 0:
        mark, name, extra, comment = lengths(directory, place)
        if mark != b"PK\x01\x02":
            raise ValueError("not a directory entry")
        size = _CENTRAL.size + name + extra + comment
        alike = _alike(directory, place, size, min(count, ahead)) if name else 1
        ahead = 4 * ahead if alike == ahead else _AHEAD  # what is looked at in vain is no more than was of use before
        if alike == 1:
            found[directory[place + _CENTRAL.size : place + _CENTRAL.size + name]] = place
        else:
            rows = np.frombuffer(directory, dtype=np.uint8, count=alike * size, offset=place).reshape(alike, size)
            names = rows[:, _CENTRAL.size : _CENTRAL.size + name].copy().view(f"V{name}")[:, 0]
            found.update(zip(names.tolist(), range(place, place + alike * size, size), strict=True))
        place += alike * size
        count -= alike
    return found


def _alike(directory: bytes, place: int, size: int, most: int) -> int:
    """How many entries from `place` on have the mark and the lengths of the first, and so its size; at least one."""
    count = min(most, (len(directory) - place) // size)
    further = place + (_FEWEST - 1) * size
    if count < _FEWEST or directory[further + 28 : further + 34] != directory[place + 28 : place + 34]:
        return 1
    same = np.ones(count, dtype=bool)
    for offset in _SAYING_THE_SIZE:
        field = np.ndarray((count,), dtype="<u2", buffer=directory, offset=place + offset, strides=(size,))
        same &= field == field[0]
    return count if same.all() else int(np.argmin(same))


def _member(directory: bytes, place: int) -> Member:
    fields = _CENTRAL.unpack_from(directory, place)
    _, _, _, flags, method, _, _, _, packed, size, name_length, extra_length, _, *_, header = fields
    place += _CENTRAL.size
    name = directory[place : place + name_length].decode("utf-8", "replace")
    place += name_length
    if _FULL32 in (packed, size, header):
        packed, size, header = _wide(directory[place : place + extra_length], packed, size, header)
    return Member(name, method, flags, packed, size, header)


def _end_record(data: Window) -> tuple[int, int]:
    """How many members there are and where the directory starts."""
    base = max(0, len(data) - _END.size - _FULL16)
    tail = data[base:]
    place = tail.rfind(b"PK\x05\x06")
    if place < 0:
        raise ValueError("no end record")
    *_, count, _, start, _ = _END.unpack_from(tail, place)
    if count != _FULL16 and start != _FULL32:
        return count, start
    before = base + place - _LOCATOR64.size
    mark, _, place64, _ = _LOCATOR64.unpack(data[max(0, before) : base + place])
    if mark != b"PK\x06\x07":
        return count, start
    mark, *_, count, _, start = _END64.unpack(data[place64 : place64 + _END64.size])
    if mark != b"PK\x06\x06":
        raise ValueError("not an end record")
    return count, start


def _wide(extra: bytes, packed: int, size: int, header: int) -> tuple[int, int, int]:
    """The 64-bit values of the fields that do not fit, in the order size, packed, header (APPNOTE 4.5.3)."""
    position = 0
    while position + 4 <= len(extra):
        mark, length = struct.unpack_from("<2H", extra, position)
        position += 4
        if mark == 1:
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, position))
            size = next(wide, size) if size == _FULL32 else size
            packed = next(wide, packed) if packed == _FULL32 else packed
            header = next(wide, header) if header == _FULL32 else header
        position += length
    return packed, size, header


def first_member(data: Window) -> tuple[str, int] | None:
    """Name of the archive's first member and where its data starts, if it is stored unpacked: needs no directory."""
    header = data[: _LOCAL.size]
    if len(header) < _LOCAL.size:
        return None
    fields = _LOCAL.unpack(header)
    if fields[0] != b"PK\x03\x04" or fields[3] != _STORED or fields[2] & 1:
        return None
    start = _LOCAL.size
    return data[start : start + fields[9]].decode("utf-8", "replace"), start + fields[9] + fields[10]
