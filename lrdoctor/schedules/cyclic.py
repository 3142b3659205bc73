"""Cycles between two learning rates along straight lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules._check import require
from lrdoctor.schedules._write import call

MODES = ("triangular", "triangular2", "exp_range")


@dataclass(frozen=True, slots=True)
class CyclicLR(Schedule):
    """Up from base_lr to max_lr in step_size_up ticks, down again in step_size_down (None: as many), and again.

    The height of a cycle above base_lr stays ("triangular"), halves with each cycle ("triangular2") or shrinks by
    gamma with each tick ("exp_range").
    """

    base_lr: float
    max_lr: float
    step_size_up: float = 2000
    step_size_down: float | None = None
    mode: str = "triangular"
    gamma: float = 1.0
    family: ClassVar[str] = "CyclicLR"

    def __post_init__(self) -> None:
        require(self.step_size_up > 0, "CyclicLR needs step_size_up > 0", self.step_size_up)
        require(self.down > 0, "CyclicLR needs step_size_down > 0", self.step_size_down)
        require(self.mode in MODES, f"CyclicLR has the modes {', '.join(MODES)}", self.mode)

    @property
    def down(self) -> float:
        """Ticks of the falling half."""
        return self.step_size_up if self.step_size_down is None else self.step_size_down

    @property
    def cycle_length(self) -> float:
        """Ticks from one low point to the next."""
        return self.step_size_up + self.down

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        cycle = np.floor(t / self.cycle_length)
        within = t - cycle * self.cycle_length
        height = np.where(
            within <= self.step_size_up, within / self.step_size_up, (self.cycle_length - within) / self.down
        )
        return self.base_lr + (self.max_lr - self.base_lr) * height * self._scale(t, cycle)

    def _scale(self, t: FloatArray, cycle: FloatArray) -> FloatArray | float:
        if self.mode == "triangular2":
            halved: FloatArray = 0.5**cycle
            return halved
        return self.gamma**t if self.mode == "exp_range" else 1.0

    @property
    def peak_lr(self) -> float:
        return self.max_lr

    @property
    def horizon(self) -> None:
        return None

    def params(self) -> dict[str, object]:
        return {
            "base_lr": self.base_lr,
            "max_lr": self.max_lr,
            "step_size_up": self.step_size_up,
            "step_size_down": self.down,
            "mode": self.mode,
            "gamma": self.gamma,
        }

    def torch_code(self, optimizer: str = "optimizer") -> str:
        return call("CyclicLR", optimizer, self.params())
