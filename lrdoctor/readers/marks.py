"""What tells that the files of a run have changed, without reading them where that can be helped.

A local file up to `WHOLE` bytes is known by its content; a larger one by its size, its times, its place on the disk,
and its first and last bytes. A remote one is known by what its store says of it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator

from lrdoctor.readers.discover import RunFiles
from lrdoctor.readers.noted import Notes, is_settled, state_of
from lrdoctor.readers.parts import split
from lrdoctor.readers.storage import entries, is_dir, is_remote, joined, open_binary, remote_mark

WHOLE = 8 << 20  # bytes that are read in some milliseconds
_KIND = "content"
_ENDS = 1 << 16
_BESIDE = ("-wal",)  # where SQLite keeps what it has not yet written into the file itself


def mark_of(files: RunFiles, notes: Notes) -> str | None:
    """Equal for equal paths and contents; None where a file cannot be looked at, or its store tells too little."""
    total = hashlib.sha256(files.path.encode(errors="surrogateescape"))
    try:
        for role in (files.logs, files.checkpoints, files.side_files):
            for path in role:
                for one, mark in _marks(path, notes):
                    if mark is None:
                        return None
                    total.update(f"\n{one}\t{mark}".encode(errors="surrogateescape"))
            total.update(b"\n")
    except OSError:
        return None
    return total.hexdigest()


def _marks(path: str, notes: Notes) -> Iterator[tuple[str, str | None]]:
    """The file itself, with what belongs to it, or every file of a folder."""
    file = split(path)[0]
    if is_remote(file):
        yield from ((path if one == file else one, remote_mark(one)) for one in _remote_files(file))
        return
    status = os.stat(file)
    if stat.S_ISDIR(status.st_mode):
        yield from ((one, _mark(one, os.stat(one), notes)) for one in _below(file))
        return
    yield path, _mark(file, status, notes)
    for beside in (file + end for end in _BESIDE):
        if os.path.exists(beside):
            yield beside, _mark(beside, os.stat(beside), notes)


def _remote_files(url: str) -> Iterator[str]:
    if is_dir(url):
        yield from _below(url)
    else:
        yield url


def _below(folder: str) -> Iterator[str]:
    """Every file of a folder."""
    for entry in entries(folder):
        path = joined(folder, entry.name)
        if entry.is_dir:
            yield from _below(path)
        elif entry.is_file:
            yield path


def _mark(path: str, status: os.stat_result, notes: Notes) -> str:
    state = state_of(status)
    if status.st_size > WHOLE:
        return f"{state} {_digest_of_ends(path)}"
    place = os.path.abspath(path)
    told = notes.noted(_KIND, place)
    if told is not None and told[0] == state:
        return str(told[1])
    found = _digest(path)
    if is_settled(status):
        notes.note(_KIND, place, [state, found])
    return found


def _digest(path: str) -> str:
    with open_binary(path) as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def _digest_of_ends(path: str) -> str:
    with open_binary(path) as stream:
        first = stream.read(_ENDS)
        stream.seek(-_ENDS, os.SEEK_END)
        return hashlib.sha256(first + stream.read(_ENDS)).hexdigest()
