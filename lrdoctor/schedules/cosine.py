"""Cosine annealing, plain and with warm restarts."""

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
class CosineAnnealingLR(Schedule):
    """lr(t) = eta_min + (lr - eta_min) * (1 + cos(pi * t / T_max)) / 2, past T_max too (it climbs back, like torch's).

    `clamped` holds it at eta_min after T_max instead, as many trainers' own versions do. `k_decay` is timm's exponent
    of t / T_max, 1 for everyone else.
    """

    lr: float
    T_max: int
    eta_min: float = 0.0
    clamped: bool = False
    k_decay: float = 1.0
    family: ClassVar[str] = "CosineAnnealingLR"

    def __post_init__(self) -> None:
        require(self.T_max > 0, "CosineAnnealingLR needs T_max > 0", self.T_max)

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.atleast_1d(np.asarray(steps, dtype=np.float64)) / self.T_max
        if self.clamped:
            t = np.clip(t, 0.0, 1.0)
        if self.k_decay != 1.0:
            t = np.maximum(t, 0.0) ** self.k_decay
        return self.eta_min + (self.lr - self.eta_min) * 0.5 * (1.0 + np.cos(np.pi * t))

    @property
    def peak_lr(self) -> float:
        return self.lr

    @property
    def horizon(self) -> float:
        return self.T_max

    def params(self) -> dict[str, object]:
        own = {} if self.k_decay == 1.0 else {"k_decay": self.k_decay}
        return {"T_max": self.T_max, "eta_min": self.eta_min, **own}

    def torch_code(self, optimizer: str = "optimizer") -> str:
        if self.k_decay != 1.0:
            low, part = self.eta_min / self.lr, f"(t / {number(self.T_max)}) ** {number(self.k_decay)}"
            fall = f"(1 + math.cos(math.pi * {part})) / 2"
            return lambda_call(optimizer, f"{number(low)} + {number(1.0 - low)} * {fall}")
        return call("CosineAnnealingLR", optimizer, self.params())


@dataclass(frozen=True, slots=True)
class CosineAnnealingWarmRestarts(Schedule):
    """Cosines of T_0, T_0*T_mult, T_0*T_mult**2... ticks, each starting again at lr.

    `cycle_decay` is timm's: each cycle starts at that many times the lr of the one before; 1 for everyone else.
    """

    lr: float
    T_0: int
    T_mult: int = 1
    eta_min: float = 0.0
    cycle_decay: float = 1.0
    family: ClassVar[str] = "CosineAnnealingWarmRestarts"

    def __post_init__(self) -> None:
        require(self.T_0 > 0, "CosineAnnealingWarmRestarts needs T_0 > 0", self.T_0)
        require(self.T_mult >= 1, "CosineAnnealingWarmRestarts needs T_mult >= 1", self.T_mult)

    def position(self, steps: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """(T_cur, T_i) at each tick: the ticks since the last restart and the length of the cycle."""
        current, length, _ = self._cycles(steps)
        return current, length

    def _cycles(self, steps: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(T_cur, T_i, number of the cycle) at each tick."""
        t = np.maximum(np.atleast_1d(np.asarray(steps, dtype=np.float64)), 0.0)
        if self.T_mult == 1:
            cycle = np.floor(t / self.T_0 + 1e-12)
            return np.maximum(t - cycle * self.T_0, 0.0), np.full_like(t, self.T_0), cycle
        growth = t / self.T_0 * (self.T_mult - 1) + 1.0
        cycle = np.floor(np.log(growth) / np.log(self.T_mult) + 1e-12)
        start = self.T_0 * (float(self.T_mult) ** cycle - 1.0) / (self.T_mult - 1)
        return np.maximum(t - start, 0.0), self.T_0 * float(self.T_mult) ** cycle, cycle

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        current, length, cycle = self._cycles(steps)
        top = self.lr * self.cycle_decay**cycle
        lr: FloatArray = self.eta_min + (top - self.eta_min) * 0.5 * (1.0 + np.cos(np.pi * current / length))
        return lr

    @property
    def peak_lr(self) -> float:
        return self.lr

    @property
    def horizon(self) -> None:
        return None

    def params(self) -> dict[str, object]:
        own = {} if self.cycle_decay == 1.0 else {"cycle_decay": self.cycle_decay}
        return {"T_0": self.T_0, "T_mult": self.T_mult, "eta_min": self.eta_min, **own}

    def torch_code(self, optimizer: str = "optimizer") -> str:
        given: dict[str, object] = {"T_0": self.T_0, "T_mult": self.T_mult, "eta_min": self.eta_min}
        return call("CosineAnnealingWarmRestarts", optimizer, given)
