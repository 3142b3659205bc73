"""One pass over a folder: which files matter, folder by folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lrdoctor.limits import limits, raised_by
from lrdoctor.model.diagnosis import Skipped
from lrdoctor.readers.checkpoint_folder import is_checkpoint_set
from lrdoctor.readers.file_role import role_of

_SKIPPED_FOLDERS = frozenset(
    {"__pycache__", "node_modules", "venv", "env", "site-packages", "dist-packages", "lrdoctor-report"}
)


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log by its path as shown to the user, and the kind of its reader."""

    path: str
    kind: str

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


@dataclass(slots=True, eq=False)
class Folder:
    """A folder's own files by role, as shown paths, and its subfolders, all sorted by name.

    `is_set` marks files saved together as one checkpoint; `pointers` are git LFS pointers in place of data.
    """

    path: str
    name: str
    parent: Folder | None = None
    folders: list[Folder] = field(default_factory=list)
    logs: list[LogFile] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)
    side_files: list[str] = field(default_factory=list)
    pointers: list[str] = field(default_factory=list)
    is_set: bool = False

    @property
    def events_only(self) -> bool:
        """Whether it holds logs, and all of them are TensorBoard's."""
        return bool(self.logs) and all(is_events(log) for log in self.logs)

    def below(self) -> Iterator[Folder]:
        """Every folder below this one, parents first."""
        for folder in self.folders:
            yield folder
            yield from folder.below()


def is_events(log: LogFile) -> bool:
    return "tfevents" in log.name


def joined(shown: str, name: str) -> str:
    """`shown`, as the user wrote it, and a name below it; the current folder is not spelt out."""
    return name if shown in ("", ".") else f"{shown.rstrip('/')}/{name}"


class Walk:
    """Reads a tree of folders; `skipped` collects what looked right and was not usable."""

    def __init__(self) -> None:
        self.skipped: list[Skipped] = []
        self.seen: set[tuple[int, int]] = set()

    def read(self, path: Path, shown: str, parent: Folder | None = None, depth: int = 0) -> Folder | None:
        """The folder and all below it; None where it was visited before (a loop of links) or cannot be opened."""
        try:
            status = path.stat()
            if (status.st_dev, status.st_ino) in self.seen:
                return None
            self.seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self.skipped.append(Skipped(shown, f"cannot be opened: {error.strerror or error}"))
            return None
        folder = Folder(shown, path.resolve().name if parent is None else path.name, parent)
        self._files(folder, entries)
        if depth < limits().folder_depth:
            self._subfolders(folder, entries, depth)
        elif any(map(_is_wanted_folder, entries)):
            reason = f"its folders are nested too deeply ({raised_by('folder_depth')})"
            self.skipped.append(Skipped(shown, reason))
        return folder

    def _files(self, folder: Folder, entries: list[os.DirEntry[str]]) -> None:
        files = [entry for entry in entries if _is_file(entry)]
        names = {entry.name for entry in entries}
        folder.is_set = is_checkpoint_set(folder.name, names)
        for entry in files:
            self._file(folder, entry)
        if folder.is_set:
            folder.checkpoints = [folder.path]

    def _file(self, folder: Folder, entry: os.DirEntry[str]) -> None:
        shown = joined(folder.path, entry.name)
        found = role_of(Path(entry.path))
        if found.role == "log":
            folder.logs.append(LogFile(shown, found.kind))
        elif found.role == "checkpoint":
            folder.checkpoints.append(shown)
        elif found.role == "side":
            folder.side_files.append(shown)
        elif found.role == "pointer":
            folder.pointers.append(shown)
        elif found.role == "unusable":
            self.skipped.append(Skipped(shown, found.reason))

    def _subfolders(self, folder: Folder, entries: list[os.DirEntry[str]], depth: int) -> None:
        """Real folders first: a link such as wandb/latest-run must not take the place of what it points to."""
        wanted = [entry for entry in entries if _is_wanted_folder(entry)]
        for entry in sorted(wanted, key=lambda entry: entry.is_symlink()):
            if entry.is_symlink() and _points_up(Path(entry.path)):
                continue
            child = self.read(Path(entry.path), joined(folder.path, entry.name), folder, depth + 1)
            if child is not None:
                folder.folders.append(child)
        folder.folders.sort(key=lambda child: child.name)


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Regular files only; a link to a neighbour (last.ckpt -> epoch=3.ckpt) is the neighbour."""
    try:
        if not entry.is_file():
            return False
        return not entry.is_symlink() or Path(entry.path).resolve().parent != Path(entry.path).parent.resolve()
    except OSError:
        return False


def _is_wanted_folder(entry: os.DirEntry[str]) -> bool:
    try:
        named = not entry.name.startswith(".") and entry.name not in _SKIPPED_FOLDERS
        return named and entry.is_dir() and not (Path(entry.path) / "pyvenv.cfg").exists()
    except OSError:
        return False


def _points_up(link: Path) -> bool:
    """Whether a link leads to a folder that contains it."""
    try:
        return link.parent.resolve().is_relative_to(link.resolve())
    except (OSError, RuntimeError):
        return True


TIMESTAMP = re.compile(r"^\d{8}[_-]\d{6}$")
