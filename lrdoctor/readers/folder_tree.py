"""One pass over a folder: which files matter, folder by folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lrdoctor.limits import limits, raised_by
from lrdoctor.model.diagnosis import Skipped
from lrdoctor.readers import mlflow_files
from lrdoctor.readers.checkpoint_names import is_checkpoint_set, is_part_of_set
from lrdoctor.readers.noted import Notes
from lrdoctor.readers.roles import Roles
from lrdoctor.readers.storage import Entry, entries, identity, is_remote, joined

_SKIPPED_FOLDERS = frozenset(
    {"__pycache__", "node_modules", "venv", "env", "site-packages", "dist-packages", "lrdoctor-report"}
)


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log by its path as shown to the user, the kind of its reader, and the runs in it where it holds several."""

    path: str
    kind: str
    runs: tuple[str, ...] = ()

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


class Walk:
    """Reads a tree of folders; `skipped` collects what looked right and was not usable.

    `notes` spares files that are as they were from being opened again.
    """

    def __init__(self, notes: Notes | None = None) -> None:
        self._notes = notes
        self.skipped: list[Skipped] = []
        self.seen: set[object] = set()

    def read(self, path: str, parent: Folder | None = None, depth: int = 0) -> Folder | None:
        """The folder and all below it; None where it was visited before (a loop of links) or cannot be opened."""
        try:
            itself = identity(path)
            if itself in self.seen:
                return None
            self.seen.add(itself)
            found = entries(path)
            if parent is not None and any(entry.name == "pyvenv.cfg" for entry in found):
                return None
        except OSError as error:
            self.skipped.append(Skipped(path, f"cannot be opened: {error.strerror or error}"))
            return None
        folder = Folder(path, _name_of(path, parent), parent)
        self._files(folder, found)
        if depth < limits().folder_depth:
            self._subfolders(folder, found, depth)
        elif any(map(is_wanted_folder, found)):
            reason = f"its folders are nested too deeply ({raised_by('folder_depth')})"
            self.skipped.append(Skipped(path, reason))
        return folder

    def _files(self, folder: Folder, found: list[Entry]) -> None:
        names = {entry.name for entry in found}
        if mlflow_files.is_run_folder(folder.name, names):
            self._mlflow(folder)
            return
        files = [entry for entry in found if _is_file(folder, entry)]
        folder.is_set = is_checkpoint_set(folder.name, names)
        roles = Roles(folder.path, self._notes)
        for entry in files:
            self._file(folder, entry, roles)
        roles.keep()
        if folder.is_set:
            folder.checkpoints = [folder.path]

    def _mlflow(self, folder: Folder) -> None:
        """A run whose files, one a metric, are a log together."""
        try:
            curved = mlflow_files.has_curve(folder.path)
        except OSError as error:
            self.skipped.append(Skipped(folder.path, f"cannot be opened: {error.strerror or error}"))
            return
        if curved:
            folder.logs.append(LogFile(folder.path, mlflow_files.KIND))
        else:
            self.skipped.append(Skipped(folder.path, mlflow_files.NO_CURVE))

    def _file(self, folder: Folder, entry: Entry, roles: Roles) -> None:
        shown = joined(folder.path, entry.name)
        found = roles.of(shown)
        if found.role == "log":
            folder.logs.append(LogFile(shown, found.kind, found.runs or ()))
        elif found.role == "checkpoint":
            folder.checkpoints.append(shown)
        elif found.role == "side":
            folder.side_files.append(shown)
        elif found.role == "pointer":
            folder.pointers.append(shown)
        elif found.role == "unusable":
            self.skipped.append(Skipped(shown, found.reason))

    def _subfolders(self, folder: Folder, found: list[Entry], depth: int) -> None:
        """Real folders first: a link such as wandb/latest-run must not take the place of what it points to."""
        wanted = [entry for entry in found if is_wanted_folder(entry)]
        if folder.is_set:
            wanted = [entry for entry in wanted if not is_part_of_set(entry.name)]
        if any(log.kind == mlflow_files.KIND for log in folder.logs):
            wanted = [entry for entry in wanted if entry.name not in mlflow_files.RECORD_FOLDERS]
        for entry in sorted(wanted, key=lambda entry: entry.is_link):
            path = joined(folder.path, entry.name)
            if entry.is_link and _points_up(Path(path)):
                continue
            child = self.read(path, folder, depth + 1)
            if child is not None:
                folder.folders.append(child)
        folder.folders.sort(key=lambda child: child.name)


def _name_of(path: str, parent: Folder | None) -> str:
    if is_remote(path):
        return path.rsplit("/", 1)[-1]
    return Path(path).resolve().name if parent is None else Path(path).name


def _is_file(folder: Folder, entry: Entry) -> bool:
    """Regular files only; a link to a neighbour (last.ckpt -> epoch=3.ckpt) is the neighbour."""
    if not entry.is_file or not entry.is_link:
        return entry.is_file
    link = Path(joined(folder.path, entry.name))
    try:
        return link.resolve().parent != link.parent.resolve()
    except OSError:
        return False


def is_wanted_folder(entry: Entry) -> bool:
    """Whether runs are looked for in it."""
    return entry.is_dir and not entry.name.startswith(".") and entry.name not in _SKIPPED_FOLDERS


def _points_up(link: Path) -> bool:
    """Whether a link leads to a folder that contains it."""
    try:
        return link.parent.resolve().is_relative_to(link.resolve())
    except (OSError, RuntimeError):
        return True


TIMESTAMP = re.compile(r"^\d{8}[_-]\d{6}$")
