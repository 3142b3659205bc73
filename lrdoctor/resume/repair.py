"""A copy of a checkpoint that carries the scheduler's state: zip files written by torch.save, and folders of files."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrdoctor.errors import ReadError, UsageError
from lrdoctor.model.run import Checkpoint, Scalar
from lrdoctor.readers.checkpoint_zip import Archive
from lrdoctor.readers.torch_file import TorchFile, opened
from lrdoctor.readers.zip_directory import Member
from lrdoctor.resume.pickle_edit import Edit, Editable, SetItem, editable, pickled
from lrdoctor.resume.places import Path as KeyPath
from lrdoctor.resume.places import at, optimizers_in, parsed_path, path_text, schedulers_in, usual_place
from lrdoctor.resume.plan import Position
from lrdoctor.resume.torch_state import State, group_entries, lambda_state, torch_state
from lrdoctor.resume.zip_edit import ALIGNMENT, copy_with, write_archive

SAME = 1e-9
"""Relative difference up to which a number in a parameter group is left as it is."""


@dataclass(frozen=True, slots=True)
class Change:
    """One number of the optimizer that was wrong: `what` is "param_groups[0].lr"."""

    what: str
    before: Scalar
    after: float


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was written: the state, under which key of which file, and what else was put right."""

    path: str
    file: str
    key: str
    state: State
    changes: tuple[Change, ...]
    why: tuple[str, ...]


def scheduler_state_at(position: Position) -> State:
    """The `state_dict` the script's scheduler would have had at the checkpoint."""
    if not position.as_lambda:
        return torch_state(position.groups, position.tick, position.moved)
    state = lambda_state(position.groups, position.lr_tick)
    return state | {"last_epoch": position.tick, "_step_count": position.tick + 1}


def repair(
    checkpoint: Checkpoint, position: Position, target: Path, *, key: str | None = None, siblings: tuple[str, ...] = ()
) -> Repaired:
    """Write the repaired copy to `target`, which must not exist.

    `key` names the place of the state, `siblings` are further checkpoints of the run that may show it. `ReadError`
    where the checkpoint is none that can be changed, `UsageError` where `target` is in the way.
    """
    source = Path(checkpoint.path)
    _check_target(source, target)
    state = scheduler_state_at(position)
    if source.is_dir():
        return _repair_folder(checkpoint, position, state, target)
    with opened(checkpoint.path) as file:
        edited, found_key, changes = _edited(file, checkpoint, position, state, key, siblings)
        with _temporary_file(target) as temporary:
            _write_copy(file, edited, temporary)
            _check_readable(temporary, checkpoint.path)
    return Repaired(str(target), str(target), path_text(found_key), state, changes, position.why)


