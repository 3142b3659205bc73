"""A straight line between two factors of the learning rate."""

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
class LinearLR(Schedule):
    """lr(t) = lr * (start_factor + (end_factor - start_factor) * min(t, total_iters) / total_iters)."""

    lr: float
    total_iters: int
    start_factor: float = 1.0
    end_factor: float = 0.0
    family: ClassVar[str] = "LinearLR"

    def __post_init__(self) -> None:
        require(self.total_iters > 0, "LinearLR needs total_iters > 0", self.total_iters)

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.clip(np.atleast_1d(np.asarray(steps, dtype=np.float64)) / self.total_iters, 0.0, 1.0)
        return self.lr * (self.start_factor + (self.end_factor - self.start_factor) * t)

    @property
    def peak_lr(self) -> float:
        return self.lr * max(self.start_factor, self.end_factor)

    @property
    def horizon(self) -> float:
        return self.total_iters

    def params(self) -> dict[str, object]:
        return {"start_factor": self.start_factor, "end_factor": self.end_factor, "total_iters": self.total_iters}

    def torch_code(self, optimizer: str = "optimizer") -> str:
        return call("LinearLR", optimizer, self.params())
