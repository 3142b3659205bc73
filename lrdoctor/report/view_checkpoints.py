"""Checkpoints: what each holds, and its counters side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lrdoctor.model.run import Checkpoint
from lrdoctor.report import numbers as fmt
from lrdoctor.report.printable import printable


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """`h` scheduler ticks, `c` calls of step(), `k` optimizer updates, `g` global step, `e` epoch; en dash: absent."""

    path: str
    kind: str
    model: bool
    optimizer: str
    scheduler: str
    scheduler_missing: bool
    h: str
    c: str
    k: str
    g: str
    e: str
    notes: tuple[str, ...]


def checkpoint_rows(checkpoints: Sequence[Checkpoint]) -> tuple[CheckpointRow, ...]:
    """One row a checkpoint, in the order they were saved as far as the counters tell, then by path."""
    ordered = sorted(checkpoints, key=lambda ckpt: (_progress(ckpt), ckpt.path))
    return tuple(_row(checkpoint) for checkpoint in ordered)


def _row(checkpoint: Checkpoint) -> CheckpointRow:
    optimizer, scheduler = checkpoint.optimizer, checkpoint.scheduler
    return CheckpointRow(
        path=printable(checkpoint.path),
        kind=printable(checkpoint.kind),
        model=checkpoint.model,
        optimizer=printable(optimizer.name or "yes") if optimizer else "",
        scheduler=_scheduler(checkpoint),
        scheduler_missing=scheduler is None and checkpoint.recomputes_schedule is None,
        h=fmt.count(scheduler.last_epoch if scheduler else None),
        c=fmt.count(scheduler.step_count if scheduler else None),
        k=fmt.count(optimizer.step if optimizer else None),
        g=fmt.count(checkpoint.global_step),
        e=fmt.count(checkpoint.epoch),
        notes=tuple(printable(str(note)) for note in checkpoint.notes),
    )


def _scheduler(checkpoint: Checkpoint) -> str:
    if checkpoint.schedulers:
        return ", ".join(printable(state.family or "yes") for state in checkpoint.schedulers)
    if checkpoint.recomputes_schedule:
        return f"recomputed by {printable(checkpoint.recomputes_schedule)}"
    return ""


def _progress(checkpoint: Checkpoint) -> float:
    known = (checkpoint.global_step, checkpoint.optimizer.step if checkpoint.optimizer else None, checkpoint.epoch)
    return float(next((value for value in known if value is not None), -1))
