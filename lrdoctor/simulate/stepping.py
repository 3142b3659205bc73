"""The fastest way to step modes on a device: a Triton kernel on CUDA, compiled code on the CPU, else plain loops."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from lrdoctor.simulate.mean_field import StepMoments, step_moments_reference
from lrdoctor.simulate.modes import Step, step_reference

if TYPE_CHECKING:
    import torch


class Stepper(NamedTuple):
    """`modes` steps the loss law's modes, `moments` those of a quadratic under an optimizer; `name` says where."""

    modes: Step
    moments: StepMoments
    name: str


def stepper(device: str = "auto") -> Stepper:
    """Raises `UsageError` for a device that is absent, and `MissingExtraError` where it would need torch."""
    if device != "cpu" and (device != "auto" or find_spec("torch") is not None):
        from lrdoctor.simulate.device import resolve_device

        found = resolve_device(device)
        if found.type == "cuda" and find_spec("triton") is not None:
            return _triton(found)
        if found.type != "cpu":
            return _torch(found)
    if find_spec("numba") is not None:
        return _numba()
    return Stepper(step_reference, step_moments_reference, "cpu (numpy)")


def _triton(device: torch.device) -> Stepper:
    from lrdoctor.simulate.mean_field_triton import step_moments_triton
    from lrdoctor.simulate.modes_triton import step_triton

    return Stepper(partial(step_triton, device), partial(step_moments_triton, device), f"{device} (triton)")


def _torch(device: torch.device) -> Stepper:
    from lrdoctor.simulate.mean_field_torch import step_moments_torch
    from lrdoctor.simulate.modes_torch import step_torch

    return Stepper(partial(step_torch, device), partial(step_moments_torch, device), f"{device} (torch)")


def _numba() -> Stepper:
    from lrdoctor.simulate.mean_field_numba import step_moments_compiled
    from lrdoctor.simulate.modes_numba import step_compiled

    return Stepper(step_compiled, step_moments_compiled, "cpu (numba)")
