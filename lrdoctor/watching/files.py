"""Which runs lie below some paths, and which of them changed since the last look."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from lrdoctor.model.diagnosis import Skipped
from lrdoctor.readers.detect import HEAD_BYTES
from lrdoctor.readers.discover import RunFiles, discover
from lrdoctor.readers.growing import Stamp
from lrdoctor.readers.parts import MARK, split
from lrdoctor.readers.stamps import Stamps, stamps
from lrdoctor.readers.storage import exists

RunStamp = tuple[tuple[str, Stamp], ...]
"""The stamps of a run's files: equal as long as nothing of it was written."""


@dataclass(slots=True)
class Seen:
    """What one look found: the files of each run by its path, and their stamps."""

    runs: dict[str, RunFiles]
    stamps: dict[str, RunStamp]


class Files:
    """Looks at names, sizes and times alone; a folder is searched for runs again only where that can have changed."""

    def __init__(self, paths: Sequence[str], leave_out: Path | None = None) -> None:
        self.skipped: tuple[Skipped, ...] = ()
        self._paths = tuple(paths)
        self._leave_out = None if leave_out is None else leave_out.resolve()
        self._runs: dict[str, RunFiles] = {}
        self._before: Stamps | None = None

    def look(self) -> Seen:
        found = stamps(self._paths, self._leave_out)
        if self._may_hold_other_runs(found):
            discovery = discover([path for path in self._paths if exists(path)])
            self.skipped = discovery.skipped
            self._runs = {files.path: files for files in discovery.runs if not self._is_left_out(files)}
        self._before = found
        names = sorted(found)
        return Seen(self._runs, {path: _of_run(files, found, names) for path, files in self._runs.items()})

    def _is_left_out(self, files: RunFiles) -> bool:
        return self._leave_out is not None and Path(files.path).resolve().is_relative_to(self._leave_out)

    def _may_hold_other_runs(self, found: Stamps) -> bool:
        """Whether names came or went, or a file changed that is of no run yet or holds several."""
        before = self._before
        if before is None or before.keys() != found.keys():
            return True
        changed = [path for path, stamp in found.items() if stamp != before[path]]
        if not changed:
            return False
        several = {split(path)[0] for path in self._runs if MARK in path}
        owned = {split(path)[0] for files in self._runs.values() for path in all_files(files)}
        return any(path in several or (path not in owned and before[path].size < HEAD_BYTES) for path in changed)


def all_files(files: RunFiles) -> tuple[str, ...]:
    return *files.logs, *files.checkpoints, *files.side_files


def _of_run(files: RunFiles, found: Stamps, names: Sequence[str]) -> RunStamp:
    return tuple((name, found[name]) for path in all_files(files) for name in _below(split(path)[0], found, names))


def _below(path: str, found: Stamps, names: Sequence[str]) -> Iterable[str]:
    """The file itself, or all files of the folder; `names` are sorted."""
    if path in found:
        return (path,)
    folder = f"{path}/"
    return takewhile(lambda name: name.startswith(folder), _from(names, bisect_left(names, folder)))


def _from(names: Sequence[str], start: int) -> Iterator[str]:
    return (names[index] for index in range(start, len(names)))
