"""Cuts that follow a metric."""

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
class ReduceLROnPlateau(Schedule):
    """From each tick of `cuts` on, the LR is `factor` times what it was before, but no less than min_lr.

    The cuts are what a log holds of it: when they came was decided by a metric. `patience` is None where the log does
    not tell it; the least distance of two cuts is patience + cooldown + 1.
    """

    lr: float
    cuts: tuple[float, ...]
    factor: float = 0.1
    min_lr: float = 0.0
    patience: int | None = None
    family: ClassVar[str] = "ReduceLROnPlateau"

    def __post_init__(self) -> None:
        require(list(self.cuts) == sorted(self.cuts), "ReduceLROnPlateau needs sorted cuts", self.cuts)
        require(0.0 <= self.factor < 1.0, "ReduceLROnPlateau needs a factor below 1", self.factor)

    def levels(self) -> FloatArray:
        """(cuts + 1,) the LR before the first cut and after each."""
        return np.maximum(self.lr * self.factor ** np.arange(len(self.cuts) + 1.0), min(self.min_lr, self.lr))

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        return self.levels()[np.searchsorted(np.asarray(self.cuts, dtype=np.float64), t, side="right")]

    @property
    def peak_lr(self) -> float:
        return self.lr

    @property
    def horizon(self) -> None:
        return None

    def params(self) -> dict[str, object]:
        known = {} if self.patience is None else {"patience": self.patience}
        return {"factor": self.factor, **known, "min_lr": self.min_lr, "cuts": list(self.cuts)}

    def torch_code(self, optimizer: str = "optimizer") -> str:
        return call("ReduceLROnPlateau", optimizer, {k: v for k, v in self.params().items() if k != "cuts"})
