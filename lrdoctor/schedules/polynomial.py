"""Polynomial decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules._check import require
from lrdoctor.schedules._write import call, lambda_call, number


@dataclass(frozen=True, slots=True)
class PolynomialLR(Schedule):
    """lr(t) = eta_min + (lr - eta_min) * (1 - min(t, total_iters) / total_iters) ** power.

    torch's has no eta_min; Transformers ("lr_end"), mmengine and timm have one.
    """

    lr: float
    total_iters: int
    power: float
    eta_min: float = 0.0
    family: ClassVar[str] = "PolynomialLR"

    def __post_init__(self) -> None:
        require(self.total_iters > 0, "PolynomialLR needs total_iters > 0", self.total_iters)

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.clip(np.atleast_1d(np.asarray(steps, dtype=np.float64)) / self.total_iters, 0.0, 1.0)
        return self.eta_min + (self.lr - self.eta_min) * (1.0 - t) ** self.power

    @property
    def peak_lr(self) -> float:
        return self.lr

    @property
    def horizon(self) -> float:
        return self.total_iters

    def params(self) -> dict[str, object]:
        floor = {"eta_min": self.eta_min} if self.eta_min else {}
        return {"total_iters": self.total_iters, "power": self.power, **floor}

    def torch_code(self, optimizer: str = "optimizer") -> str:
        if self.eta_min:
            low, left = self.eta_min / self.lr, f"max(1 - t / {number(self.total_iters)}, 0) ** {number(self.power)}"
            return lambda_call(optimizer, f"{number(low)} + {number(1.0 - low)} * {left}")
        return call("PolynomialLR", optimizer, self.params())
