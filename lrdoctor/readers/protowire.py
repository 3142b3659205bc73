"""Protocol buffers on the wire: enough to walk over a message and skip what is not wanted.

Source: protobuf.dev/programming-guides/encoding (varints, tags, length-delimited fields).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from lrdoctor.readers.pages import Pages

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Data = bytes | Pages
_FLOAT = struct.Struct("<f")
_DOUBLE = struct.Struct("<d")
_MAX_VARINT_BYTES = 10


class WireError(ValueError):
    """The bytes are not a protocol buffer message."""


class Field(NamedTuple):
    """One field: for `BYTES`, [start, stop) is its payload; for `VARINT`, `number` its value; else [start, stop)."""

    name: int
    wire: int
    start: int
    stop: int
    number: int


def varint(data: Data, at: int, end: int) -> tuple[int, int]:
    """The unsigned number at `at` and the position behind it. `WireError` where it runs past `end`."""
    value = shift = 0
    limit = min(end, at + _MAX_VARINT_BYTES)
    while at < limit:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise WireError(f"a number does not end before byte {limit}")


def signed(value: int) -> int:
    """A 64-bit varint as the int64 it stands for."""
    return value - (1 << 64) if value >= 1 << 63 else value


def fields(data: Data, start: int, end: int) -> Iterator[Field]:
    """The fields of the message in data[start:end]; payloads are not looked into."""
    at = start
    while at < end:
        tag, at = varint(data, at, end)
        name, wire = tag >> 3, tag & 7
        number = 0
        if wire == VARINT:
            begin = at
            number, at = varint(data, at, end)
        elif wire == BYTES:
            size, begin = varint(data, at, end)
            at = begin + size
        elif wire in (FIXED64, FIXED32):
            begin = at
            at += 8 if wire == FIXED64 else 4
        else:
            raise WireError(f"wire type {wire} at byte {at}")
        if at > end or name == 0:
            raise WireError(f"a field at byte {begin} runs past the end of its message")
        yield Field(name, wire, begin, at, number)


def float_at(data: Data, at: int) -> float:
    return float(_FLOAT.unpack(data[at : at + 4])[0])


def double_at(data: Data, at: int) -> float:
    return float(_DOUBLE.unpack(data[at : at + 8])[0])


def text(data: Data, found: Field) -> str:
    """A length-delimited field as text."""
    return bytes(data[found.start : found.stop]).decode("utf-8", errors="replace")
