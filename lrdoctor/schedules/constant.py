"""A constant learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules._write import call


@dataclass(frozen=True, slots=True)
class Constant(Schedule):
    """lr(t) = lr."""

    lr: float
    family: ClassVar[str] = "Constant"

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        return np.full(np.shape(np.atleast_1d(np.asarray(steps))), self.lr, dtype=np.float64)

    @property
    def peak_lr(self) -> float:
        return self.lr

    @property
    def horizon(self) -> None:
        return None

    def params(self) -> dict[str, object]:
        return {}

    def torch_code(self, optimizer: str = "optimizer") -> str:
        return call("ConstantLR", optimizer, {"factor": 1.0, "total_iters": 0})
