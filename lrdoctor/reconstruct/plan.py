"""What was planned: the batch size, the length of the run, and whether the log reaches it."""

from __future__ import annotations

import numpy as np

from lrdoctor.model.run import Run
from lrdoctor.model.trajectory import Choice, StepUnit
from lrdoctor.reconstruct.frameworks import number_hint
from lrdoctor.reconstruct.names import words
from lrdoctor.reconstruct.recording import Recording

_REACHED = 0.98  # share of the plan from which a run counts as complete: the last points may go unlogged
_MISSED = 0.9  # share below which it counts as cut short


def batch_size(run: Run) -> tuple[int | None, Choice | None]:
    """Examples per optimizer update: a declared size per device is multiplied by devices and accumulation."""
    hint = run.hint("batch_size")
    size = number_hint(run, "batch_size")
    if hint is None or size is None:
        return None, None
    if "per device" not in (hint.detail or "") and "per_device" not in hint.key:
        return int(size), None
    world, accumulated = number_hint(run, "world_size"), number_hint(run, "grad_accum")
    total = int(size * (world or 1) * (accumulated or 1))
    devices = f"{world:g} devices" if world else "1 device assumed"
    steps = f"{accumulated:g} accumulation steps" if accumulated else "no accumulation declared"
    return total, Choice("batch size", str(total), f"{size:g} per device, {devices}, {steps}")


def planned_steps(
    run: Run, record: Recording | None, unit: StepUnit, per_epoch: float | None
) -> tuple[int | None, Choice | None]:
    """The declared length in the trajectory's unit; None where nothing declares it."""
    declared = _declared(run, record, unit, per_epoch)
    if declared is None:
        return None, None
    steps, why = declared
    return round(steps), Choice("planned length", f"{round(steps)}", why)


def _declared(run: Run, record: Recording | None, unit: StepUnit, per_epoch: float | None) -> tuple[float, str] | None:
    epochs = number_hint(run, "epochs")
    if unit == "epoch":
        return (epochs, "the declared number of epochs") if epochs else None
    if unit not in ("update", "env-step"):
        return None
    most = number_hint(run, "max_steps")
    if most:
        return most, "the declared number of steps"
    saved = max((found.max_steps for found in run.checkpoints if found.max_steps), default=0)
    if saved > 0:
        return float(saved), "the number of steps stored in a checkpoint"
    if unit == "update" and (logged := _logged_total(record)) is not None:
        return logged, "the total the log prints beside each step"
    if unit == "update" and epochs and per_epoch:
        return epochs * per_epoch, f"{epochs:g} declared epochs of {per_epoch:g} updates"
    return None


def _logged_total(record: Recording | None) -> float | None:
    """A column that repeats the total number of steps on each row (`total_steps`, `max_steps`)."""
    for series in record.series if record is not None else ():
        if words(series.tag) in (("total", "steps"), ("max", "steps"), ("total", "iters")):
            known = series.values[np.isfinite(series.values)]
            if len(known) and bool((known == known[0]).all()) and known[0] > 0:
                return float(known[0])
    return None


def completeness(steps: int, planned: int | None) -> bool | None:
    """True at the plan's end, False clearly short of it, None without a plan or in between."""
    if planned is None or planned <= 0:
        return None
    if steps >= _REACHED * planned:
        return True
    return False if steps < _MISSED * planned else None
