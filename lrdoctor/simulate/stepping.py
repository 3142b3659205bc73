"""The fastest way to step modes on a device: a Triton kernel on CUDA, compiled code on the CPU, else plain loops."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

from lrdoctor.simulate.modes import Step, step_reference


def stepper(device: str = "auto") -> tuple[Step, str]:
    """The path and its name. Raises `UsageError` for a device that is absent; needs torch for all but the CPU."""
    if device != "cpu" and find_spec("torch") is not None:
        from lrdoctor.simulate.device import resolve_device

        found = resolve_device(device)
        if found.type == "cuda" and find_spec("triton") is not None:
            from lrdoctor.simulate.modes_triton import step_triton

            return partial(step_triton, found), f"{found} (triton)"
        if found.type != "cpu":
            from lrdoctor.simulate.modes_torch import step_torch

            return partial(step_torch, found), f"{found} (torch)"
    if find_spec("numba") is not None:
        from lrdoctor.simulate.modes_numba import step_compiled

        return step_compiled, "cpu (numba)"
    return step_reference, "cpu (numpy)"
