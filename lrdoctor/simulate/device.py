"""Which device to compute on."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from lrdoctor.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    import torch

CHOICES = ("auto", "cpu", "cuda", "mps")


def import_torch() -> ModuleType:
    """torch, or `MissingExtraError` saying how to get it."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError(
            "Stepping schedules through torch needs torch, which is not installed.",
            why=str(error),
            hint="pip install 'lrdoctor[sim]'",
        ) from error
    return torch


def resolve_device(name: str) -> torch.device:
    """The torch device of that name; "auto" takes cuda, then mps, then cpu.

    Raises `UsageError` for a device this computer does not offer and `MissingExtraError` without torch.
    """
    if name not in CHOICES:
        raise UsageError(f"Unknown device {name!r}.", hint=f"one of {', '.join(CHOICES)}")
    torch_ = import_torch()
    present = {"cuda": torch_.cuda.is_available(), "mps": torch_.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, there in present.items() if there)
    if not present[name]:
        raise UsageError(
            f"The device {name!r} was asked for, but torch finds none here.",
            why=f"torch {torch_.__version__} reports no usable {name} device",
            hint="--device auto takes the best one present; for cuda, check the driver and that torch is a CUDA build",
        )
    device: torch.device = torch_.device(name)
    return device
