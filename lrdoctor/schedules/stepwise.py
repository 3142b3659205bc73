"""Step decays: StepLR and MultiStepLR."""

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
class StepLR(Schedule):
    """lr(t) = lr * gamma ** floor(t / step_size)."""

    lr: float
    step_size: int
    gamma: float = 0.1
    family: ClassVar[str] = "StepLR"

    def __post_init__(self) -> None:
        require(self.step_size > 0, "StepLR needs step_size > 0", self.step_size)

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        return self.lr * self.gamma ** np.floor(np.maximum(t, 0.0) / self.step_size)

    @property
    def peak_lr(self) -> float:
        return self.lr

    @property
    def horizon(self) -> None:
        return None

    def params(self) -> dict[str, object]:
        return {"step_size": self.step_size, "gamma": self.gamma}

    def torch_code(self, optimizer: str = "optimizer") -> str:
        return call("StepLR", optimizer, self.params())


@dataclass(frozen=True, slots=True)
class MultiStepLR(Schedule):
    """lr(t) = lr * gamma ** (number of milestones <= t)."""

    lr: float
    milestones: tuple[int, ...]
    gamma: float = 0.1
    family: ClassVar[str] = "MultiStepLR"

    def __post_init__(self) -> None:
        ordered = list(self.milestones) == sorted(self.milestones)
        require(ordered, "MultiStepLR needs sorted milestones", self.milestones)

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        passed = np.searchsorted(np.asarray(self.milestones, dtype=np.float64), t, side="right").astype(np.float64)
        lr: FloatArray = self.lr * self.gamma**passed
        return lr

    @property
    def peak_lr(self) -> float:
        return self.lr

    @property
    def horizon(self) -> None:
        return None

    def params(self) -> dict[str, object]:
        return {"milestones": list(self.milestones), "gamma": self.gamma}

    def torch_code(self, optimizer: str = "optimizer") -> str:
        return call("MultiStepLR", optimizer, self.params())
