"""Files saved together as one checkpoint.

Hugging Face `checkpoint-N/`, accelerate's `save_state`, DeepSpeed's `global_stepN/`, Megatron's `iter_N/`, torchtune's
recipe state, and every folder of torch.distributed.checkpoint (torchtitan, FSDP, Lightning's FSDP, Megatron Core).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.model.run import Checkpoint, Note, OptimizerState, ScalerState, SchedulerState
from lrdoctor.readers import checkpoint_names as names
from lrdoctor.readers.checkpoint_contents import contents_of
from lrdoctor.readers.checkpoint_layout import layout_of
from lrdoctor.readers.dcp_folder import read_dcp
from lrdoctor.readers.optimizer_state import optimizer_state
from lrdoctor.readers.plain import Number, nested, number, whole
from lrdoctor.readers.scaler_state import scaler_state, skipped_of
from lrdoctor.readers.scheduler_state import has_clock, in_updates, scheduler_state, with_optimizer
from lrdoctor.readers.storage import Entry, content_of, entries, head_of, joined, parent_of, size_of
from lrdoctor.readers.torch_file import opened

LFS_MAGIC = b"version https://git-lfs.github.com/spec"
_LONGEST_TRACKER = 64  # bytes: an iteration, or the name of a folder


@dataclass(slots=True)
class _Gathered:
    path: str
    weights: bool = False
    optimizer: OptimizerState | None = None
    schedulers: list[SchedulerState] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    global_step: int | None = None
    epoch: float | None = None
    max_steps: int | None = None
    framework: str | None = None
    kind: str | None = None
    recomputes: bool = False
    scaler: ScalerState | None = None

    @property
    def usable(self) -> bool:
        return bool(self.weights or self.optimizer or self.schedulers or self.global_step is not None)


def is_checkpoint_folder(path: str) -> bool:
    """Whether the folder's files were saved together as one checkpoint."""
    try:
        found = {entry.name for entry in entries(path)}
    except OSError:
        return False
    return names.is_checkpoint_set(_name(path), found)


def read_folder(path: str) -> Checkpoint:
    """The folder's files as one checkpoint. `ReadError` where none of them is usable."""
    found = _Gathered(path)
    inside = entries(path)
    for entry in inside:
        _gather(joined(path, entry.name), entry, found)
    if found.kind is None and any(entry.name.endswith(names.SHARD_SUFFIX) for entry in inside):
        found.notes.append(Note(path, f"{names.METADATA} is missing: it is written last, so the save did not finish"))
    if not found.usable:
        raise ReadError("The checkpoint cannot be read.", where=path, why=_reasons(found) or "its files are not usable")
    _tracked(found)
    clocked = any(map(has_clock, found.schedulers))
    return Checkpoint(
        path=path,
        kind=_kind(found),
        model=found.weights,
        optimizer=found.optimizer,
        schedulers=tuple(with_optimizer(state, found.optimizer) for state in found.schedulers),
        global_step=found.global_step if found.global_step is not None else names.step_in_name(_name(path)),
        epoch=found.epoch,
        framework=found.framework,
        recomputes_schedule=found.framework if found.recomputes and not clocked else None,
        max_steps=found.max_steps,
        notes=tuple(found.notes),
        scaler=found.scaler,
    )


def _reasons(found: _Gathered) -> str:
    return "; ".join(f"{_name(note.path)}: {note.message}" for note in found.notes[:5])


def _kind(found: _Gathered) -> str:
    return found.kind or (f"{found.framework}-folder" if found.framework else "folder")


def _name(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]


def _tracked(found: _Gathered) -> None:
    """A note on the save that a resume takes by default."""
    folder = parent_of(found.path.rstrip("/"))
    for tracker in names.TRACKERS:
        try:
            told = head_of(joined(folder, tracker), _LONGEST_TRACKER).decode("utf-8", "replace").strip()
        except OSError:
            continue
        step = names.step_in_name(_name(found.path))
        if told == _name(found.path) or (told.isdecimal() and int(told) == step):
            found.notes.append(Note(found.path, f"the one a resume loads: {tracker} names it"))


def _gather(item: str, entry: Entry, found: _Gathered) -> None:
    """Add what one file of the folder says; a file that cannot be read is noted, the others still count."""
    try:
        if entry.is_dir:
            _gather_folder(item, found)
        elif not entry.is_file:  # a pipe would keep its reader waiting
            if _relevant(entry.name):
                found.notes.append(Note(item, f"{entry.name} is neither a regular file nor a folder"))
        elif not _is_pointer(item, found):
            _gather_file(item, found)
    except ReadError as error:
        found.notes.append(Note(item, f"{entry.name} cannot be read: {error.why or error.what}"))
    except OSError as error:
        found.notes.append(Note(item, f"{entry.name} cannot be opened: {error.strerror or error}"))


def _is_pointer(item: str, found: _Gathered) -> bool:
    if not _relevant(_name(item)):
        return False
    pointer = head_of(item, len(LFS_MAGIC)) == LFS_MAGIC
    if pointer:
        found.notes.append(Note(item, f"{_name(item)} is a git LFS pointer, not data"))
    return pointer


def _relevant(name: str) -> bool:
    patterns = (names.WEIGHTS, names.SCHEDULER, names.OPTIMIZER, names.DEEPSPEED)
    return name in (names.TRAINER_STATE, names.SCALER) or any(pattern.match(name) for pattern in patterns)


