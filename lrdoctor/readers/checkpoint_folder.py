"""Files saved together: Hugging Face `checkpoint-N/`, accelerate's `save_state`, DeepSpeed's `global_stepN/`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.model.run import Checkpoint, Note, OptimizerState, SchedulerState
from lrdoctor.readers.checkpoint_contents import contents_of
from lrdoctor.readers.checkpoint_layout import layout_of
from lrdoctor.readers.optimizer_state import optimizer_state
from lrdoctor.readers.plain import whole
from lrdoctor.readers.scheduler_state import scheduler_state, with_optimizer
from lrdoctor.readers.torch_file import opened

LFS_MAGIC = b"version https://git-lfs.github.com/spec"
_WEIGHTS = re.compile(
    r"^(adapter_model|pytorch_model|model|diffusion_pytorch_model)(-\d+-of-\d+)?(_\d+)?\.(bin|safetensors|pt)$"
)
_SCHEDULER = re.compile(r"^scheduler(_\d+)?\.(pt|bin)$")
_OPTIMIZER = re.compile(r"^optimizer(_\d+)?\.(pt|bin)$")
_OPTIMIZER_FOLDER = re.compile(r"^optimizer(_\d+)?$")
_DEEPSPEED = re.compile(r"^mp_rank_00_model_states\.pt$")
_HF_STEP = re.compile(r"^checkpoint-(\d+)$")
_GLOBAL_STEP = re.compile(r"^(?:global_)?step_?(\d+)$")
_RANDOM_STATE = re.compile(r"^(random_states_\d+\.pkl|rng_state(_\d+)?\.pth)$")


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


def is_checkpoint_folder(path: str) -> bool:
    """Whether the folder's files were saved together as one checkpoint."""
    try:
        names = {item.name for item in Path(path).iterdir()}
    except OSError:
        return False
    return is_checkpoint_set(Path(path).name, names)


def is_checkpoint_set(folder_name: str, names: set[str]) -> bool:
    """The same by the folder's name and the names in it."""
    if any(map(_SCHEDULER.match, names)) or any(map(_OPTIMIZER.match, names)) or any(map(_DEEPSPEED.match, names)):
        return True
    stamped = _HF_STEP.match(folder_name) is not None
    return stamped and ("trainer_state.json" in names or any(map(_WEIGHTS.match, names)))


def read_folder(path: str) -> Checkpoint:
    """The folder's files as one checkpoint. `ReadError` where none of them is usable."""
    found = _Gathered(path)
    for item in sorted(Path(path).iterdir()):
        _gather(item, found)
    if not (found.weights or found.optimizer or found.schedulers or found.global_step is not None):
        raise ReadError("The checkpoint cannot be read.", where=path, why=_reasons(found) or "its files are not usable")
    return Checkpoint(
        path=path,
        kind=_kind(found),
        model=found.weights,
        optimizer=found.optimizer,
        schedulers=tuple(with_optimizer(state, found.optimizer) for state in found.schedulers),
        global_step=found.global_step if found.global_step is not None else _step_in_name(path),
        epoch=found.epoch,
        framework=found.framework,
        max_steps=found.max_steps,
        notes=tuple(found.notes),
    )


def _reasons(found: _Gathered) -> str:
    return "; ".join(f"{Path(note.path).name}: {note.message}" for note in found.notes[:5])


def _kind(found: _Gathered) -> str:
    return f"{found.framework}-folder" if found.framework else "folder"


def _step_in_name(path: str) -> int | None:
    match = _HF_STEP.match(Path(path).name) or _GLOBAL_STEP.match(Path(path).name)
    return int(match[1]) if match else None


def _gather(item: Path, found: _Gathered) -> None:
    """Add what one file of the folder says; a file that cannot be read is noted, the others still count."""
    try:
        if item.is_dir():
            _gather_folder(item, found)
        elif not item.is_file():  # a pipe would keep its reader waiting
            if _relevant(item.name):
                found.notes.append(Note(item.as_posix(), f"{item.name} is neither a regular file nor a folder"))
        elif not _is_pointer(item, found):
            _gather_file(item, found)
    except ReadError as error:
        found.notes.append(Note(item.as_posix(), f"{item.name} cannot be read: {error.why or error.what}"))
    except OSError as error:
        found.notes.append(Note(item.as_posix(), f"{item.name} cannot be opened: {error.strerror or error}"))


