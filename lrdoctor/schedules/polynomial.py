"""Polynomial decay to zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules._check import require
from lrdoctor.schedules._write import call


@dataclass(frozen=True, slots=True)
class PolynomialLR(Schedule):
    """lr(t) = lr * (1 - min(t, total_iters) / total_iters) ** power."""

    lr: float
    total_iters: int
    power: float
    family: ClassVar[str] = "PolynomialLR"

    def __post_init__(self) -> None:
        require(self.total_iters > 0, "PolynomialLR needs total_iters > 0", self.total_iters)

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.clip(np.atleast_1d(np.asarray(steps, dtype=np.float64)) / self.total_iters, 0.0, 1.0)
        return self.lr * (1.0 - t) ** self.power

    @property
    def peak_lr(self) -> float:
        return self.lr

    @property
    def horizon(self) -> float:
        return self.total_iters

    def params(self) -> dict[str, object]:
        return {"total_iters": self.total_iters, "power": self.power}

    def torch_code(self, optimizer: str = "optimizer") -> str:
        return call("PolynomialLR", optimizer, self.params())
