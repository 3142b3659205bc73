"""How far a schedule came: the ticks it was built for beside those it made, in the log or by a checkpoint's count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrdoctor.engine.remedies import over_run, with_main
from lrdoctor.identify.declared import stated_schedule
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.identification import Fit, Identification
from lrdoctor.model.run import Checkpoint, SchedulerState
from lrdoctor.model.schedule import Schedule
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.schedules import Sequence as Steps
from lrdoctor.schedules import Stepped, Warmup

EPOCH_SLACK = 1.0
"""By how much a scheduler's count may differ from the epoch's and still be one: saved before or after its step."""
FEW_UPDATES = 2.0
"""Fewer updates a tick are no epoch."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """The main schedule in force at the end, and how many of its ticks passed.

    `made` counts the ticks whose LR was used by the last step, `due` those of the planned length of the run (`made`
    where none is declared): both without the warmup, which took `warmup` ticks before. `begun` is the step at which the
    schedule's clock starts, `per_tick` the steps of the trajectory in one tick. `stepped` as in Fit. `where` says where
    it was seen; `exact` is True where it leaves no doubt. `whole` is what was executed, over the run's steps; `before`
    the readings that were in force earlier.
    """

    main: Schedule
    whole: Schedule
    made: float
    due: float
    warmup: float
    per_tick: float
    stepped: str | None
    begun: float
    first_step: float
    last_step: float
    where: str
    exact: bool
    before: tuple[Fit, ...] = ()

    @property
    def horizon(self) -> float | None:
        """The ticks the main schedule was built for."""
        return self.main.horizon

    def step_of(self, tick: float) -> float:
        """The step at which the main schedule's `tick` is in force first."""
        return self.begun + (tick + self.warmup) * self.per_tick

    @property
    def final_lr(self) -> float:
        """The LR of the last step."""
        return float(self.whole.lr_at([self.last_step])[0])

    def rebuilt(self, main: Schedule) -> Schedule:
        """The run's schedule with `main` in place of the main schedule: the same warmup, the same clock."""
        return over_run(self.before, self.first_step, with_main(self.whole, main))


def course_of(
    trajectory: Trajectory, identification: Identification, checkpoints: Sequence[Checkpoint] | None
) -> Course | None:
    """The course as the log shows it; where it shows none for sure, as the latest checkpoint states it.

    A learning rate that stands still says nothing of its schedule, so there a checkpoint knows better.
    """
    lead = identification.lead
    if lead is not None and lead.fit.sure and lead.fit.family != "Constant":
        return _of_fit(trajectory, lead.fits)
    if lead is not None and lead.fit.family not in ("Unknown", "Constant"):
        return None  # a guess is no evidence, and what a checkpoint states was tried among the readings
    found = [course for point in checkpoints or () if (course := course_of_checkpoint(trajectory, point)) is not None]
    return max(found, key=lambda course: course.last_step, default=None)


def _of_fit(trajectory: Trajectory, fits: tuple[Fit, ...]) -> Course:
    fit = fits[-1]
    made, warmup = _ticks(fit, fit.last_step), _warmup_ticks(fit.whole)
    begun = fit.whole.first_update if isinstance(fit.whole, Stepped) else 0.0
    lead = fit.whole.first_tick if isinstance(fit.whole, Stepped) else 0.0
    planned = trajectory.planned_steps
    due = _ticks(fit, planned - 1.0) if planned and planned > fit.last_step else made
    return Course(
        main=fit.schedule,
        whole=fit.whole,
        made=made,
        due=max(made, due),
        warmup=warmup - lead,
        per_tick=fit.steps_per_tick,
        stepped=fit.stepped,
        begun=begun,
        first_step=fit.first_step,
        last_step=fit.last_step,
        where="in the log",
        exact=fit.exact,
        before=fits[:-1],
    )


def _ticks(fit: Fit, step: float) -> float:
    """How many ticks of the main schedule were in force up to `step`."""
    whole = fit.whole
    ticks = float(whole.ticks([step])[0]) if isinstance(whole, Stepped) else step
    return ticks - _warmup_ticks(whole) + 1.0


def _warmup_ticks(whole: Schedule) -> float:
    match whole.schedule if isinstance(whole, Stepped) else whole:
        case Warmup(steps=steps):
            return steps
        case Steps(parts=(_, _), milestones=(begun,)):  # a ramp that is at the peak before the main schedule begins
            return begun
        case _:
            return 0.0


