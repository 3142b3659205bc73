"""One checkpoint, a file or a folder of files saved together -> `Checkpoint`. Nothing in it is executed."""

from __future__ import annotations

from pathlib import Path

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Checkpoint, Note, OptimizerState, SchedulerState
from lrdoctor.readers.checkpoint_contents import Contents, contents_of
from lrdoctor.readers.checkpoint_folder import is_checkpoint_folder, read_folder
from lrdoctor.readers.checkpoint_layout import Layout, layout_of
from lrdoctor.readers.optimizer_state import optimizer_state
from lrdoctor.readers.plain import nested, number
from lrdoctor.readers.safetensors import looks_like_safetensors, read_safetensors
from lrdoctor.readers.scaler_state import scaler_state, skipped_of
from lrdoctor.readers.scheduler_state import has_clock, in_updates, scheduler_state, with_optimizer
from lrdoctor.readers.storage import is_dir
from lrdoctor.readers.torch_file import LEGACY_MAGIC, TAR_MAGIC_AT, ZIP_MAGIC, TorchFile, opened

SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".tar", ".safetensors")
# Saved beside checkpoints, and none by themselves.
NOT_CHECKPOINTS = ("training_args.bin", "rng_state", "random_states", "scaler.pt")


def is_checkpoint(path: str, head: bytes) -> bool:
    """Whether the file, by its name and its first bytes, is one a checkpoint reader understands."""
    name = Path(path).name.lower()
    if not name.endswith(SUFFIXES) or name.startswith(NOT_CHECKPOINTS):
        return False
    if name.endswith(".safetensors"):
        return looks_like_safetensors(head)
    tar = head[TAR_MAGIC_AT : TAR_MAGIC_AT + 5] == b"ustar"
    return head.startswith((ZIP_MAGIC, LEGACY_MAGIC, b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")) or tar


def read_checkpoint(path: str) -> Checkpoint:
    """What the checkpoint holds. `ReadError` where nothing in it is usable."""
    if is_dir(path):
        if not is_checkpoint_folder(path):
            raise ReadError(
                "The folder is no checkpoint.",
                where=path,
                why="no files in it that Hugging Face, accelerate, DeepSpeed, Megatron or torch DCP save together",
                hint="give the checkpoint file itself",
            )
        return read_folder(path)
    if path.lower().endswith(".safetensors"):
        return read_safetensors(path)
    with opened(path) as file:
        return checkpoint_of(file)


def checkpoint_of(file: TorchFile) -> Checkpoint:
    """An open checkpoint file as a `Checkpoint`."""
    found, layout = contents_of(file.root), layout_of(file.root, file.number)
    file.expect(found.numbers())
    optimizers = [optimizer_state(value, file.number, file.numbers) for value in found.optimizers]
    schedulers = _schedulers(found, optimizers, file)
    notes = (*file.notes, *_notes(file, found, layout))
    return Checkpoint(
        path=file.path,
        kind=file.kind,
        model=found.model or file.kind == "torchscript",
        optimizer=optimizers[0] if optimizers else None,
        schedulers=schedulers,
        global_step=layout.global_step,
        epoch=layout.epoch,
        framework=layout.framework,
        recomputes_schedule=None if any(map(has_clock, schedulers)) or not layout.recomputes else layout.framework,
        notes=notes,
        scaler=scaler_state(found.scaler, file.number) if found.scaler else skipped_of(file.root, file.number),
    )


def _schedulers(found: Contents, optimizers: list[OptimizerState], file: TorchFile) -> tuple[SchedulerState, ...]:
    """Each scheduler with the optimizer of its own place in the list, where there are as many of both."""
    paired: list[OptimizerState | None] = [*optimizers]
    if len(optimizers) != len(found.schedulers):
        paired = [optimizers[0] if len(optimizers) == 1 else None] * len(found.schedulers)
    batch = number(nested(file.root, "args", "global_batch_size"), file.number)
    states = [in_updates(scheduler_state(value, file.number), batch) for value in found.schedulers]
    return tuple(with_optimizer(state, optimizer) for state, optimizer in zip(states, paired, strict=True))


def _notes(file: TorchFile, found: Contents, layout: Layout) -> list[Note]:
    notes = []
    if len(found.optimizers) > 1:
        notes.append(Note(file.path, f"holds {len(found.optimizers)} optimizers; the first is described"))
    if file.kind == "torchscript":
        notes.append(Note(file.path, "a TorchScript archive: a program and its weights, no training state"))
    if layout.framework == "ultralytics" and layout.epoch == -1:
        notes.append(Note(file.path, "stripped after training: Ultralytics removes the optimizer from its final files"))
    return notes
