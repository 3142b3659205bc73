"""What was executed: the learning rate of each parameter group at each optimizer step, and the losses beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lrdoctor.model.arrays import FloatArray, IntArray

StepUnit = Literal["update", "epoch", "sample", "env-step", "row", "unknown"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One decision of the reconstruction and its reason, for "what I read" in the report."""

    what: str
    chosen: str
    why: str
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """One uninterrupted session of training, in the trajectory's step unit; both ends inclusive.

    `resumed` is True where this session continues an earlier one (False: it is the first, or starts over from scratch).
    """

    first_step: float
    last_step: float
    source: str
    resumed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class GroupTrajectory:
    """The executed LR of one parameter group.

    `steps` (T,) strictly increasing, 0-based, in the trajectory's unit; `lr` (T,), as logged; `segment` (T,) the index
    of the session each point was trained in. `tag` is the series it came from.
    """

    name: str
    tag: str
    steps: FloatArray
    lr: FloatArray
    segment: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Any other logged scalar over the same step axis: a loss, the momentum, a gradient norm.

    `role` is "train-loss", "eval-loss", "metric", "momentum" or "grad-norm"; `segment` as in GroupTrajectory. A type of
    its own per role (see LossCurve) is only made where rules ask for it.
    """

    tag: str
    role: str
    steps: FloatArray
    values: FloatArray
    segment: IntArray

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True, eq=False)
class LossCurve(Curve):
    """The loss curve rules look at: the training loss, or the evaluation loss where only that was logged."""


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Logged points that a later session trained again from an earlier step: kept, but not part of the trajectory."""

    group: str
    steps: FloatArray
    lr: FloatArray
    segment: int


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """The reconstructed training run. `groups` is empty where no learning rate was logged.

    `steps` is the number of steps trained (last step + 1) in `step_unit`; `steps_per_epoch` is N (updates per epoch)
    where `step_unit` is "update" and it could be told. `complete` is None where nothing says whether the run finished;
    `planned_steps` is the declared length (max_steps, epochs x N) in `step_unit`. The offset of logs that count from 1
    has been removed already. `attempts` counts from-scratch restarts in the same files that were set aside in favour of
    the longest one. `lr_points` counts the lead group's points as logged (duplicates and overlaps included, the same
    series in a second file not), `lr_points_by_source` says from which file they came. `lr_resolution` is the relative
    rounding of the logged LR (6e-8 float32, 1e-9 repr, ...), `lr_quantum` an absolute rounding (1e-5 where mmcv prints
    five decimals), else 0.
    """

    run_path: str
    groups: tuple[GroupTrajectory, ...]
    step_unit: StepUnit
    steps: int
    segments: tuple[Segment, ...]
    steps_per_epoch: float | None = None
    epochs: float | None = None
    batch_size: int | None = None
    complete: bool | None = None
    planned_steps: int | None = None
    lr_points: int = 0
    lr_points_by_source: tuple[tuple[str, int], ...] = ()
    lr_resolution: float = 1e-9
    lr_quantum: float = 0.0
    curves: tuple[Curve, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    choices: tuple[Choice, ...] = ()
    attempts: int = 1

    @property
    def lead(self) -> GroupTrajectory | None:
        """The group that stands for the run: the first."""
        return self.groups[0] if self.groups else None

    @property
    def peak_lr(self) -> float:
        """The largest finite LR of the lead group; NaN without one."""
        return float(np.nanmax(self.lead.lr)) if self.lead is not None and len(self.lead.lr) else float("nan")

    def curve(self, role: str) -> Curve | None:
        """The first curve of that role, or None."""
        return next((curve for curve in self.curves if curve.role == role), None)

    @property
    def loss(self) -> LossCurve | None:
        """The training loss, or failing that the evaluation loss."""
        found = self.curve("train-loss") or self.curve("eval-loss")
        if found is None:
            return None
        return LossCurve(found.tag, found.role, found.steps, found.values, found.segment)
