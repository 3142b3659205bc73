"""Exponential decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules._check import require


@dataclass(frozen=True, slots=True)
class ExponentialLR(Schedule):
    """lr(t) = lr * gamma ** t."""

    lr: float
    gamma: float
    family: ClassVar[str] = "ExponentialLR"

    def __post_init__(self) -> None:
        require(self.gamma > 0, "ExponentialLR needs gamma > 0", self.gamma)

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        return self.lr * self.gamma ** np.atleast_1d(np.asarray(steps, dtype=np.float64))

    @property
    def peak_lr(self) -> float:
        return self.lr

    @property
    def horizon(self) -> None:
        return None

    def params(self) -> dict[str, object]:
        return {"gamma": self.gamma}

    def torch_code(self, optimizer: str = "optimizer") -> str:
        return f"torch.optim.lr_scheduler.ExponentialLR({optimizer}, gamma={self.gamma:.10g})"
