"""A schedule that stops falling at a least learning rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules._around import Around


@dataclass(frozen=True, slots=True)
class Floored(Around):
    """lr(t) = max(schedule(t), least): the schedule does not aim at `least`, it is cut off there.

    gpt-neox's linear decay, NeMo's and Megatron's inverse square root, fairseq's and mmcv's steps. torch has no such
    scheduler, so that `torch_code` is that of the schedule inside.
    """

    schedule: Schedule
    least: float

    @property
    def inner(self) -> Schedule:
        return self.schedule

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        return np.maximum(self.schedule.lr_at(steps), self.least)
