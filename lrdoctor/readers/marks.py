"""What tells that the files of a run have changed, without reading them where that can be helped.

A local file up to `WHOLE` bytes is known by its content; a larger one by its size, its time of writing, its place on
the disk, and its first and last bytes. A remote one is known by what its store says of it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from typing import Protocol

from lrdoctor.readers.discover import RunFiles
from lrdoctor.readers.parts import split
from lrdoctor.readers.storage import entries, exists, is_dir, is_remote, joined, open_binary, remote_mark

WHOLE = 8 << 20  # bytes that are read in some milliseconds
_ENDS = 1 << 16
_SETTLED = 2.0  # seconds: file systems with the coarsest clocks write times to two
_BESIDE = ("-wal",)  # where SQLite keeps what it has not yet written into the file itself


class Known(Protocol):
    """Digests of contents by path and state (size, time of writing, place on the disk)."""

    def digest(self, path: str, state: str) -> str | None: ...

    def remember(self, path: str, state: str, digest: str) -> None: ...


def mark_of(files: RunFiles, known: Known) -> str | None:
    """Equal for equal paths and contents; None where a file cannot be looked at, or its store tells too little."""
    total = hashlib.sha256(files.path.encode(errors="surrogateescape"))
    try:
        for role in (files.logs, files.checkpoints, files.side_files):
            for path, mark in _marks(role, known):
                if mark is None:
                    return None
                total.update(f"\n{path}\t{mark}".encode(errors="surrogateescape"))
            total.update(b"\n")
    except OSError:
        return None
    return total.hexdigest()


def _marks(paths: Iterable[str], known: Known) -> Iterator[tuple[str, str | None]]:
    for path in paths:
        file = split(path)[0]
        for one in _files(file):
            yield (path if one == file else one), _mark(one, known)


def _files(path: str) -> Iterator[str]:
    """The file itself, with what belongs to it, or every file of a folder."""
    if not is_dir(path):
        yield path
        yield from (beside for end in _BESIDE if not is_remote(path) and exists(beside := path + end))
        return
    for entry in entries(path):
        below = joined(path, entry.name)
        if entry.is_dir:
            yield from _files(below)
        elif entry.is_file:
            yield below


def _mark(path: str, known: Known) -> str | None:
    if is_remote(path):
        return remote_mark(path)
    status = os.stat(path)
    state = f"{status.st_size} {status.st_mtime_ns} {status.st_dev} {status.st_ino}"
    if status.st_size > WHOLE:
        return f"{state} {_digest_of_ends(path)}"
    place = os.path.realpath(path)
    found = known.digest(place, state)
    if found is None:
        found = _digest(path)
        if time.time() - status.st_mtime > _SETTLED:  # else it may be written again within one tick of the clock
            known.remember(place, state, found)
    return found


def _digest(path: str) -> str:
    with open_binary(path) as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def _digest_of_ends(path: str) -> str:
    with open_binary(path) as stream:
        first = stream.read(_ENDS)
        stream.seek(-_ENDS, os.SEEK_END)
        return hashlib.sha256(first + stream.read(_ENDS)).hexdigest()
