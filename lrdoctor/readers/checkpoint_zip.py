"""The zip container of a checkpoint: only the directory and what is asked for leave the disk."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.readers.storage import Window

_ENTRY_BYTES = 512  # of the directory for each member at most: real entries have a hundred
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LENGTHS = struct.Struct("<4s24x3H12x")  # of the same: its mark, and how long name, extra field and comment are
_PACKED_AT, _HEADER_AT = 20, 42
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_STORED, _DEFLATED = 0, 8
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF


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
            self._entries = dict(_entries(self._directory, count))
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


def _entries(directory: bytes, count: int) -> Iterator[tuple[bytes, int]]:
    """Name and place of each entry."""
    place, lengths = 0, _LENGTHS.unpack_from
    for _ in range(count):
        mark, name, extra, comment = lengths(directory, place)
        if mark != b"PK\x01\x02":
            raise ValueError("not a directory entry")
        stop = place + _CENTRAL.size + name
        yield directory[place + _CENTRAL.size : stop], place
        place = stop + extra + comment


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
