"""The zip container of a checkpoint: only the directory and what is asked for leave the disk."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.model.arrays import IntArray
from lrdoctor.readers.storage import Window
from lrdoctor.readers.zip_directory import FULL32, Directory, Member

_ENTRY_BYTES = 512  # of the directory for each member at most: real entries have a hundred
_LOCAL = struct.Struct("<4s5H3I2H")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_STORED, _DEFLATED = 0, 8
_FULL16 = 0xFFFF
_WIDEST_TOLD = 4  # bytes that their CRC-32 determines


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
            self._entries = Directory(_directory(data, count, self.directory), count)
        except (struct.error, IndexError, ValueError) as error:
            why = "its directory at the end is missing or damaged: the file is incomplete"
            raise DirectoryError("The archive cannot be read.", where=where, why=why) from error

    def names(self) -> list[str]:
        return [name.decode("utf-8", "replace") for name in self._entries.by_name()]

    def member(self, name: str) -> Member | None:
        """The last member of that name, or None."""
        place = self._entries.place_of(name.encode("utf-8", "surrogateescape"))
        return None if place is None else self._entries.member(place)

    def ending(self, end: bytes) -> list[Member]:
        """The members whose names end so."""
        if self._entries.first_alone(end):  # as torch's pickle is
            return [self._entries.member(0)]
        return [self._entries.member(place) for name, place in self._entries.by_name().items() if name.endswith(end)]

    def every(self) -> list[Member]:
        """All members, in the directory's order; of several that share a name the last."""
        return self.ending(b"")

    def reaches(self) -> int:
        """Where the last of the members' contents ends, at least, in bytes of the file."""
        return self._entries.reaches()

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

    def numbered(self, prefix: str, numbers: IntArray, count: int) -> tuple[IntArray, set[bytes]]:
        """What small stored members called `prefix` and a number hold, `count` bytes each, and whose these are.

        As many bytes as a CRC-32 has follow from it: of members that share one only the first is read, and checked.
        Left out is what takes a second look: a missing or packed member, another size, a wrong or no CRC.
        """
        if count > _WIDEST_TOLD:
            return np.empty(0, dtype=np.int64), set()
        places = self._entries.places_of(prefix.encode("utf-8", "surrogateescape"), numbers)
        which = np.flatnonzero(places >= 0)
        entries = self._entries.columns(places[which])
        plain = (entries["method"] == _STORED) & (entries["packed"] == count) & (entries["size"] == count)
        which, crcs = which[plain], entries["crc"][plain]
        known, first = np.unique(crcs, return_index=True) if (crcs != crcs[:1]).any() else (crcs[:1], [0])
        told = zip(known.tolist(), places[which[first]].tolist() if len(which) else [], strict=True)
        read = {crc: piece for crc, place in told if (piece := self._checked(place, crc, count)) is not None}
        if len(read) < len(known):
            which = which[np.isin(crcs, list(read))]
        return which, set(read.values())

    def _checked(self, place: int, crc: int, count: int) -> bytes | None:
        """A member's contents, None where they are not those its CRC belongs to."""
        try:
            piece = self.beginning(self._entries.member(place), 0, count)
        except ReadError:
            return None
        return piece if zlib.crc32(piece) == crc else None

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


def _end_record(data: Window) -> tuple[int, int]:
    """How many members there are and where the directory starts."""
    base = max(0, len(data) - _END.size - _FULL16)
    tail = data[base:]
    place = tail.rfind(b"PK\x05\x06")
    if place < 0:
        raise ValueError("no end record")
    *_, count, _, start, _ = _END.unpack_from(tail, place)
    if count != _FULL16 and start != FULL32:
        return count, start
    before = base + place - _LOCATOR64.size
    mark, _, place64, _ = _LOCATOR64.unpack(data[max(0, before) : base + place])
    if mark != b"PK\x06\x07":
        return count, start
    mark, *_, count, _, start = _END64.unpack(data[place64 : place64 + _END64.size])
    if mark != b"PK\x06\x06":
        raise ValueError("not an end record")
    return count, start


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
