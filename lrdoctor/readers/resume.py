"""What a resume from a checkpoint would lack."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lrdoctor.model.run import Checkpoint


@dataclass(frozen=True, slots=True)
class Missing:
    """One part a resume needs and the checkpoint does not hold, and what follows."""

    part: str
    consequence: str


_FLOAT32 = 1e-6  # relative: an LR kept in a tensor has float32's precision
_MODEL = Missing("model", "there are no weights to go on from")
_OPTIMIZER = Missing("optimizer", "momentum and second moments start from zero, and so does the optimizer's step count")
_SCHEDULER = Missing("scheduler", "the schedule starts over at step 0, or goes on from the wrong place")


def missing_parts(checkpoint: Checkpoint) -> tuple[Missing, ...]:
    """The missing parts, in the order model, optimizer, scheduler."""
    held = (
        (_MODEL, checkpoint.model),
        (_OPTIMIZER, checkpoint.optimizer is not None),
        (_SCHEDULER, not _lacks_scheduler(checkpoint)),
    )
    return tuple(missing for missing, there in held if not there)


def rates_agree(checkpoint: Checkpoint) -> bool | None:
    """Whether the scheduler's `_last_lr` is the `lr` of the optimizer's groups, to float32's precision.

    They part where something else set the LR after the scheduler. None where either is not in the checkpoint.
    """
    scheduler, optimizer = checkpoint.scheduler, checkpoint.optimizer
    if scheduler is None or optimizer is None or not scheduler.last_lr:
        return None
    rates = [group.get("lr") for group in optimizer.param_groups]
    known = [float(rate) for rate in rates if isinstance(rate, int | float)]
    if len(known) < len(rates) or len(known) != len(scheduler.last_lr):
        return None
    return all(math.isclose(one, other, rel_tol=_FLOAT32) for one, other in zip(known, scheduler.last_lr, strict=True))


def _lacks_scheduler(checkpoint: Checkpoint) -> bool:
    """No state of a scheduler, although one is needed: neither recomputed by design nor never there."""
    return not checkpoint.schedulers and checkpoint.recomputes_schedule is None and not never_had_scheduler(checkpoint)


def never_had_scheduler(checkpoint: Checkpoint) -> bool:
    """Whether no torch scheduler was attached: all but ReduceLROnPlateau add `initial_lr` to the optimizer's groups."""
    optimizer = checkpoint.optimizer
    if optimizer is None or checkpoint.schedulers or not optimizer.param_groups:
        return False
    return not any("initial_lr" in group for group in optimizer.param_groups)
