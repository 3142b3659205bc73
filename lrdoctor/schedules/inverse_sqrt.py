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
    """lr(t) = eta_min + (lr - eta_min) * (timescale / (timescale + t)) ** power, t counted from the warmup's end.

    Transformers' get_inverse_sqrt_schedule, fairseq's inverse_sqrt and Noam's schedule: with the usual timescale, the
    length W of the warmup, this is lr * sqrt(W / n) at update n = W + t. Other powers than 0.5: mmcv's "inv", the
    tail of DeepSpeed's OneCycle, NeMo's NoamHoldAnnealing; an eta_min: llm-foundry.
    """

    lr: float
    timescale: float
    power: float = 0.5
    eta_min: float = 0.0
    family: ClassVar[str] = "InverseSqrt"

    def __post_init__(self) -> None:
        require(self.timescale > 0, "InverseSqrt needs timescale > 0", self.timescale)

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.maximum(np.atleast_1d(np.asarray(steps, dtype=np.float64)), 0.0)
        left: FloatArray = (1.0 + t / self.timescale) ** -self.power
        return self.eta_min + (self.lr - self.eta_min) * left

    @property
    def peak_lr(self) -> float:
        return self.lr

    @property
    def horizon(self) -> None:
        return None

    def params(self) -> dict[str, object]:
        own = {} if self.power == 0.5 else {"power": self.power}
        return {"timescale": self.timescale, **own, **({"eta_min": self.eta_min} if self.eta_min else {})}

    def torch_code(self, optimizer: str = "optimizer") -> str:
        low, left = self.eta_min / self.lr, f"(1 + t / {number(self.timescale)}) ** -{number(self.power)}"
        return lambda_call(optimizer, left if not low else f"{number(low)} + {number(1.0 - low)} * {left}")
