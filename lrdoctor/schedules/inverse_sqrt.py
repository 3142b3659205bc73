"""Decay with the square root of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules._check import require
from lrdoctor.schedules._write import lambda_call, number


@dataclass(frozen=True, slots=True)
class InverseSqrt(Schedule):
    """lr(t) = lr * sqrt(timescale / (timescale + t)), t counted from the end of the warmup.

    Transformers' get_inverse_sqrt_schedule, fairseq's inverse_sqrt and Noam's schedule: with the usual timescale, the
    length W of the warmup, this is lr * sqrt(W / n) at update n = W + t.
    """

    lr: float
    timescale: float
    family: ClassVar[str] = "InverseSqrt"

    def __post_init__(self) -> None:
        require(self.timescale > 0, "InverseSqrt needs timescale > 0", self.timescale)

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.maximum(np.atleast_1d(np.asarray(steps, dtype=np.float64)), 0.0)
        return self.lr / np.sqrt(1.0 + t / self.timescale)

    @property
    def peak_lr(self) -> float:
        return self.lr

    @property
    def horizon(self) -> None:
        return None

    def params(self) -> dict[str, object]:
        return {"timescale": self.timescale}

    def torch_code(self, optimizer: str = "optimizer") -> str:
        return lambda_call(optimizer, f"(1 + t / {number(self.timescale)}) ** -0.5")