def _is_pointer(item: Path, found: _Gathered) -> bool:
    if not _relevant(item.name):
        return False
    with item.open("rb") as stream:
        pointer = stream.read(len(LFS_MAGIC)) == LFS_MAGIC
    if pointer:
        found.notes.append(Note(item.as_posix(), f"{item.name} is a git LFS pointer, not data"))
    return pointer


def _relevant(name: str) -> bool:
    patterns = (_WEIGHTS, _SCHEDULER, _OPTIMIZER, _DEEPSPEED)
    return name == "trainer_state.json" or any(pattern.match(name) for pattern in patterns)


def _gather_folder(item: Path, found: _Gathered) -> None:
    if _OPTIMIZER_FOLDER.match(item.name):
        found.optimizer = found.optimizer or OptimizerState(None, (), None, 0, 0)
        found.notes.append(Note(item.as_posix(), f"{item.name}/ is a distributed optimizer state, which is not read"))
    elif _GLOBAL_STEP.match(item.name) and (item / "mp_rank_00_model_states.pt").is_file():
        _gather_file(item / "mp_rank_00_model_states.pt", found)
        _sharded_optimizer(item, found)


def _gather_file(item: Path, found: _Gathered) -> None:
    name = item.name
    if _WEIGHTS.match(name):
        found.weights = True
    elif _SCHEDULER.match(name):
        found.framework = found.framework or ("accelerate" if name.endswith(".bin") else None)
        with opened(str(item)) as file:
            found.schedulers.append(scheduler_state(file.root, file.number))
            found.notes += file.notes
    elif _OPTIMIZER.match(name):
        _gather_optimizer(item, found)
    elif _DEEPSPEED.match(name):
        _gather_deepspeed(item, found)
    elif name == "trainer_state.json":
        _gather_trainer_state(item, found)
    elif _RANDOM_STATE.match(name) and name.endswith(".pkl"):
        found.framework = found.framework or "accelerate"


def _gather_optimizer(item: Path, found: _Gathered) -> None:
    with opened(str(item)) as file:
        found.notes += file.notes
        first = next(iter(contents_of(file.root).optimizers), None)
        if found.optimizer is not None and found.optimizer.param_groups:
            found.notes.append(Note(item.as_posix(), f"{item.name}: a further optimizer; the first is described"))
        elif first is not None:
            found.optimizer = optimizer_state(first, file.number)


def _gather_deepspeed(item: Path, found: _Gathered) -> None:
    with opened(str(item)) as file:
        held, layout = contents_of(file.root), layout_of(file.root, file.number)
        found.framework = "deepspeed"
        found.weights = found.weights or held.model
        found.global_step = layout.global_step if found.global_step is None else found.global_step
        found.schedulers += [scheduler_state(value, file.number) for value in held.schedulers]
        if held.optimizers and found.optimizer is None:
            found.optimizer = optimizer_state(held.optimizers[0], file.number)
        _sharded_optimizer(item.parent, found)


def _sharded_optimizer(folder: Path, found: _Gathered) -> None:
    """Under ZeRO each rank saves its share of the optimizer in a file of its own; the first says enough."""
    shards = sorted(folder.glob("*zero_pp_rank_*_optim_states.pt"))
    if found.optimizer is not None or not shards:
        return
    with opened(str(shards[0])) as file:
        first = next(iter(contents_of(file.root).optimizers), None)
        described = optimizer_state(first, file.number) if first is not None else OptimizerState(None, (), None, 0, 0)
    found.optimizer = described
    message = f"the optimizer is split over {len(shards)} files; the first is described"
    found.notes.append(Note(shards[0].as_posix(), message))


def _gather_trainer_state(item: Path, found: _Gathered) -> None:
    if item.stat().st_size > limits().document_bytes:
        raise ReadError("The trainer state is too large.", where=str(item), why=raised_by("document_bytes"))
    try:
        state = json.loads(item.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ReadError("The trainer state cannot be read.", where=str(item), why="malformed JSON") from error
    if not isinstance(state, dict):
        return
    found.framework = "transformers"
    found.global_step = whole(state.get("global_step"), lambda tensor: None)
    planned = whole(state.get("max_steps"), lambda tensor: None)
    found.max_steps = planned if planned and planned > 0 else None
    epoch = state.get("epoch")
    found.epoch = float(epoch) if isinstance(epoch, int | float) else None