def _check_target(source: Path, target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise UsageError(
            "The repaired copy was not written: something is in its place.",
            where=str(target),
            why="a checkpoint is never overwritten",
            hint="name a new file with -o",
        )
    if source.is_dir() and target.resolve().is_relative_to(source.resolve()):
        raise UsageError(
            "The repaired copy was not written: it would lie in the folder that is copied.",
            where=str(target),
            hint="name a place outside the checkpoint with -o",
        )


# --- one file ---------------------------------------------------------------------------------------------------------


def _edited(
    file: TorchFile,
    checkpoint: Checkpoint,
    position: Position,
    state: State,
    key: str | None,
    siblings: tuple[str, ...],
) -> tuple[bytes, KeyPath, tuple[Change, ...]]:
    """The new pickle, where the state lies in it, and the numbers that were put right."""
    pickle = _pickle_of(file)
    place = parsed_path(key) if key else _place(pickle.root, checkpoint, siblings)
    group_edits, changes = _group_edits(pickle.root, position, checkpoint)
    return pickle.edited([_state_edit(pickle.root, place, state, checkpoint), *group_edits]), place, changes


def _pickle_of(file: TorchFile) -> Editable:
    if file.archive is None or file.kind != "torch":
        what = {"torch-legacy": "torch's layout before version 1.6", "torchscript": "a TorchScript program"}
        raise ReadError(
            "The checkpoint is no zip file written by torch.save, and only those can be repaired.",
            where=file.path,
            why=f"it is {what.get(file.kind, 'cut off, or a plain pickle')}",
            hint="load it with torch and save it again",
        )
    return editable(file.archive.read(_pickle_member(file, file.archive)), file.path)


def _place(root: object, checkpoint: Checkpoint, siblings: tuple[str, ...]) -> KeyPath:
    """Where the state belongs: where one is, where the run's other checkpoints keep it, or as is usual."""
    _only_one(root, checkpoint)
    here = schedulers_in(root)
    if here:
        return here[0].path
    for sibling in siblings:
        path = _place_in(sibling)
        if path is not None:
            return path
    optimizers = optimizers_in(root)
    return usual_place(root, optimizers[0] if optimizers else None, checkpoint.framework)


def _place_in(path: str) -> KeyPath | None:
    if Path(path).is_dir():
        return None
    try:
        with opened(path) as file:
            return next((place.path for place in schedulers_in(file.root)), None)
    except ReadError:
        return None


def _only_one(root: object, checkpoint: Checkpoint) -> None:
    for what, count in (("optimizers", len(optimizers_in(root))), ("schedulers", len(schedulers_in(root)))):
        if count > 1:
            raise UsageError(
                f"The checkpoint holds {count} {what}, and only one can be repaired.",
                where=checkpoint.path,
                why="a run's log does not say which of them it is about",
            )


def _state_edit(root: object, place: KeyPath, state: State, checkpoint: Checkpoint) -> Edit:
    """The edit that files `state` at `place`; parts of the way that are not there yet are made."""
    if not place or isinstance(place[0], int):
        raise UsageError(
            "No key names the place of the scheduler's state.",
            where=checkpoint.path,
            hint="give one, as --key scheduler",
        )
    value: object = state
    for cut in range(len(place) - 1, -1, -1):
        part = place[cut]
        holder = at(root, place[:cut])
        if isinstance(part, int):
            _check_list(holder, part, place, checkpoint)
            value = [value]
        elif isinstance(holder, dict):
            return SetItem(holder, part, value)
        else:
            value = {part: value}
    raise ReadError("The checkpoint cannot be changed.", where=checkpoint.path, why="it is no dict with named parts")


def _check_list(holder: object, index: int, place: KeyPath, checkpoint: Checkpoint) -> None:
    if index or (isinstance(holder, list) and len(holder) > 1):
        where = f"{checkpoint.path}: {path_text(place)}"
        raise UsageError("Only the one entry of a list of schedulers can be repaired.", where=where)


def _group_edits(root: object, position: Position, checkpoint: Checkpoint) -> tuple[list[Edit], tuple[Change, ...]]:
    """What the scheduler keeps in the optimizer: each number of a parameter group that is off is set."""
    optimizers = optimizers_in(root)
    groups = at(root, (*optimizers[0].path, "param_groups")) if optimizers else None
    if not isinstance(groups, list) or checkpoint.optimizer is None:
        return [], ()
    edits: list[Edit] = []
    changes: list[Change] = []
    for index, (group, held) in enumerate(zip(groups, checkpoint.optimizer.param_groups, strict=False)):
        if not isinstance(group, dict) or index >= len(position.groups):
            continue
        wanted = group_entries(position.groups[index], position.lr_tick, momentum=position.moved is not None)
        for name, key, value, whole in _entries(wanted, group):
            before = held.get("beta1" if key == "betas" else key)
            if not _same(before, value):
                edits.append(SetItem(group, key, whole))
                changes.append(Change(f"param_groups[{index}].{name}", before, value))
    return edits, tuple(changes)


def _entries(wanted: Mapping[str, float], group: Mapping[Any, Any]) -> Iterator[tuple[str, str, float, object]]:
    """(name to show, key, number, value to write); the momentum of an optimizer with betas is its first beta."""
    for name, number in wanted.items():
        betas = group.get("betas")
        if name == "momentum" and isinstance(betas, tuple):
            yield "betas[0]", "betas", number, (number, *betas[1:])
        else:
            yield name, name, number, number


def _same(before: Scalar, after: float) -> bool:
    if not isinstance(before, int | float):
        return False
    return abs(before - after) <= SAME * max(abs(before), abs(after))


def _write_copy(file: TorchFile, content: bytes, temporary: Path) -> None:
    archive = file.archive
    assert archive is not None
    said = archive.member(f"{file.prefix}.storage_alignment")
    text = archive.read(said, limit=64).strip() if said is not None else b""
    alignment = int(text) if text.isdigit() and 0 < int(text) <= 1 << 16 else ALIGNMENT
    with temporary.open("wb") as out:
        copy_with(archive, _pickle_member(file, archive), content, out, alignment)


def _pickle_member(file: TorchFile, archive: Archive) -> Member:
    found = archive.member(f"{file.prefix}data.pkl")
    assert found is not None  # it was read when the file was opened
    return found


def _check_readable(path: Path, source: str) -> None:
    """The copy is read back before it gets its name."""
    try:
        with opened(str(path)) as file:
            if not schedulers_in(file.root):
                raise ReadError("The repaired copy does not hold the state.", where=source)
    except ReadError as error:
        raise ReadError("The checkpoint cannot be changed.", where=source, why=error.why or error.what) from error


# --- a folder of files ------------------------------------------------------------------------------------------------


def _repair_folder(checkpoint: Checkpoint, position: Position, state: State, target: Path) -> Repaired:
    source = Path(checkpoint.path)
    if checkpoint.framework == "deepspeed":
        raise ReadError(
            "A DeepSpeed checkpoint cannot be repaired.",
            where=checkpoint.path,
            why="its scheduler's state is one of DeepSpeed's own, beside shards of the optimizer",
        )
    name = "scheduler.bin" if _is_accelerate(source) else "scheduler.pt"
    with _temporary_folder(target) as temporary:
        shutil.copytree(source, temporary, dirs_exist_ok=True)
        _write_state(temporary / name, state)
        changes = _repair_optimizer(source, temporary, checkpoint, position)
    return Repaired(str(target), str(target / name), "", state, changes, position.why)


def _is_accelerate(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("optimizer.bin", "scheduler.bin", "random_states_0.pkl"))


def _write_state(path: Path, state: State) -> None:
    """A file of its own, in the layout torch.save gives it."""
    stem = path.stem
    members = {
        f"{stem}/data.pkl": pickled(state),
        f"{stem}/byteorder": b"little",
        f"{stem}/version": b"3\n",
    }
    path.unlink(missing_ok=True)
    with path.open("wb") as out:
        write_archive(members, out)


def _repair_optimizer(source: Path, folder: Path, checkpoint: Checkpoint, position: Position) -> tuple[Change, ...]:
    """Put right the LRs in the folder's optimizer file, where there is one and they are wrong."""
    name = next((name for name in ("optimizer.pt", "optimizer.bin") if (source / name).is_file()), None)
    if name is None:
        return ()
    with opened(str(source / name)) as file:
        pickle = _pickle_of(file)
        edits, changes = _group_edits(pickle.root, position, checkpoint)
        if edits:
            (folder / name).unlink()
            _write_copy(file, pickle.edited(edits), folder / name)
    return changes


# --- writing so that nothing half-written stays -----------------------------------------------------------------------


@contextmanager
def _temporary_file(target: Path) -> Iterator[Path]:
    """A file beside `target` that takes its name when the block ends well."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise _cannot_write(target, error) from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.rename(target)
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _temporary_folder(target: Path) -> Iterator[Path]:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise _cannot_write(target, error) from error
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.rename(target)
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _cannot_write(target: Path, error: OSError) -> UsageError:
    why = error.strerror or str(error)
    return UsageError("The repaired copy could not be written.", where=str(target), why=why, hint="choose another -o")
