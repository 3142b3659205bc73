"""Reflected exponential decay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules._check import require
from lrdoctor.schedules._write import lambda_call, number

_BEND = 0.9


@dataclass(frozen=True, slots=True)
class Reflected(Schedule):
    """lr(t) = eta_min + (lr - eta_min) * z / (0.1 + 0.9 z), z = 1 - min(t, total_iters) / total_iters.

    REX (Chen et al. 2021, arXiv:2107.04197): an exponential decay mirrored, slow at first and steep at its end.
    """

    lr: float
    total_iters: int
    eta_min: float = 0.0

    def __post_init__(self) -> None:
        require(self.total_iters > 0, "Reflected needs total_iters > 0", self.total_iters)

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.clip(np.atleast_1d(np.asarray(steps, dtype=np.float64)) / self.total_iters, 0.0, 1.0)
        left = (1.0 - t) / (1.0 - _BEND * t)
        lr: FloatArray = self.eta_min + (self.lr - self.eta_min) * left
        return lr

    @property
    def peak_lr(self) -> float:
        return self.lr

    @property
    def horizon(self) -> float:
        return self.total_iters

    def params(self) -> dict[str, object]:
        return {"total_iters": self.total_iters, "eta_min": self.eta_min}

    def torch_code(self, optimizer: str = "optimizer") -> str:
        low, part = self.eta_min / self.lr, f"min(t / {number(self.total_iters)}, 1)"
        return lambda_call(
            optimizer, f"{number(low)} + {number(1.0 - low)} * (1 - {part}) / (1 - {number(_BEND)} * {part})"
        )
