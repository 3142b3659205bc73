"""A report's folder: which of its files are in place already, so that they are neither made nor written again."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from lrdoctor.readers.noted import Notes, is_settled, state_of
from lrdoctor.report.files import write_text

_KIND = "report"
_SECOND = 1_000_000_000


class Folder:
    """The files of a report. What is written is noted with what it was `made` of, any text that tells one from another.

    Without `notes` a file is made again, and compared with the one that is there.
    """

    def __init__(self, folder: Path, notes: Notes | None = None) -> None:
        self._folder = os.path.abspath(folder)
        self._notes = notes
        self._before: dict[str, str] = {}
        self._now: dict[str, str] = {}
        if notes is not None:
            self._before = notes.noted(_KIND, self._folder) or {}

    def holds(self, name: str, made: str) -> bool:
        """Whether a file of that name is as an earlier report left it, and was made of the same."""
        told = self._before.get(name)
        try:
            if told is None or told != _mark(os.stat(self._path(name)), made):
                return False
        except OSError:
            return False
        self._now[name] = told
        return True

    def write(self, name: str, made: str, text: str) -> None:
        """Write a file unless it is there with this very text; UsageError where it cannot be written."""
        path = self._path(name)
        found = _status_with(path, text)
        sure = found is not None and is_settled(found)
        if found is None:
            found = _written(path, text)
            sure = found is not None and found.st_mtime_ns % _SECOND != 0  # else the clock may tick in seconds
        if found is not None and sure:
            self._now[name] = _mark(found, made)

    def keep(self) -> None:
        """Note what is in place, for the next report."""
        if self._notes is not None and self._now != self._before:
            self._notes.note(_KIND, self._folder, self._now)

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)


def _mark(status: os.stat_result, made: str) -> str:
    return hashlib.blake2b(f"{state_of(status)} {made}".encode(), digest_size=16).hexdigest()


def _status_with(path: str, text: str) -> os.stat_result | None:
    """The file's status before it was read, where it holds this text."""
    try:
        status = os.stat(path)
        with open(path, "rb") as stream:
            return status if stream.read() == text.encode("utf-8") else None
    except OSError:
        return None


def _written(path: str, text: str) -> os.stat_result | None:
    """Write the file; its status, None where another audit put its own in its place at once."""
    before = write_text(Path(path), text)
    try:
        after = os.stat(path)
    except OSError:
        return None
    return after if _lasting(after) == _lasting(before) else None


def _lasting(status: os.stat_result) -> tuple[int, int, int, int]:
    """What stays as it is when a file is renamed."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
