"""A learning-rate range test: not a schedule to train with, but a sweep to choose one by."""

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
class RangeTest(Schedule):
    """The LR rises from start_lr to end_lr within num_iter ticks: by equal factors ("exp") or equal amounts ("linear").

    Argument names after torch-lr-finder; Lightning's lr_find, fastai's lr_find and DeepSpeed's LRRangeTest rise alike.
    """

    start_lr: float
    end_lr: float
    num_iter: int
    step_mode: str = "exp"
    family: ClassVar[str] = "RangeTest"

    def __post_init__(self) -> None:
        require(self.num_iter > 0, "RangeTest needs num_iter > 0", self.num_iter)
        require(self.step_mode in ("exp", "linear"), "RangeTest rises 'exp' or 'linear'", self.step_mode)
        require(self.end_lr > self.start_lr, "RangeTest needs end_lr > start_lr", self.end_lr)
        require(
            self.start_lr > 0 or self.step_mode == "linear", "RangeTest by factors needs start_lr > 0", self.start_lr
        )

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        part = np.atleast_1d(np.asarray(steps, dtype=np.float64)) / self.num_iter
        if self.step_mode == "linear":
            return self.start_lr + (self.end_lr - self.start_lr) * part
        rising: FloatArray = self.start_lr * (self.end_lr / self.start_lr) ** part
        return rising

    @property
    def peak_lr(self) -> float:
        return self.end_lr

    @property
    def horizon(self) -> float:
        return self.num_iter

    def params(self) -> dict[str, object]:
        return {
            "start_lr": self.start_lr,
            "end_lr": self.end_lr,
            "num_iter": self.num_iter,
            "step_mode": self.step_mode,
        }

    def torch_code(self, optimizer: str = "optimizer") -> str:
        low, part = self.start_lr / self.end_lr, f"t / {number(self.num_iter)}"
        if self.step_mode == "linear":
            return lambda_call(optimizer, f"{number(low)} + {number(1.0 - low)} * {part}")
        return lambda_call(optimizer, f"{number(low)} ** (1 - {part})")
