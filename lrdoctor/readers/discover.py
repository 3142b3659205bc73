"""Paths -> the runs below them: which logs, checkpoints and side files belong together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrdoctor.errors import ReadError, UsageError
from lrdoctor.model.diagnosis import Skipped
from lrdoctor.model.run import Checkpoint
from lrdoctor.readers.checkpoint import read_checkpoint
from lrdoctor.readers.file_role import role_of
from lrdoctor.readers.folder_tree import Folder, LogFile, Walk
from lrdoctor.readers.noted import Notes
from lrdoctor.readers.parts import address
from lrdoctor.readers.run_folders import RunFolder, run_folders
from lrdoctor.readers.separate_files import separate_runs
from lrdoctor.readers.storage import entries, exists, is_dir, is_file, is_remote, joined, parent_of

_WEIGHTS_ONLY = "weights only: no optimizer, no scheduler and no step counter in it"
_TRIED = 20  # so many checkpoints of a folder without logs are opened to see whether one is of a training


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The files of one run, as shown paths, sorted. `path` is its folder, or its file where a folder holds several.

    A checkpoint is a file, or a folder of files saved together.
    """

    path: str
    logs: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    side_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Discovery:
    """Runs, and paths that look like a training record but cannot be used, both sorted by path."""

    runs: tuple[RunFiles, ...]
    skipped: tuple[Skipped, ...]


def discover(paths: Sequence[str], notes: Notes | None = None) -> Discovery:
    """Every run below `paths`. `UsageError` where a path does not exist.

    `notes` spares files that are as they were from being opened again.
    """
    runs: dict[str, RunFiles] = {}
    skipped: list[Skipped] = []
    walk, places = Walk(notes), _Places()
    for given in paths:
        for found in _below(given, walk):
            if isinstance(found, Skipped):
                skipped.append(found)
            else:
                runs.setdefault(found.path if is_remote(found.path) else places.real(found.path), found)
    skipped += walk.skipped
    ordered = sorted(runs.values(), key=lambda run: run.path)
    return Discovery(tuple(ordered), tuple(sorted(set(skipped), key=lambda item: (item.path, item.reason))))


class _Places:
    """The real paths of runs; many lie in one folder, which is looked up once."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def real(self, path: str) -> str:
        folder, name = os.path.split(path)
        if name in ("", ".", "..") or os.path.islink(path):
            return os.path.realpath(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return os.path.join(self._folders[folder], name)


def _below(given: str, walk: Walk) -> Iterator[RunFiles | Skipped]:
    if not exists(given):
        raise UsageError("No such file or folder.", where=given, hint="check the spelling, or give its parent folder")
    shown = given.rstrip("/") if is_remote(given) else Path(given).as_posix()
    if is_dir(shown):
        yield from _folder(shown, walk)
    else:
        yield from _file(shown)


def _file(shown: str) -> Iterator[RunFiles | Skipped]:
    """A file named by the user is a run of its own; its side files are those beside it."""
    if not is_file(shown):
        yield Skipped(shown, "neither a regular file nor a folder")
        return
    found = role_of(shown)
    if found.role == "log":
        yield from _of_log(LogFile(shown, found.kind, found.runs or ()), _side_files_beside(shown))
        return
    if found.role == "checkpoint":
        yield _checkpoint_run(shown, [shown], ())
        return
    reasons = {
        "pointer": f"{found.reason}; fetch it with `git lfs pull`",
        "side": "a settings file: give the folder with the log or the checkpoint",
    }
    yield Skipped(shown, reasons.get(found.role) or found.reason or "not recognised as a training log or checkpoint")


def _side_files_beside(path: str) -> tuple[str, ...]:
    folder = parent_of(path)
    try:
        beside = [joined(folder, entry.name) for entry in entries(folder) if entry.is_file]
    except OSError:
        return ()
    return tuple(item for item in beside if role_of(item).role == "side")


def _folder(shown: str, walk: Walk) -> Iterator[RunFiles | Skipped]:
    before = len(walk.skipped)
    tree = walk.read(shown)
    if tree is None:
        return
    found = [item for run in run_folders(tree) for item in _runs_of(run)]
    yield from found
    if not found and len(walk.skipped) == before:
        yield Skipped(shown, "no training log or checkpoint was found in it or below it")


def _runs_of(run: RunFolder) -> Iterator[RunFiles | Skipped]:
    apart = separate_runs(run.root.logs)
    apart += [log for log in run.root.logs if log not in apart and log.runs]
    for log in apart:
        yield from _of_log(log, tuple(_named_after(log, run.root)))
    logs = sorted(log.path for log in run.logs if log not in apart)
    checkpoints, side_files = sorted(run.checkpoints), sorted(run.side_files)
    if logs:
        yield RunFiles(run.root.path, tuple(logs), tuple(checkpoints), tuple(side_files))
    elif checkpoints:
        found = _checkpoint_run(run.root.path, checkpoints, tuple(side_files))
        if isinstance(found, RunFiles) or not (apart or run.pointers):
            yield found
        elif run.pointers:
            yield _pointers(run)
    elif run.pointers and not apart:
        yield _pointers(run)


def _of_log(log: LogFile, side_files: tuple[str, ...]) -> Iterator[RunFiles]:
    """A log file is a run, or each run in it is one."""
    for path in [address(log.path, part) for part in log.runs] or [log.path]:
        yield RunFiles(path, (path,), (), side_files)


def _named_after(log: LogFile, folder: Folder) -> Iterable[str]:
    """Settings of one file among several: those that share its name."""
    stem = log.name.split(".")[0]
    return sorted(path for path in folder.side_files if path.rsplit("/", 1)[-1].startswith(stem))


def _pointers(run: RunFolder) -> Skipped:
    first, more = run.pointers[0].rsplit("/", 1)[-1], len(run.pointers) - 1
    files = f"{first} and {more} more files are git LFS pointers" if more else f"{first} is a git LFS pointer"
    return Skipped(run.root.path, f"{files}, not data; fetch them with `git lfs pull`")


def _checkpoint_run(path: str, checkpoints: list[str], side_files: tuple[str, ...]) -> RunFiles | Skipped:
    """A run known by its checkpoints alone: at least one of them must be of a training, and not just weights."""
    reasons: list[str] = []
    for checkpoint in reversed(checkpoints[-_TRIED:]):
        try:
            found = read_checkpoint(checkpoint)
            if _of_training(found):
                return RunFiles(path, (), tuple(checkpoints), side_files)
            reasons += [f"{_WEIGHTS_ONLY}; {note}" for note in found.notes]
        except ReadError as error:
            reasons.append(f"{error.what} {error.why or ''}".strip())
    return Skipped(path, "; ".join(dict.fromkeys(reasons[:3])) or _WEIGHTS_ONLY)


def _of_training(found: Checkpoint) -> bool:
    counted = found.global_step is not None or found.epoch is not None
    return found.optimizer is not None or bool(found.schedulers) or counted
