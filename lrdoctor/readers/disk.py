"""A file by position, read piece by piece.

Not a memory map: a map ends the whole process where the file shrinks meanwhile, as it does when a training overwrites
its last checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import BinaryIO


class Disk:
    """`data[start:stop]` of an open file that had `len(data)` bytes when it was opened; short where it ends earlier."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size = stream.seek(0, os.SEEK_END)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, at: slice) -> bytes:
        start, stop, _ = at.indices(self._size)
        return self.read(start, stop - start) if stop > start else b""

    def pieces(self, starts: Sequence[int], count: int) -> list[bytes]:
        """Up to `count` bytes from each of many places."""
        if not _PREAD:
            return [self.read(start, count) for start in starts]
        descriptor, pread = self._stream.fileno(), os.pread
        return [pread(descriptor, count, start) for start in starts]

    def read(self, start: int, count: int) -> bytes:
        """Up to `count` bytes from `start`."""
        if _PREAD:
            return _whole(self._stream.fileno(), start, count)
        self._stream.seek(start)
        return self._stream.read(count)


_PREAD = hasattr(os, "pread")  # half the calls into the system: seeking and reading in one


def _whole(descriptor: int, start: int, count: int) -> bytes:
    piece = os.pread(descriptor, count, start)
    if not piece or len(piece) == count:
        return piece
    parts = [piece]
    while piece and (missing := count - sum(map(len, parts))):
        piece = os.pread(descriptor, missing, start + count - missing)
        parts.append(piece)
    return b"".join(parts)
