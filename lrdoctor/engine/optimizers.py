"""Which kind of optimizer trained a run, by the many names one class goes by."""

from __future__ import annotations

import re
from typing import Literal

from lrdoctor.model.run import Run

OptimizerKind = Literal["adam", "sgd", "other"]

_SELF_SCALING = re.compile(r"radam|ranger|adafactor|prodigy|adapt|schedule_?-?free|adagrad|adadelta", re.IGNORECASE)
_ADAM = re.compile(r"adam|(^|[^a-z])lamb([^a-z]|$)", re.IGNORECASE)
_SGD = re.compile(r"sgd|momentum|nesterov", re.IGNORECASE)


def optimizer_of(run: Run) -> str | None:
    """The optimizer's name as the run's settings state it, else as a checkpoint's state shows it."""
    declared = run.declared("optimizer")
    if isinstance(declared, str) and declared and declared.lower() != "auto":
        return declared
    found = (point.optimizer.name for point in reversed(run.checkpoints) if point.optimizer is not None)
    return next((name for name in found if name), None)


def optimizer_kind(name: str | None) -> OptimizerKind | None:
    """The family that decides how LR and batch size go together; None where no name is known.

    Optimizers that rectify or set their own step size (RAdam, Ranger, Adafactor, D-Adaptation...) are "other".
    """
    if not name:
        return None
    if _SELF_SCALING.search(name):
        return "other"
    if _ADAM.search(name):
        return "adam"
    return "sgd" if _SGD.search(name) else "other"


WARMUP_SHARE = 0.05
"""The longest warmup proposed, as a share of the run (chosen by us)."""
_USUAL_WARMUP = 2000.0  # updates: 2 / (1 - beta2) at torch's beta2 of 0.999


def adam_warmup(run: Run, steps: int) -> int:
    """Updates of warmup for Adam: 2 / (1 - beta2) (Ma and Yarats 2021), at most WARMUP_SHARE of the `steps`."""
    beta2 = run.declared("beta2")
    wanted = 2.0 / (1.0 - beta2) if isinstance(beta2, float) and 0.0 < beta2 < 1.0 else _USUAL_WARMUP
    return max(1, round(min(wanted, WARMUP_SHARE * steps)))
