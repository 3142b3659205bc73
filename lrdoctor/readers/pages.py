"""A file as bytes by position, of which one page is in memory: for records too long to be read whole."""

from __future__ import annotations

from typing import BinaryIO, overload

PAGE_BYTES = 1 << 16


class Pages:
    """`data[at]` and `data[start:stop]` of a file, up to byte `end`. Slices are meant to be short."""

    def __init__(self, stream: BinaryIO, end: int) -> None:
        self._stream = stream
        self._end = end
        self._base = 0
        self._page = b""

    def __len__(self) -> int:
        return self._end

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> bytes: ...
    def __getitem__(self, at: int | slice) -> int | bytes:
        if isinstance(at, slice):
            start, stop, _ = at.indices(self._end)
            return self._from(start, stop - start)[: max(0, stop - start)]
        return self._from(at, 1)[0]

    def _from(self, start: int, count: int) -> bytes:
        """At least `count` bytes from `start`, fewer where the file ends."""
        place = start - self._base
        if place < 0 or place + count > len(self._page):
            self._stream.seek(start)
            self._page = self._stream.read(max(count, min(PAGE_BYTES, self._end - start)))
            self._base, place = start, 0
        return self._page[place : place + count]
