"""What a schedule is: a pure function of the step. The families are in `lrdoctor.schedules`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray

Unit = Literal["update", "epoch", "micro-batch"]


class Schedule(ABC):
    """A learning-rate schedule: frozen parameters and `lr_at`.

    A *tick* is one call of the scheduler's `step()`. Families count in ticks; `Stepped` maps optimizer updates to
    ticks. `lr_at(t)` is the LR in force after t calls of `step()` (t = 0: as constructed), equal to torch's own at
    integer t.
    """

    __slots__ = ()
    family: ClassVar[str] = "Unknown"

    @abstractmethod
    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        """LR after `steps` ticks: (T,) in, (T,) float64 out. Real-valued steps interpolate the closed form."""

    @property
    @abstractmethod
    def peak_lr(self) -> float:
        """The largest LR the schedule is built to reach."""

    @property
    @abstractmethod
    def horizon(self) -> float | None:
        """The number of ticks the schedule is built for; None where it has no end (constant, step, exponential)."""

    @abstractmethod
    def params(self) -> dict[str, object]:
        """Parameters under torch's argument names, JSON-ready, without the LR itself and without any warmup."""

    @abstractmethod
    def torch_code(self, optimizer: str = "optimizer") -> str:
        """An expression that builds this schedule with torch.optim.lr_scheduler, given the name of the optimizer."""
