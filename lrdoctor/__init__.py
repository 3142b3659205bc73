"""lrdoctor: find learning-rate schedule faults in training logs and checkpoints.

The public names, for scripts and rule files. Importing this module is cheap: each name is loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Case": "lrdoctor.engine.rule",
    "Checkpoint": "lrdoctor.model.run",
    "Constant": "lrdoctor.schedules",
    "CosineAnnealingLR": "lrdoctor.schedules",
    "CosineAnnealingWarmRestarts": "lrdoctor.schedules",
    "Curve": "lrdoctor.model.trajectory",
    "ExponentialLR": "lrdoctor.schedules",
    "Finding": "lrdoctor.model.finding",
    "Fit": "lrdoctor.model.identification",
    "Identification": "lrdoctor.model.identification",
    "LinearLR": "lrdoctor.schedules",
    "LossCurve": "lrdoctor.model.trajectory",
    "MultiStepLR": "lrdoctor.schedules",
    "OneCycleLR": "lrdoctor.schedules",
    "OptimizerState": "lrdoctor.model.run",
    "PolynomialLR": "lrdoctor.schedules",
    "Remedy": "lrdoctor.model.finding",
    "Run": "lrdoctor.model.run",
    "Schedule": "lrdoctor.model.schedule",
    "SchedulerState": "lrdoctor.model.run",
    "Sequence": "lrdoctor.schedules",
    "Sibling": "lrdoctor.engine.evidence",
    "StepLR": "lrdoctor.schedules",
    "Stepped": "lrdoctor.schedules",
    "Trajectory": "lrdoctor.model.trajectory",
    "Unknown": "lrdoctor.schedules",
    "Warmup": "lrdoctor.schedules",
    "audit": "lrdoctor.audit",
    "read": "lrdoctor.readers",
    "optimizer_kind": "lrdoctor.engine.optimizers",
    "optimizer_of": "lrdoctor.engine.optimizers",
    "rule": "lrdoctor.engine.rule",
    "scaled": "lrdoctor.engine.remedies",
    "synth": "lrdoctor.synth",
    "with_horizon": "lrdoctor.engine.remedies",
}
_MODULES = frozenset({"synth"})  # public names that are modules themselves

__all__ = sorted(_HOME)  # noqa: PLE0605  # the table above is the single list of public names


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'lrdoctor' has no attribute {name!r}")
    module = import_module(home)
    value = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
