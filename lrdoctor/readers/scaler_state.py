"""A gradient scaler's saved state -> `ScalerState`."""

from __future__ import annotations

from lrdoctor.model.run import ScalerState
from lrdoctor.readers.plain import Number, mapping, nested, number, whole

_KEYS = frozenset({"scale", "growth_factor", "backoff_factor"})


def looks_like_scaler(value: object) -> bool:
    """Whether a saved dict is the state of torch's GradScaler, judged by its keys."""
    held = mapping(value)
    return held is not None and all(key in held for key in _KEYS)


def scaler_state(value: object, read: Number) -> ScalerState:
    """`value`, a GradScaler's state dict, as a `ScalerState`."""
    held = mapping(value) or {}
    return ScalerState(
        scale=number(held.get("scale"), read),
        growth_factor=number(held.get("growth_factor"), read),
        backoff_factor=number(held.get("backoff_factor"), read),
        growth_interval=whole(held.get("growth_interval"), read),
        growth_tracker=whole(held.get("_growth_tracker"), read),
    )


def skipped_of(root: object, read: Number) -> ScalerState | None:
    """DeepSpeed counts its skipped updates itself, at the top level."""
    skipped = whole(nested(root, "skipped_steps"), read)
    return None if skipped is None else ScalerState(skipped=skipped)
