"""What is known of how a framework counts its steps."""

from __future__ import annotations

from lrdoctor.model.run import Run

# Frameworks whose logs number the first update 1 (their counter is raised before the line is written).
_COUNT_FROM_ONE = frozenset(
    {"transformers", "llama-factory", "mmengine", "mmcv", "mmpose", "mmdetection", "yolox", "deepspeed", "trl"}
)
_ENVIRONMENT = frozenset({"ml-agents", "stable-baselines3", "cleanrl", "rllib"})


def counts_from_one(run: Run) -> bool:
    """Whether this framework's step k is the k-th update rather than the one of index k."""
    return (run.framework or "").lower() in _COUNT_FROM_ONE


def is_reinforcement(run: Run) -> bool:
    """Whether the framework counts environment steps."""
    return (run.framework or "").lower() in _ENVIRONMENT


def is_framework(run: Run, *names: str) -> bool:
    return (run.framework or "").lower() in names


def number_hint(run: Run, *names: str) -> float | None:
    """The first declared positive number under one of these hint names."""
    for name in names:
        for hint in run.hints:
            value = hint.value
            if hint.name == name and isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
                return float(value)
    return None
