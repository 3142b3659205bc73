"""Which local files lie below some paths, and since when: enough to see what has changed without opening anything."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lrdoctor.limits import limits
from lrdoctor.readers.folder_tree import is_wanted_folder
from lrdoctor.readers.growing import Stamp, stamp_of
from lrdoctor.readers.storage import Entry, joined

Stamps = dict[str, Stamp]


def stamps(paths: Sequence[str], leave_out: Path | None = None) -> Stamps:
    """A stamp a file, by its shown path. What vanishes meanwhile is left out, and so is all of the folder `leave_out`.

    The folders are those an audit looks into.
    """
    found: Stamps = {}
    seen: set[tuple[int, int]] = set()
    for path in paths:
        shown = Path(path).as_posix()
        if os.path.isdir(shown):
            _below(shown, found, seen, leave_out, 0)
        elif os.path.isfile(shown):
            _take(shown, found)
    return found


def _below(folder: str, found: Stamps, seen: set[tuple[int, int]], leave_out: Path | None, depth: int) -> None:
    try:
        itself = os.stat(folder)
        if (itself.st_dev, itself.st_ino) in seen or (leave_out is not None and Path(folder).resolve() == leave_out):
            return
        seen.add((itself.st_dev, itself.st_ino))
        with os.scandir(folder) as entries:
            inside = list(entries)
    except OSError:
        return
    for entry in inside:
        try:
            is_dir, is_file, is_link = entry.is_dir(), entry.is_file(), entry.is_symlink()
        except OSError:
            continue
        shown = joined(folder, entry.name)
        if is_file:
            _take(shown, found)
        elif depth < limits().folder_depth and is_wanted_folder(Entry(entry.name, is_dir, is_file, is_link)):
            _below(shown, found, seen, leave_out, depth + 1)


def _take(path: str, found: Stamps) -> None:
    try:
        found[path] = stamp_of(path)
    except OSError:
        return
