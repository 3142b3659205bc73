"""A training in progress as a `Run`: what was recorded so far, and optimizer and scheduler as they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lrdoctor.model.arrays import FloatArray, floats, ints
from lrdoctor.model.run import Checkpoint, Hint, Run, Scalar, SchedulerState, Series, Source
from lrdoctor.readers.optimizer_state import optimizer_state
from lrdoctor.readers.scheduler_state import scheduler_state, with_optimizer

HERE = "this training"
_STEPS_READ = 4  # parameters whose step counter is looked at: they agree, and on a GPU each costs a transfer


def live_run(
    steps: FloatArray,
    lrs: FloatArray,
    names: Sequence[str],
    known: Mapping[str, Scalar],
    checkpoint: Checkpoint | None,
    framework: str | None,
) -> Run:
    """`steps` (T,) 0-based optimizer updates, `lrs` (T, G) one column a parameter group, `known` hints by name."""
    per_epoch = known.get("steps_per_epoch")
    axes = {"step": floats(steps)}
    if isinstance(per_epoch, int | float) and per_epoch:
        axes["epoch"] = floats(steps // per_epoch)
    at = ints(np.arange(len(steps)))
    series = tuple(
        Series(HERE, f"lr/{name}", floats(lrs[:, index]), axes, at, "live", origin_unit="update")
        for index, name in enumerate(names)
    )
    hints = tuple(Hint(name, value, HERE, name) for name, value in known.items() if value is not None)
    return Run(
        path=HERE,
        series=series,
        checkpoints=() if checkpoint is None else (checkpoint,),
        hints=hints,
        sources=(Source(HERE, "live", int(lrs.size)),),
        framework=framework,
    )


def live_checkpoint(optimizer: Any, scheduler: Any, updates: int, epoch: float | None) -> Checkpoint:
    """What a checkpoint saved now would tell of the counters, without its tensors."""
    found = optimizer_state(_without_tensors(optimizer), lambda tensor: None)
    return Checkpoint(
        path=HERE,
        kind="live",
        model=True,
        optimizer=found,
        schedulers=() if scheduler is None else (with_optimizer(live_scheduler(scheduler), found),),
        global_step=updates,
        epoch=epoch,
    )


def live_scheduler(scheduler: Any) -> SchedulerState:
    """The scheduler's state, recognised by its keys as a saved one is."""
    return scheduler_state(dict(scheduler.state_dict()), lambda tensor: None)


def _without_tensors(optimizer: Any) -> dict[str, object]:
    """The optimizer's groups, and the step counters of its first parameters."""
    states = list(optimizer.state.values())[:_STEPS_READ]
    plain = {index: {"step": float(state["step"])} for index, state in enumerate(states) if "step" in state}
    groups = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    return {"state": plain, "param_groups": groups}
