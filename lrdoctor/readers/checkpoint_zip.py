"""The zip container of a checkpoint, read through a window: only what is asked for leaves the disk."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

from lrdoctor.errors import ReadError
from lrdoctor.readers.storage import Window

MAX_MEMBER_BYTES = 512 << 20  # a real data.pkl has kilobytes to a few megabytes
MAX_MEMBERS = 2_000_000
MAX_DIRECTORY_BYTES = 512 << 20
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_STORED, _DEFLATED = 0, 8
_PADDING = 128
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the archive; sizes and `header` (where its local header starts) in bytes."""

    name: str
    method: int
    flags: int
    packed: int
    size: int
    header: int


class Archive:
    """The members by name. Raises `ReadError` where the directory at the end is missing or malformed."""

    def __init__(self, data: Window, where: str) -> None:
        self.data = data
        self.where = where
        try:
            self.members = _directory(data)
        except (struct.error, IndexError, ValueError) as error:
            raise self._broken("its directory at the end is missing or damaged: the file is incomplete") from error

    def read(self, member: Member, limit: int | None = None) -> bytes:
        """The member's bytes, unpacked; `ReadError` where they would be more than `limit` (512 MB if not given)."""
        limit = MAX_MEMBER_BYTES if limit is None else limit
        if member.size > limit:
            raise self._broken(f"{member.name} claims {member.size:,} bytes, more than the {limit:,} allowed")
        if member.flags & 1:
            raise self._broken(f"{member.name} is encrypted")
        start = self.start_of(member)
        packed = self.data[start : start + member.packed]
        if len(packed) < member.packed:
            raise self._broken(f"{member.name} is cut off")
        return packed if member.method == _STORED else self._unpacked(member, packed, limit)

    def start_of(self, member: Member) -> int:
        """Where the member's data starts; its local header has lengths of its own."""
        try:
            fields = _unpacked_at(_LOCAL, self.data, member.header)
        except struct.error as error:
            raise self._broken(f"{member.name} lies outside the file") from error
        if fields[0] != b"PK\x03\x04":
            raise self._broken(f"{member.name} is not where the directory says")
        return int(member.header + _LOCAL.size + fields[9] + fields[10])

    def span_of(self, member: Member) -> tuple[int, int]:
        """From its local header to the end of its data, or a little more: torch pads by less than 128 bytes."""
        return member.header, member.header + _LOCAL.size + len(member.name) + _PADDING + member.packed

    def _unpacked(self, member: Member, packed: bytes, limit: int) -> bytes:
        if member.method != _DEFLATED:
            raise self._broken(f"{member.name} is packed by method {member.method}, which torch does not use")
        try:
            whole = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, limit + 1)
        except zlib.error as error:
            raise self._broken(f"{member.name} cannot be unpacked") from error
        if len(whole) > limit:
            raise self._broken(f"{member.name} unpacks to more than {limit:,} bytes")
        return whole

    def _broken(self, why: str) -> ReadError:
        return ReadError("The archive cannot be read.", where=self.where, why=why)


def _directory(data: Window) -> dict[str, Member]:
    count, start, stop = _end_record(data)
    if count > MAX_MEMBERS or stop - start > MAX_DIRECTORY_BYTES:
        raise ValueError("too many members")
    members = {}
    entries, position = data[start:stop], 0
    for _ in range(count):
        fields = _CENTRAL.unpack_from(entries, position)
        if fields[0] != b"PK\x01\x02":
            raise ValueError("not a directory entry")
        _, _, _, flags, method, _, _, _, packed, size, name_length, extra_length, comment_length, *_, header = fields
        position += _CENTRAL.size
        name = entries[position : position + name_length].decode("utf-8", "replace")
        position += name_length
        if _FULL32 in (packed, size, header):
            packed, size, header = _wide(entries[position : position + extra_length], packed, size, header)
        position += extra_length + comment_length
        members[name] = Member(name, method, flags, packed, size, header)
    return members


def _end_record(data: Window) -> tuple[int, int, int]:
    """How many members there are, and from where to where the directory goes."""
    tail = max(0, len(data) - _LOCATOR64.size - _END.size - _FULL16)
    place = data[tail:].rfind(b"PK\x05\x06") + tail
    if place < tail:
        raise ValueError("no end record")
    *_, count, size, start, _ = _unpacked_at(_END, data, place)
    if count != _FULL16 and start != _FULL32:
        return count, start, start + size
    mark, _, place64, _ = _unpacked_at(_LOCATOR64, data, place - _LOCATOR64.size)
    if mark != b"PK\x06\x07":
        return count, start, start + size
    mark, *_, count, size, start = _unpacked_at(_END64, data, place64)
    if mark != b"PK\x06\x06":
        raise ValueError("not an end record")
    return count, start, start + size


def _unpacked_at(layout: struct.Struct, data: Window, place: int) -> tuple[Any, ...]:
    """`struct.error` where the bytes are not there."""
    return layout.unpack(data[max(place, 0) : max(place, 0) + layout.size])


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
    try:
        fields = _unpacked_at(_LOCAL, data, 0)
    except struct.error:
        return None
    if fields[0] != b"PK\x03\x04" or fields[3] != _STORED or fields[2] & 1:
        return None
    start = _LOCAL.size
    return data[start : start + fields[9]].decode("utf-8", "replace"), start + fields[9] + fields[10]
