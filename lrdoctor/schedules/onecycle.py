"""The one-cycle policy."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules._check import require
from lrdoctor.schedules._write import call


@dataclass(frozen=True, slots=True)
class OneCycleLR(Schedule):
    """Rise from max_lr/div_factor to max_lr, fall to max_lr/(div_factor*final_div_factor) at tick total_steps - 1.

    With T = total_steps, p = pct_start: two phases turn at pT - 1; three phases turn at pT - 1 and 2pT - 2 (back at the
    initial LR) and end at T - 1. Torch allows T calls of step(); the last one lands past the end and bounces, as here.
    """

    max_lr: float
    total_steps: int
    pct_start: float = 0.3
    anneal_strategy: str = "cos"
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False
    family: ClassVar[str] = "OneCycleLR"

    def __post_init__(self) -> None:
        require(self.total_steps > 0, "OneCycleLR needs total_steps > 0", self.total_steps)
        require(0.0 <= self.pct_start <= 1.0, "OneCycleLR needs pct_start between 0 and 1", self.pct_start)
        require(self.anneal_strategy in ("cos", "linear"), "OneCycleLR anneals 'cos' or 'linear'", self.anneal_strategy)

    @property
    def initial_lr(self) -> float:
        return self.max_lr / self.div_factor

    @property
    def min_lr(self) -> float:
        return self.initial_lr / self.final_div_factor

    def turns(self) -> tuple[tuple[float, float], ...]:
        """(tick, LR) at the start and at the end of each phase."""
        rise = self.pct_start * self.total_steps - 1.0
        start, end = (0.0, self.initial_lr), (self.total_steps - 1.0, self.min_lr)
        if self.three_phase:
            return start, (rise, self.max_lr), (2.0 * rise, self.initial_lr), end
        return start, (rise, self.max_lr), end

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        turns = self.turns()
        lr = np.empty_like(t)
        remaining = np.ones(t.shape, dtype=bool)
        for (t0, lr0), (t1, lr1) in itertools.pairwise(turns):
            here = remaining & ((t <= t1) | (t1 == turns[-1][0]))
            part = (t[here] - t0) / (t1 - t0) if t1 != t0 else np.ones(int(here.sum()))
            lr[here] = self._anneal(lr0, lr1, part)
            remaining &= ~here
        return lr

    def _anneal(self, start: float, end: float, part: FloatArray) -> FloatArray:
        if self.anneal_strategy == "linear":
            return start + (end - start) * part
        return end + (start - end) * 0.5 * (1.0 + np.cos(np.pi * part))

    @property
    def peak_lr(self) -> float:
        return self.max_lr

    @property
    def horizon(self) -> float:
        return self.total_steps

    def params(self) -> dict[str, object]:
        return {
            "max_lr": self.max_lr,
            "total_steps": self.total_steps,
            "pct_start": self.pct_start,
            "anneal_strategy": self.anneal_strategy,
            "div_factor": self.div_factor,
            "final_div_factor": self.final_div_factor,
            "three_phase": self.three_phase,
        }

    def torch_code(self, optimizer: str = "optimizer") -> str:
        return call("OneCycleLR", optimizer, self.params())
