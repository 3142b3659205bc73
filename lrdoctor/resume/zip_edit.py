"""A copy of a torch checkpoint in which one member is other bytes; every other byte of data is streamed through.

torch's zip layout: members are stored, each one's data aligned (64 bytes unless the file says otherwise) by an extra
field "FB" in its local header, sizes behind the data in a descriptor. The member after the changed one gets a new
padding of that kind, so that all later data move by a multiple of the alignment and stay aligned; the directory at the
end is written anew with the new places (APPNOTE.TXT 6.3.10, sections 4.3 to 4.5).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from lrdoctor.errors import ReadError
from lrdoctor.readers.checkpoint_zip import Archive
from lrdoctor.readers.storage import Window
from lrdoctor.readers.zip_directory import Member

ALIGNMENT = 64
_CHUNK = 16 << 20
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_DESCRIPTOR = 0x08
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_PAD_HEADER = 4


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of the directory: what is written about one member. `head` are its fields as they were."""

    name: bytes
    head: tuple[int, ...]
    crc: int
    size: int
    header: int


def copy_with(archive: Archive, member: Member, content: bytes, out: BinaryIO, alignment: int = ALIGNMENT) -> None:
    """Write `archive` to `out` with `member` holding `content`. `ReadError` where it is laid out in another way."""
    fields, members = _local(archive, member), archive.every()
    if any(one.method or one.flags & 1 for one in members):
        raise ReadError("The checkpoint cannot be changed.", where=archive.where, why="its members are packed")
    behind = sorted((one for one in members if one.header > member.header), key=lambda one: one.header)
    crc, size = zlib.crc32(content), len(content)
    places = {one.name: one.header for one in members}
    _stream(archive.data, 0, member.header, out)
    out.write(_header_of(archive, member, fields, crc, size) + content)
    if fields[1] & _DESCRIPTOR:
        out.write(struct.pack("<4s3I", b"PK\x07\x08", crc, size, size))
    if behind:
        places[behind[0].name] = out.tell()
        shift = _realigned(archive, behind[0], out, alignment)
        places |= {one.name: one.header + shift for one in behind[1:]}
        _stream(archive.data, archive.start_of(behind[0]), archive.directory, out)
    _write_directory(archive, places, {member.name: (crc, size)}, out)


def _local(archive: Archive, member: Member) -> tuple[int, ...]:
    """The fields of the local header, without its signature."""
    return tuple(_LOCAL.unpack(archive.data[member.header : member.header + _LOCAL.size])[1:])


def _header_of(archive: Archive, member: Member, fields: tuple[int, ...], crc: int, size: int) -> bytes:
    """The member's local header as it was, with new sizes where it holds them itself."""
    rest = archive.data[member.header + _LOCAL.size : archive.start_of(member)]
    if fields[1] & _DESCRIPTOR:
        return archive.data[member.header : member.header + _LOCAL.size] + rest
    version, flags, method, time, date, _, _, _, name, extra = fields
    return _LOCAL.pack(b"PK\x03\x04", version, flags, method, time, date, crc, size, size, name, extra) + rest


def _realigned(archive: Archive, member: Member, out: BinaryIO, alignment: int) -> int:
    """Write the member's local header with a padding that keeps its data aligned; by how much the data move."""
    fields = _local(archive, member)
    name_length, old_extra = fields[8], fields[9]
    name_at = member.header + _LOCAL.size
    name = archive.data[name_at : name_at + name_length]
    kept = _without_padding(archive.data[name_at + name_length : name_at + name_length + old_extra])
    old = archive.start_of(member)
    bare = out.tell() + _LOCAL.size + name_length + len(kept) + _PAD_HEADER
    padding = (old - bare) % alignment
    extra = kept + struct.pack("<2sH", b"FB", padding) + b"Z" * padding
    out.write(_LOCAL.pack(b"PK\x03\x04", *fields[:9], len(extra)) + name + extra)
    return out.tell() - old


def _without_padding(extra: bytes) -> bytes:
    kept, position = b"", 0
    while position + _PAD_HEADER <= len(extra):
        mark, length = struct.unpack_from("<2sH", extra, position)
        field = extra[position : position + _PAD_HEADER + length]
        kept += b"" if mark == b"FB" else field
        position += _PAD_HEADER + length
    return kept


def _stream(data: Window, start: int, end: int, out: BinaryIO) -> None:
    for position in range(start, end, _CHUNK):
        out.write(data[position : min(position + _CHUNK, end)])


def _write_directory(
    archive: Archive, places: dict[str, int], changed: dict[str, tuple[int, int]], out: BinaryIO
) -> None:
    """The directory and its end records, wide (zip64) where a number needs it."""
    start, count = out.tell(), 0
    for entry in _entries(archive, places, changed):
        out.write(_packed(entry))
        count += 1
    size = out.tell() - start
    at = out.tell()
    out.write(struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 0x031E, 45, 0, 0, count, count, size, start))
    out.write(struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1))
    out.write(
        struct.pack(
            "<4s4H2IH", b"PK\x05\x06", 0, 0, min(count, _FULL16), min(count, _FULL16),
            min(size, _FULL32), min(start, _FULL32), 0,
        )
    )  # fmt: skip


def _entries(archive: Archive, places: dict[str, int], changed: dict[str, tuple[int, int]]) -> Iterator[_Entry]:
    position, data = archive.directory, archive.data
    for member in archive.every():
        fields = _CENTRAL.unpack(data[position : position + _CENTRAL.size])
        name_length, extra_length, comment_length = fields[10:13]
        name = data[position + _CENTRAL.size : position + _CENTRAL.size + name_length]
        if name.decode("utf-8", "replace") != member.name:
            raise ReadError("The checkpoint cannot be changed.", where=archive.where, why="two parts share a name")
        crc, size = changed.get(member.name, (fields[7], member.size))
        yield _Entry(name, fields[1:7] + fields[13:16], crc, size, places.get(member.name, member.header))
        position += _CENTRAL.size + name_length + extra_length + comment_length


def _packed(entry: _Entry) -> bytes:
    made_by, needed, flags, method, time, date, disk, internal, external = entry.head
    wide = [value for value in (entry.size, entry.size, entry.header) if value >= _FULL32]
    extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    size, header = min(entry.size, _FULL32), min(entry.header, _FULL32)
    fixed = _CENTRAL.pack(
        b"PK\x01\x02", made_by, max(needed, 45) if wide else needed, flags, method, time, date, entry.crc, size, size,
        len(entry.name), len(extra), 0, disk, internal, external, header,
    )  # fmt: skip
    return fixed + entry.name + extra


def write_archive(members: dict[str, bytes], out: BinaryIO, alignment: int = ALIGNMENT) -> None:
    """A new archive of stored members in torch's layout: {"scheduler/data.pkl": ..., "scheduler/version": b"3\\n"}."""
    entries = []
    for name, content in members.items():
        header, crc, raw = out.tell(), zlib.crc32(content), name.encode()
        padding = -(header + _LOCAL.size + len(raw) + _PAD_HEADER) % alignment
        extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
        out.write(_LOCAL.pack(b"PK\x03\x04", 0, 0x0800, 0, 0, 0, crc, len(content), len(content), len(raw), len(extra)))
        out.write(raw + extra + content)
        entries.append(_Entry(raw, (0, 0, 0x0800, 0, 0, 0, 0, 0, 0), crc, len(content), header))
    start = out.tell()
    for entry in entries:
        out.write(_packed(entry))
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, len(entries), len(entries), out.tell() - start, start, 0)
    out.write(end)
