"""Schedules that are in force at the same time, and steps between which nothing is stepped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules._around import Around


@dataclass(frozen=True, slots=True)
class Product(Around):
    """lr(t) = main(t) * factor(t): two schedulers that each multiply the learning rate, both counting from tick 0.

    `factor` is a schedule around 1. Chained schedulers of mmengine and torch, and warmups that run beside the main
    schedule (detectron2, Ultralytics), are of this kind.
    """

    main: Schedule
    factor: Schedule

    @property
    def inner(self) -> Schedule:
        return self.main

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        return self.main.lr_at(steps) * self.factor.lr_at(steps)

    def torch_code(self, optimizer: str = "optimizer") -> str:
        both = f"{self.main.torch_code(optimizer)}, {self.factor.torch_code(optimizer)}"
        return f"torch.optim.lr_scheduler.ChainedScheduler([{both}])"


@dataclass(frozen=True, slots=True)
class Held(Around):
    """lr(t) = schedule(floor(t)): steps are epochs and parts of them, and the scheduler is stepped at whole ones."""

    schedule: Schedule

    @property
    def inner(self) -> Schedule:
        return self.schedule

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        return self.schedule.lr_at(np.floor(np.atleast_1d(np.asarray(steps, dtype=np.float64)) + 1e-9))
