"""What a rule may look at: one run, its reading, and the runs beside it; or one training config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lrdoctor.engine.optimizers import optimizer_of
from lrdoctor.engine.range_test import median_error, range_limit
from lrdoctor.model.identification import Identification
from lrdoctor.model.plan import Broken, Plan
from lrdoctor.model.run import Run
from lrdoctor.model.trajectory import Trajectory

FINAL_SHARE = 0.05
"""The final loss is the median over this share of the logged losses."""
FIRST_LOSSES = 5
"""The first loss is the median over so many logged losses."""
SAME_START = 0.1
"""First losses that differ by no more than this fraction speak of one model on one task (chosen by us)."""


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another run of the same audit, as far as comparing needs it; None where a thing is not known.

    `optimizer` is the class as the run's files name it, `peak_lr` the planned peak where the schedule is known,
    `first_loss` the loss before much was learned, `final_loss` NaN where the losses end in non-finite values; both are
    of the series `loss_tag`. `first_error` is the standard error of `first_loss`. `range_limit` is where a range test's
    loss was still at its lowest.
    """

    path: str
    framework: str | None
    optimizer: str | None
    batch_size: int | None
    peak_lr: float | None
    family: str | None
    final_loss: float | None
    model: str | None
    loss_tag: str | None = None
    first_loss: float | None = None
    first_error: float = 0.0
    range_limit: float | None = None

    def started_as(self, other: Sibling, *, errors: float = 0.0) -> bool:
        """Whether both logged the same loss, with about the same value before anything was learned.

        `errors`: by so many standard errors they may differ beyond that.
        """
        if self.first_loss is None or other.first_loss is None or self.loss_tag != other.loss_tag:
            return False
        allowed = SAME_START * abs(other.first_loss) + errors * float(np.hypot(self.first_error, other.first_error))
        return abs(self.first_loss - other.first_loss) <= allowed

    @property
    def folder(self) -> str:
        """The folder the run lies in."""
        return self.path.rpartition("/")[0]

    def lies_beside(self, other: Sibling) -> bool:
        """Whether both runs lie in one folder."""
        return self.folder == other.folder


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Everything known about one run. `siblings` are the other runs of the audit, without this one.

    `chosen` holds, by code, those of them that a rule compares the run with, where they were chosen beforehand
    (`engine.beside`): then `siblings` is not looked at.
    """

    run: Run
    trajectory: Trajectory
    identification: Identification
    siblings: tuple[Sibling, ...] = ()
    chosen: Mapping[str, tuple[Sibling, ...]] | None = None

    @property
    def as_sibling(self) -> Sibling:
        """The run as its neighbours see it."""
        return sibling_of(self.run, self.trajectory, self.identification)


@dataclass(frozen=True, slots=True, eq=False)
class ConfigEvidence:
    """Everything known about one training config: its plan, or what is wrong with it.

    `base` is the plan it is compared with, as the file stands at another git revision or in another file.
    """

    plan: Plan | None = None
    broken: Broken | None = None
    base: Plan | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BasePlan:
    """The plan a config is compared with (`--against`)."""

    plan: Plan


def sibling_of(run: Run, trajectory: Trajectory, identification: Identification) -> Sibling:
    """The run as its neighbours see it."""
    model = run.declared("model")
    lead = identification.lead
    return Sibling(
        path=run.path,
        framework=run.framework,
        optimizer=optimizer_of(run),
        batch_size=trajectory.batch_size,
        peak_lr=_peak_lr(trajectory, identification),
        family=lead.fit.family if lead else None,
        final_loss=_final_loss(trajectory),
        model=model if isinstance(model, str) else None,
        loss_tag=trajectory.loss.tag if trajectory.loss is not None else None,
        first_loss=first_loss(trajectory),
        first_error=_first_error(trajectory),
        range_limit=range_limit(trajectory, identification),
    )


def _peak_lr(trajectory: Trajectory, identification: Identification) -> float | None:
    lead = identification.lead
    known = lead is not None and lead.fit.family != "Unknown"
    peak = lead.fit.peak_lr if lead is not None and known else trajectory.peak_lr
    return peak if np.isfinite(peak) and peak > 0 else None


def _first_error(trajectory: Trajectory) -> float:
    """By how much the median of the first losses scatters, as told by the steps between some more of them."""
    curve = trajectory.loss
    if curve is None or len(curve) < 2:
        return 0.0
    first = curve.values[: 4 * FIRST_LOSSES]
    steps = np.diff(first[np.isfinite(first)])
    error = median_error(steps, 2.0 * FIRST_LOSSES) if len(steps) else 0.0  # a step scatters twice as much
    return error if np.isfinite(error) else 0.0


def first_loss(trajectory: Trajectory) -> float | None:
    """The median of the first logged losses, where they begin at the start of training."""
    curve = trajectory.loss
    if curve is None or not len(curve) or any(part.resumed for part in trajectory.segments[:1]):
        return None
    value = float(np.median(curve.values[:FIRST_LOSSES]))
    return value if np.isfinite(value) else None


def _final_loss(trajectory: Trajectory) -> float | None:
    curve = trajectory.loss
    if curve is None or not len(curve):
        return None
    last = curve.values[-max(1, int(FINAL_SHARE * len(curve))) :]
    return float(np.median(last))  # NaN as soon as one of them is
