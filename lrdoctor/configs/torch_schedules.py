"""torch.optim.lr_scheduler's classes by name and arguments, for configs that name them (Lightning, Hydra, DeepSpeed).

Defaults are those of torch 2.13, unchanged since 2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lrdoctor.configs.shapes import ticks, warmed
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    StepLR,
)

Arguments = Mapping[str, Any]
METRIC_DRIVEN = "ReduceLROnPlateau"
PLATEAU_PATIENCE = 10
HORIZONS = {
    "CosineAnnealingLR": ("T_max",),
    "OneCycleLR": ("total_steps",),
    "PolynomialLR": ("total_iters",),
    "LinearLR": ("total_iters",),
    "StepLR": ("step_size",),
    "MultiStepLR": ("milestones",),
    "CosineAnnealingWarmRestarts": ("T_0",),
}
"""The arguments that are lengths in ticks."""


def torch_schedule(name: str, lr: float, arguments: Arguments) -> Schedule:
    """The schedule of that class. ValueError for one that is not known, KeyError for a missing argument."""
    make = _MAKERS.get(name)
    if make is None:
        raise ValueError(f"no schedule is known by the name of {name}")
    return make(lr, {key: value for key, value in arguments.items() if value is not None})


def known(name: str) -> bool:
    return name in _MAKERS or name == METRIC_DRIVEN


def _one_cycle(lr: float, a: Arguments) -> Schedule:
    total = a.get("total_steps") or float(a["epochs"]) * float(a["steps_per_epoch"])
    top = a.get("max_lr", lr)
    return OneCycleLR(
        float(top[0] if isinstance(top, list) else top),
        ticks(float(total)),
        float(a.get("pct_start", 0.3)),
        str(a.get("anneal_strategy", "cos")),
        float(a.get("div_factor", 25.0)),
        float(a.get("final_div_factor", 1e4)),
        bool(a.get("three_phase", False)),
    )


def _constant(lr: float, a: Arguments) -> Schedule:
    return warmed(Constant(lr), float(a.get("total_iters", 5)), float(a.get("factor", 1 / 3)), "constant")


def _linear(lr: float, a: Arguments) -> Schedule:
    start, end, length = float(a.get("start_factor", 1 / 3)), float(a.get("end_factor", 1.0)), a.get("total_iters", 5)
    return LinearLR(lr, ticks(float(length)), start, end)


def _cyclic(lr: float, a: Arguments) -> Schedule:
    del lr  # CyclicLR sets its own
    up = float(a.get("step_size_up", 2000))
    down = float(a.get("step_size_down") or up)
    mode, gamma = str(a.get("mode", "triangular")), float(a.get("gamma", 1.0))
    return CyclicLR(float(a["base_lr"]), float(a["max_lr"]), ticks(up), ticks(down), mode, gamma)


_MAKERS: dict[str, Callable[[float, Arguments], Schedule]] = {
    "StepLR": lambda lr, a: StepLR(lr, ticks(float(a["step_size"])), float(a.get("gamma", 0.1))),
    "MultiStepLR": lambda lr, a: MultiStepLR(
        lr, tuple(ticks(float(one)) for one in sorted(a["milestones"])), float(a.get("gamma", 0.1))
    ),
    "ExponentialLR": lambda lr, a: ExponentialLR(lr, float(a["gamma"])),
    "ConstantLR": _constant,
    "LinearLR": _linear,
    "PolynomialLR": lambda lr, a: PolynomialLR(lr, ticks(float(a.get("total_iters", 5))), float(a.get("power", 1.0))),
    "CosineAnnealingLR": lambda lr, a: CosineAnnealingLR(lr, ticks(float(a["T_max"])), float(a.get("eta_min", 0.0))),
    "CosineAnnealingWarmRestarts": lambda lr, a: CosineAnnealingWarmRestarts(
        lr, ticks(float(a["T_0"])), int(a.get("T_mult", 1)), float(a.get("eta_min", 0.0))
    ),
    "OneCycleLR": _one_cycle,
    "CyclicLR": _cyclic,
}
NAMES = tuple(_MAKERS)
"""The classes that can be computed."""