def course_of_checkpoint(trajectory: Trajectory, checkpoint: Checkpoint) -> Course | None:
    """The course by a checkpoint's counters; None where it holds no scheduler with a closed form, or no count."""
    state = checkpoint.scheduler
    if state is None or not state.last_epoch:
        return None
    ramp, force = _in_force(state)
    main = stated_schedule(force, force.base_lrs[0]) if force.base_lrs else None
    updates = updates_of(checkpoint, trajectory)
    if main is None or force.last_epoch is None or not updates:
        return None
    per_tick, stepped = _rate(state.last_epoch, updates, checkpoint)
    whole = main if ramp is None else Warmup(main, *ramp)
    planned = checkpoint.max_steps or (trajectory.planned_steps if trajectory.step_unit == "update" else None)
    warmup = ramp[0] if ramp is not None else 0.0
    return Course(
        main=main,
        whole=whole if per_tick == 1.0 else Stepped(whole, per_tick, "epoch" if stepped == "epoch" else None),
        made=force.last_epoch,
        due=max(force.last_epoch, planned / per_tick - warmup) if planned else force.last_epoch,
        warmup=warmup,
        per_tick=per_tick,
        stepped=stepped,
        begun=0.0,
        first_step=0.0,
        last_step=updates - 1.0,
        where=checkpoint.path,
        exact=True,
    )


def _in_force(state: SchedulerState) -> tuple[tuple[float, float] | None, SchedulerState]:
    """((warmup ticks, start factor) or None, the scheduler behind it) of LinearLR and a main part; else (None, it)."""
    marks = state.params.get("milestones")
    if state.family != "SequentialLR" or len(state.children) != 2 or not isinstance(marks, tuple):
        return None, state
    ramp, main = state.children
    factor = ramp.params.get("start_factor")
    if ramp.family != "LinearLR" or not isinstance(factor, int | float) or (state.last_epoch or 0.0) <= marks[0]:
        return None, ramp
    return (float(marks[0]), float(factor)), main


def updates_of(checkpoint: Checkpoint, trajectory: Trajectory) -> float | None:
    """Optimizer updates made before the checkpoint: the optimizer's own count, the framework's, or epochs times N."""
    optimizer = checkpoint.optimizer
    if optimizer is not None and optimizer.step:
        return float(optimizer.step)
    if checkpoint.global_step:
        return float(checkpoint.global_step)
    if checkpoint.epoch and trajectory.steps_per_epoch:
        return checkpoint.epoch * trajectory.steps_per_epoch
    return None


def _rate(count: float, updates: float, checkpoint: Checkpoint) -> tuple[float, str | None]:
    """(updates a tick, unit): a count that goes with the epochs is one of epochs."""
    per_tick = updates / count
    epochs = checkpoint.epoch is not None and abs(count - checkpoint.epoch) <= EPOCH_SLACK
    if epochs and per_tick >= FEW_UPDATES:
        return per_tick, "epoch"
    return (1.0, "update") if abs(per_tick - 1.0) <= 0.05 else (per_tick, None)


@dataclass(frozen=True, slots=True)
class Contrast:
    """What was executed beside what should have been.

    They differ by more than 1 % of the peak from `first_step` on, and most at `worst_step`: `observed` against
    `expected` there.
    """

    first_step: float
    worst_step: float
    observed: float
    expected: float

    def evidence(self) -> dict[str, float]:
        """The same as a finding's evidence."""
        return {
            "differs_from_step": self.first_step,
            "worst_step": self.worst_step,
            "observed_lr": self.observed,
            "expected_lr": self.expected,
        }


DIFFERS = 0.01
"""Part of the peak from which two learning rates are called different."""
_POINTS = 4000


def contrast(trajectory: Trajectory, executed: Schedule | None, healthy: Schedule) -> Contrast:
    """The logged learning rate beside a healthy schedule; where none was logged, the schedule that was executed.

    Raises ValueError where there is neither.
    """
    steps, seen = _seen(trajectory, executed)
    expected = healthy.lr_at(steps)
    off = np.abs(seen - expected)
    apart = off > DIFFERS * float(np.max(np.abs(expected)))
    worst = int(np.argmax(off))
    first = int(np.argmax(apart)) if apart.any() else worst
    return Contrast(float(steps[first]), float(steps[worst]), float(seen[worst]), float(expected[worst]))


def _seen(trajectory: Trajectory, executed: Schedule | None) -> tuple[FloatArray, FloatArray]:
    group = trajectory.lead
    if group is not None and len(group.lr):
        good = np.isfinite(group.lr)
        return group.steps[good], group.lr[good]
    if executed is None:
        raise ValueError("nothing was logged and nothing is known of what was executed")
    steps = np.unique(np.linspace(0, max(trajectory.steps - 1, 1), _POINTS).round())
    return steps, executed.lr_at(steps)
