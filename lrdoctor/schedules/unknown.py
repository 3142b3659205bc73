"""The honest answer where no family explains the trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Unknown(Schedule):
    """The logged points themselves, joined by straight lines: `ticks` increasing, `lrs` beside them."""

    ticks: tuple[float, ...]
    lrs: tuple[float, ...]
    family: ClassVar[str] = "Unknown"

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        return np.interp(np.atleast_1d(np.asarray(steps, dtype=np.float64)), self.ticks, self.lrs)

    @property
    def peak_lr(self) -> float:
        return max(self.lrs)

    @property
    def horizon(self) -> None:
        return None

    def params(self) -> dict[str, object]:
        return {}

    def torch_code(self, optimizer: str = "optimizer") -> str:
        return "# no torch scheduler reproduces this trajectory"
