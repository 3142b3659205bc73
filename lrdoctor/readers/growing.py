"""Logs of runs that still go on: of a file that only grew, what was appended is read, and the rest is remembered."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Hint, Note, Series
from lrdoctor.readers import csv_log, json_log, tensorboard
from lrdoctor.readers.detect import Reader
from lrdoctor.readers.opening import absent_data
from lrdoctor.readers.parts import split
from lrdoctor.readers.storage import open_binary

Item = Series | Note | Hint
Found = TypeVar("Found")
_REMEMBERED = 256  # bytes at the start of a file and in front of where reading stopped: they tell a rewritten one


class Tail(Protocol):
    """A file as far as it was read: `at` bytes of it. `advance` reads on, `items` tells everything read so far.

    Both, and making one, raise `ReadError` where the file has to be read as a whole.
    """

    @property
    def at(self) -> int: ...

    def advance(self) -> None: ...

    def items(self) -> Iterator[Item]: ...


TAILS: dict[str, Callable[[str], Tail]] = {
    csv_log.KIND: csv_log.Tail,
    json_log.KIND: json_log.Tail,
    tensorboard.KIND: tensorboard.Tail,
}


class Stamp(NamedTuple):
    """Differs as soon as a file was written to or replaced."""

    inode: int
    size: int
    changed_ns: int


def stamp_of(path: str) -> Stamp:
    """`OSError` where there is none."""
    found = os.stat(path)
    return Stamp(found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(slots=True)
class _Known:
    """A tail, and by what its file is known again."""

    tail: Tail
    inode: int
    head: bytes
    seam: bytes


class Growing:
    """What was read of local files before. A file that shrank, was replaced or rewritten is read anew."""

    def __init__(self) -> None:
        self._tails: dict[str, _Known] = {}
        self._whole: dict[str, tuple[Stamp, object]] = {}

    def read(self, reader: Reader, path: str) -> Iterator[Item]:
        """What `reader.read(path)` gives, less a last line or record that is still being written."""
        file = split(path)[0]
        absent = absent_data(file)
        if absent is not None:
            self._tails.pop(path, None)
            return iter((absent,))
        make = TAILS.get(reader.KIND)
        known = None if make is None else self._advanced(path, file, make)
        if known is not None:
            return known.tail.items()
        try:
            return iter(self.once(path, lambda: tuple(reader.read(path))))
        except ReadError:  # what it yields before it gives up counts
            return reader.read(path)

    def once(self, path: str, read: Callable[[], Found]) -> Found:
        """`read()`, or what it gave before where the file is still the same. Folders are read each time."""
        file = split(path)[0]
        if os.path.isdir(file):
            return read()
        stamp = stamp_of(file)
        before, kept = self._whole.get(path, (None, None))
        if before != stamp:
            kept = read()
            self._whole[path] = stamp, kept
        return kept  # type: ignore[return-value]  # what was kept under this path came from the same reader

    def forget(self, paths: Iterable[str]) -> None:
        """Of these files nothing more is expected."""
        for path in paths:
            self._tails.pop(path, None)
            self._whole.pop(path, None)

    def _advanced(self, path: str, file: str, make: Callable[[str], Tail]) -> _Known | None:
        """The file's tail, read up to its present end; None where it has to be read as a whole."""
        try:
            known = self._tails.pop(path, None)
            if known is None or not _is_same(known, file):
                known = _Known(make(path), os.stat(file).st_ino, b"", b"")
            known.tail.advance()
        except ReadError:
            return None
        known.head, known.seam = _around(file, known.tail.at)
        self._tails[path] = known
        return known


def _is_same(known: _Known, file: str) -> bool:
    """Whether the file is the one that was read, and has only grown."""
    found, at = os.stat(file), known.tail.at
    return found.st_ino == known.inode and found.st_size >= at and _around(file, at) == (known.head, known.seam)


def _around(file: str, at: int) -> tuple[bytes, bytes]:
    """The first bytes of what was read, and the last."""
    with open_binary(file) as stream:
        head = stream.read(min(_REMEMBERED, at))
        stream.seek(max(at - _REMEMBERED, 0))
        return head, stream.read(min(_REMEMBERED, at))
