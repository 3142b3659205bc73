"""Composition: warmup in front of a schedule or over its start, one schedule after another, and a slower clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule, Unit
from lrdoctor.schedules._around import Around
from lrdoctor.schedules._check import require
from lrdoctor.schedules._write import number
from lrdoctor.schedules.ramps import check_ramp, ramp, ramp_code


@dataclass(frozen=True, slots=True)
class Warmup(Around):
    """A ramp of `steps` ticks from start_factor x peak, of one of the shapes of `ramps.KINDS`, then `main`.

    The main schedule starts its own count at the end of the ramp: lr(t) = main(t - steps) for t >= steps. The ramp aims
    at main(0), as SequentialLR([LinearLR, main], milestones=[steps]) does.
    """

    main: Schedule
    steps: float
    start_factor: float = 0.0
    kind: str = "linear"

    def __post_init__(self) -> None:
        check_ramp(self.kind, self.steps, self.start_factor)

    @property
    def inner(self) -> Schedule:
        return self.main

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        top = float(self.main.lr_at([0.0])[0])
        rise = top * ramp(self.kind, t, self.steps, self.start_factor)
        return np.where(t < self.steps, rise, self.main.lr_at(np.maximum(t - self.steps, 0.0)))

    @property
    def horizon(self) -> float | None:
        return None if self.main.horizon is None else self.main.horizon + self.steps

    def torch_code(self, optimizer: str = "optimizer") -> str:
        rise = ramp_code(self.kind, optimizer, self.steps, self.start_factor)
        parts = rise, self.main.torch_code(optimizer)
        return _sequential_code(optimizer, parts, (self.steps,))


@dataclass(frozen=True, slots=True)
class Overlaid(Around):
    """A ramp that stands in for the first ticks of `main`, whose clock runs all along: lr(t) = main(t) for t >= steps.

    Its part x of `kind` is done after t ticks, counted from `lead` on. It rises from start_factor times main(0)
    "peak": to main(0), as timm's; "end": to main(steps), as detectron2's; "moving": to main(t), as Ultralytics';
    or it is a factor on main(t), "times", as mmcv's. `ahead` is how far main's clock is ahead while the ramp lasts: one
    epoch in YOLOv5, whose scheduler is a step behind the epoch its warmup aims at.
    """

    main: Schedule
    steps: float
    start_factor: float = 0.0
    kind: str = "linear"
    toward: Literal["peak", "end", "moving", "times"] = "peak"
    lead: float = 0.0
    ahead: float = 0.0

    def __post_init__(self) -> None:
        check_ramp(self.kind, self.steps, self.start_factor)

    @property
    def inner(self) -> Schedule:
        return self.main

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        rising = t + self.ahead + min(self.lead, 0.0) < self.steps
        return np.where(rising, self._rise(t), self.main.lr_at(t))

    def _rise(self, t: FloatArray) -> FloatArray:
        done, main = np.maximum(t + self.lead, 0.0), self.main.lr_at(t + self.ahead)
        peak, end = self.main.lr_at([0.0, self.steps - self.lead])
        if self.toward in ("peak", "times"):
            rise = ramp(self.kind, done, self.steps, self.start_factor)
            rising: FloatArray = rise * (peak if self.toward == "peak" else main)
            return rising
        part = ramp(self.kind, done, self.steps, 0.0)
        target = np.full_like(main, end) if self.toward == "end" else main
        blended: FloatArray = (1.0 - part) * (self.start_factor * peak) + part * target
        return blended


@dataclass(frozen=True, slots=True)
class Stepped(Around):
    """A schedule on a slower clock: tick = floor((update - first_update) / updates_per_tick) + first_tick.

    Its own steps are optimizer updates (or whatever the trajectory counts in).
    """

    schedule: Schedule
    updates_per_tick: float = 1.0
    unit: Unit | None = "update"
    first_update: float = 0.0
    first_tick: float = 0.0

    def __post_init__(self) -> None:
        require(self.updates_per_tick > 0, "Stepped needs updates_per_tick > 0", self.updates_per_tick)

    @property
    def inner(self) -> Schedule:
        return self.schedule

    def ticks(self, updates: npt.ArrayLike) -> FloatArray:
        """The scheduler's tick in force at each update."""
        t = (np.atleast_1d(np.asarray(updates, dtype=np.float64)) - self.first_update) / self.updates_per_tick
        whole = t if self.updates_per_tick == 1.0 else np.floor(t + 1e-9)
        return whole + self.first_tick

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        return self.schedule.lr_at(self.ticks(steps))

    @property
    def horizon(self) -> float | None:
        ticks = self.schedule.horizon
        return None if ticks is None else (ticks - self.first_tick) * self.updates_per_tick + self.first_update


@dataclass(frozen=True, slots=True)
class Sequence(Schedule):
    """Schedules one after another: part i is in force on [milestones[i-1], milestones[i]) and counts from its start."""

    parts: tuple[Schedule, ...]
    milestones: tuple[float, ...]
    family: ClassVar[str] = "Unknown"

    def __post_init__(self) -> None:
        marks = self.milestones
        require(len(self.parts) == len(marks) + 1, "Sequence needs one milestone fewer than parts", marks)
        require(list(marks) == sorted(marks), "Sequence needs sorted milestones", marks)

    def lr_at(self, steps: npt.ArrayLike) -> FloatArray:
        t = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        index = np.searchsorted(np.asarray(self.milestones), t, side="right")
        starts = np.asarray([0.0, *self.milestones])
        lr = np.empty_like(t)
        for i, part in enumerate(self.parts):
            here = index == i
            lr[here] = part.lr_at(t[here] - starts[i])
        return lr

    @property
    def peak_lr(self) -> float:
        return max(part.peak_lr for part in self.parts)

    @property
    def horizon(self) -> float | None:
        last = self.parts[-1].horizon
        return None if last is None else last + (self.milestones[-1] if self.milestones else 0.0)

    def params(self) -> dict[str, object]:
        return {"milestones": list(self.milestones)}

    def torch_code(self, optimizer: str = "optimizer") -> str:
        return _sequential_code(optimizer, [part.torch_code(optimizer) for part in self.parts], self.milestones)


def _sequential_code(optimizer: str, parts: Iterable[str], milestones: Iterable[float]) -> str:
    marks = ", ".join(map(number, milestones))
    inner = "    [\n" + "".join(f"        {part},\n" for part in parts) + "    ]"
    return f"torch.optim.lr_scheduler.SequentialLR(\n    {optimizer},\n{inner},\n    milestones=[{marks}],\n)"