def _gather_folder(item: str, found: _Gathered) -> None:
    """A part of the save that is a folder itself."""
    name = _name(item)
    inside = {entry.name for entry in entries(item)} if names.is_part_of_set(name) else set()
    if names.METADATA in inside:
        _gather_distributed(item, found)
    elif names.OPTIMIZER_FOLDER.match(name):
        found.optimizer = found.optimizer or OptimizerState(None, (), None, 0, 0)
        found.notes.append(Note(item, f"{name}/ is a distributed optimizer state without its .metadata"))
    elif names.MEGATRON_RANK.match(name):
        _gather_megatron_rank(item, inside, found)
    else:
        for model in sorted(filter(names.DEEPSPEED.match, inside)):
            _gather_file(joined(item, model), found)


def _gather_megatron_rank(item: str, inside: set[str], found: _Gathered) -> None:
    """All ranks agree on counters and schedule; the first one speaks for them."""
    found.kind = "megatron-folder"
    if names.MEGATRON_FILE in inside and not found.usable:
        _gather_saved(joined(item, names.MEGATRON_FILE), found)


def _gather_file(item: str, found: _Gathered) -> None:
    name = _name(item)
    if names.WEIGHTS.match(name):
        found.weights = True
    elif names.SCHEDULER.match(name):
        found.framework = found.framework or ("accelerate" if name.endswith(".bin") else None)
        with opened(item) as file:
            found.schedulers.append(scheduler_state(file.root, file.number))
            found.notes += file.notes
    elif names.OPTIMIZER.match(name):
        _gather_optimizer(item, found)
    elif names.DEEPSPEED.match(name):
        found.framework = "deepspeed"
        _gather_saved(item, found)
        _sharded_optimizer(parent_of(item), found)
    elif name in names.BESIDE_SHARDS or name == names.RECIPE_STATE:
        _gather_saved(item, found)
        found.weights = found.weights or (name == names.RECIPE_STATE and _weights_above(found.path))
    elif name == names.SCALER:
        with opened(item) as file:
            found.scaler = scaler_state(file.root, file.number)
    elif name == names.METADATA:
        _gather_distributed(found.path, found)
    elif name == names.TRAINER_STATE:
        _gather_trainer_state(item, found)
    elif names.RANDOM_STATE.match(name) and name.endswith(".pkl"):
        found.framework = found.framework or "accelerate"


def _weights_above(folder: str) -> bool:
    """torchtune keeps recipe_state/ beside the epoch_N/ that hold the weights."""
    return any(entry.is_dir and entry.name.startswith("epoch_") for entry in entries(parent_of(folder)))


def _gather_optimizer(item: str, found: _Gathered) -> None:
    with opened(item) as file:
        found.notes += file.notes
        held = contents_of(file.root)
        file.expect(held.numbers())
        first = next(iter(held.optimizers), None)
        if found.optimizer is not None and found.optimizer.param_groups:
            found.notes.append(Note(item, f"{_name(item)}: a further optimizer; the first is described"))
        elif first is not None:
            found.optimizer = optimizer_state(first, file.number, file.numbers)


def _gather_saved(item: str, found: _Gathered) -> None:
    """A file with several parts of the training state in it."""
    with opened(item) as file:
        file.expect(contents_of(file.root).numbers())
        found.notes += file.notes
        _gather_tree(file.root, file.number, found)


def _gather_distributed(folder: str, found: _Gathered) -> None:
    saved = read_dcp(folder)
    found.notes += saved.notes
    found.kind = found.kind or "dcp"
    _gather_tree(saved.root, lambda tensor: None, found)
    found.weights = found.weights or names.WEIGHTS_FOLDER.match(_name(folder)) is not None


def _gather_tree(root: object, read: Number, found: _Gathered) -> None:
    held, layout = contents_of(root), layout_of(root, read)
    found.framework = found.framework or layout.framework
    found.recomputes = found.recomputes or layout.recomputes
    found.weights = found.weights or held.model
    found.global_step = layout.global_step if found.global_step is None else found.global_step
    found.epoch = layout.epoch if found.epoch is None else found.epoch
    found.max_steps = found.max_steps or whole(nested(root, "args", "train_iters"), read)
    batch = number(nested(root, "args", "global_batch_size"), read)
    found.schedulers += [in_updates(scheduler_state(value, read), batch) for value in held.schedulers]
    found.scaler = found.scaler or (scaler_state(held.scaler, read) if held.scaler else skipped_of(root, read))
    if held.optimizers and (found.optimizer is None or not found.optimizer.param_groups):
        found.optimizer = optimizer_state(held.optimizers[0], read)


def _sharded_optimizer(folder: str, found: _Gathered) -> None:
    """Under ZeRO each rank saves its share of the optimizer in a file of its own; the first says enough."""
    shards = [joined(folder, entry.name) for entry in entries(folder) if names.ZERO_SHARD.search(entry.name)]
    if found.optimizer is not None or not shards:
        return
    with opened(shards[0]) as file:
        held = contents_of(file.root)
        file.expect(held.numbers())
        first = next(iter(held.optimizers), None)
        described = OptimizerState(None, (), None, 0, 0)
        if first is not None:
            described = optimizer_state(first, file.number, file.numbers)
    found.optimizer = described
    message = f"the optimizer is split over {len(shards)} files; the first is described"
    found.notes.append(Note(shards[0], message))


def _gather_trainer_state(item: str, found: _Gathered) -> None:
    if size_of(item) > limits().document_bytes:
        raise ReadError("The trainer state is too large.", where=item, why=raised_by("document_bytes"))
    try:
        state = json.loads(content_of(item))
    except (ValueError, RecursionError) as error:
        raise ReadError("The trainer state cannot be read.", where=item, why="malformed JSON") from error
    if not isinstance(state, dict):
        return
    found.framework = "transformers"
    found.global_step = whole(state.get("global_step"), lambda tensor: None)
    planned = whole(state.get("max_steps"), lambda tensor: None)
    found.max_steps = planned if planned and planned > 0 else None
    epoch = state.get("epoch")
    found.epoch = float(epoch) if isinstance(epoch, int | float) else None
