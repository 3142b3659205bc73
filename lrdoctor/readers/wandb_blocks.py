"""The container of a .wandb file -> its records: LevelDB's log format behind a header of its own.

Blocks of 32 KiB; each chunk in them is a CRC-32 (of type and payload), a length, a type, and the payload
(github.com/google/leveldb, doc/log_format.md; W&B uses zlib's polynomial and no mask). A record is one full chunk, or a
first, any middle and a last one.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from lrdoctor.limits import limits

MAGIC = b":W&B"
HEADER_BYTES = 7  # the magic, two bytes of a number, one of a version
BLOCK_BYTES = 1 << 15
_CHUNK = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class Records:
    """Iterate over (byte, record); afterwards `damaged`, `oversized` and `trouble` say what was not readable."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._most = limits().record_bytes
        self.damaged: list[int] = []
        self.oversized: list[int] = []
        self.trouble: str | None = None
        self.end = 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        parts: list[bytes] = []
        start, size = 0, 0
        for at, kind, payload in self._chunks():
            if kind in (_FULL, _FIRST):
                if parts:
                    self.damaged.append(start)
                parts, start, size = [payload], at, len(payload)
            elif not parts:
                self._note_orphan(at)
                continue
            else:
                parts.append(payload)
                size += len(payload)
            if kind in (_FULL, _LAST) or size > self._most:
                if size <= self._most:
                    yield start, b"".join(parts)
                else:
                    self.oversized.append(start)
                parts = []
        if parts and self.trouble is None:
            self.trouble, self.end = "truncated inside a record", start

    def _note_orphan(self, at: int) -> None:
        """The rest of a record whose beginning was damaged counts with that beginning."""
        if not self.damaged:
            self.damaged.append(at)

    def _chunks(self) -> Iterator[tuple[int, int, bytes]]:
        at, header = 0, HEADER_BYTES
        while block := self._stream.read(BLOCK_BYTES):
            yield from self._in_block(block, at, header)
            at, header = at + len(block), 0
            if self.trouble is not None:
                return

    def _in_block(self, block: bytes, base: int, place: int) -> Iterator[tuple[int, int, bytes]]:
        whole = len(block) == BLOCK_BYTES
        while place + _CHUNK.size <= len(block):
            sum_, length, kind = _CHUNK.unpack_from(block, place)
            stop = place + _CHUNK.size + length
            if kind == 0 and length == 0:  # space set aside and not written
                return
            if not _FULL <= kind <= _LAST or stop > len(block):
                if whole:
                    self.damaged.append(base + place)
                else:
                    self.trouble, self.end = "truncated inside a record", base + place
                return
            payload = block[place + _CHUNK.size : stop]
            if zlib.crc32(payload, zlib.crc32(block[place + 6 : place + 7])) == sum_:
                yield base + place, kind, payload
            else:
                self.damaged.append(base + place)
            place = stop
        if not whole and place < len(block):
            self.trouble, self.end = "truncated inside a record", base + place
