"""The schedule was over before the training: the remaining updates ran at a learning rate of zero.

## What it does
Looks for a schedule with a planned end (a line, a polynomial, a cosine that is held, one cycle) that ended while the
training went on: in the log, as a learning rate that stays at the bottom for more than 5 % of the updates; in a
checkpoint, as a count that has reached the length while the optimizer went further. The bottom is at most a
ten-thousandth of the peak; a tail that is held at a floor above it is planned.

In a training config: a schedule that is at zero for that part of the run, and a OneCycleLR that is asked for more steps
than it has.

## Why is this bad?
At a learning rate of zero an update changes nothing: the compute after the schedule's end is spent for no gain, and all
of the annealing happened on too few updates. OneCycleLR refuses to go on instead ("Tried to step 1001 times"), unless
a framework swallows the refusal, as accelerate does.

## How to fix it
Count the calls of `scheduler.step()` as they will be made, after the loader is sharded and batches are accumulated:
`ceil(ceil(n / (batch * devices)) / accumulation) * epochs`, and build the schedule for that. Round up where the loader
keeps its last batch. A length in epochs goes with one step an epoch.

Not reported: schedules that end with the training or a few updates before it, tails at a planned floor, and decays
without an end (ExponentialLR, StepLR).

## Options
- `idle`: accepted part of the updates after the schedule's end.
- `floor`: largest part of the peak that counts as zero.

## References
- PyTorch documentation of OneCycleLR, LinearLR and PolynomialLR (`total_steps`, `total_iters`)
- vLAR-group/GrowSP issue 11, A4Bio/PiFold issue 6, Lightning issue 19684
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lrdoctor import (
    Case,
    Checkpoint,
    Constant,
    CosineAnnealingLR,
    Course,
    ExponentialLR,
    Finding,
    Identification,
    LinearLR,
    OneCycleLR,
    Plan,
    PolynomialLR,
    Remedy,
    Schedule,
    Sequence,
    Trajectory,
    Unknown,
    Warmup,
    config_finding,
    contrast,
    course_of,
    planned_lrs,
    rule,
    synth,
    updates_of,
    with_horizon,
)

HELD = (LinearLR, PolynomialLR, OneCycleLR)
"""Schedules that stay at the bottom when they are over; a cosine may."""
MIN_IDLE = 3
"""Fewer idle steps are the rounding of a loader's length (chosen by us)."""
ZERO = 1e-12
"""Part of the peak up to which a logged learning rate is zero, whatever schedule it is of."""
FEWEST_DECIMALS, MOST_DECIMALS = 4, 10
"""Logs that round learning rates keep this many decimals: with fewer the numbers are as they are (chosen by us)."""
STRETCHED_POINTS = 400
UNSTEPPED = 2.0
"""From so many updates a step on, a scheduler without a known epoch may be one of epochs."""

LINE = LinearLR(0.1, total_iters=600)
LIGHTNING = """
    optimizer: {{class_path: torch.optim.SGD, init_args: {{lr: 0.1}}}}
    lr_scheduler: {{class_path: torch.optim.lr_scheduler.{}, init_args: {{{}}}}}
    trainer: {{max_epochs: 100}}
"""
CASES = (
    Case("a line to zero over 600 of 1000 updates", synth.run(LINE, steps=1000), fires=True),
    Case("behind a warmup", synth.run(Warmup(replace(LINE, total_iters=400), 50), steps=1000), fires=True),
    Case("a cosine that is held at zero",
         synth.run(CosineAnnealingLR(0.1, T_max=600, clamped=True), steps=1000), fires=True),
    Case("a polynomial stepped per epoch",
         synth.run(PolynomialLR(0.1, total_iters=12, power=2.0), steps=1000, per_epoch=50), fires=True),
    Case("a checkpoint's count is above total_iters",
         synth.run(LINE, steps=900, log_lr=False, checkpoints=(900,), optimizer="Adam"), fires=True),
    Case("no known shape, zero from the middle on",
         synth.run(Sequence((ExponentialLR(0.1, 0.999), Constant(0.0)), (500,)), steps=1000), fires=True),
    Case("over with the run", synth.run(LINE, steps=600, checkpoints=(600,), optimizer="Adam")),
    Case("4.8 % of the updates are idle", synth.run(LINE, steps=630)),
    Case("6 % are", synth.run(LINE, steps=640), fires=True),
    Case("held at a tenth, as planned", synth.run(replace(LINE, end_factor=0.1), steps=1000)),
    Case("held at a floor of 1 %", synth.run(CosineAnnealingLR(0.1, 600, eta_min=1e-3, clamped=True), steps=1000)),
    Case("one cycle", synth.run(OneCycleLR(0.1, total_steps=1000), steps=1000)),
    Case("a config whose line ends at epoch 5 of 100", synth.config(LIGHTNING.format("PolynomialLR", "total_iters: 5")),
         fires=True, cured=synth.config(LIGHTNING.format("PolynomialLR", "total_iters: 100"))),
    Case("a config whose cycle has 50 steps in 100 epochs",
         synth.config(LIGHTNING.format("OneCycleLR", "max_lr: 0.1, total_steps: 50")), fires=True,
         cured=synth.config(LIGHTNING.format("OneCycleLR", "max_lr: 0.1, total_steps: 100"))),
    Case("a config whose line ends at epoch 96 of 100",
         synth.config(LIGHTNING.format("PolynomialLR", "total_iters: 96"))),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Idle:
    """`ended` is the step from which nothing happened; `used` and `total` count ticks; `whole` what was executed."""

    ended: float
    last_step: float
    used: float
    total: float
    where: str
    what: str
    peak: float
    bottom: float
    whole: Schedule
    healthy: Schedule
    exact: bool

    @property
    def share(self) -> float:
        return (self.total - self.used) / self.total


@rule("LR301", suppresses=("LR303", "LR304", "LR306"))
def schedule_exhausted(
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    idle: float = 0.05,
    floor: float = 1e-4,
) -> Iterator[Finding]:
    course = course_of(trajectory, identification, checkpoints)
    found = _of_course(course, floor) if course is not None else _zero_tail(trajectory, floor)
    found = found or _stopped_counting(trajectory, checkpoints or ())
    if found is not None and found.share > idle and found.total - found.used >= MIN_IDLE:
        yield _finding(found, trajectory)


def _of_course(course: Course, floor: float) -> Idle | None:
    """A schedule whose own end lies before the last tick."""
    main, horizon = course.main, course.horizon
    held = isinstance(main, HELD) or (isinstance(main, CosineAnnealingLR) and main.clamped)
    if horizon is None or not held or course.made <= horizon:
        return None
    bottom = float(main.lr_at([horizon])[0]) if not isinstance(main, OneCycleLR) else main.min_lr
    if main.peak_lr <= 0 or bottom > floor * main.peak_lr or bottom < 0:
        return None
    longer = with_horizon(main, round(course.due))
    return Idle(
        ended=course.step_of(horizon),
        last_step=course.last_step,
        used=course.step_of(horizon) / course.per_tick,
        total=(course.last_step + 1.0) / course.per_tick,
        where=course.where,
        what=f"The {course.main.family} was built for {horizon + course.warmup:.0f} steps and made {{}}",
        peak=main.peak_lr,
        bottom=max(bottom, 0.0),
        whole=course.whole,
        healthy=course.rebuilt(longer),
        exact=course.exact,
    )


def _zero_tail(trajectory: Trajectory, floor: float) -> Idle | None:
    """A learning rate of exactly zero at the end, whatever led there."""
    group = trajectory.lead
    if group is None or len(group.lr) < 2 * MIN_IDLE or not np.isfinite(group.lr).all():
        return None
    if max(trajectory.lr_quantum, _last_decimal(group.lr)) > floor * trajectory.peak_lr:
        return None  # what reads zero may be a small number
    above = np.flatnonzero(group.lr > ZERO * trajectory.peak_lr)
    if not len(above) or above[-1] >= len(group.lr) - MIN_IDLE:
        return None
    ended, last = float(group.steps[above[-1] + 1]), float(group.steps[-1])
    index = np.unique(np.linspace(0, above[-1] + 1, STRETCHED_POINTS).round().astype(int))
    stretched = group.steps[index] * (last + 1.0) / ended
    return Idle(
        ended=ended,
        last_step=last,
        used=ended,
        total=last + 1.0,
        where="in the log",
        what=f"The learning rate reached zero after {ended:.0f} steps of {{}}",
        peak=trajectory.peak_lr,
        bottom=0.0,
        whole=Unknown(tuple(group.steps.tolist()), tuple(group.lr.tolist())),
        healthy=Unknown(tuple(stretched.tolist()), tuple(group.lr[index].tolist())),
        exact=True,
    )


def _last_decimal(lr: npt.NDArray[np.float64]) -> float:
    """The unit of the last decimal the learning rates are rounded to; 0 where they seem not to be rounded."""
    counts = (count for count in range(1, MOST_DECIMALS + 1) if np.abs(lr - np.round(lr, count)).max() < 1e-15)
    count = next(counts, None)
    return 10.0**-count if count is not None and count >= FEWEST_DECIMALS else 0.0


def _stopped_counting(trajectory: Trajectory, checkpoints: tuple[Checkpoint, ...]) -> Idle | None:
    """A one cycle whose count stands at its length while the optimizer went on: its refusal was swallowed."""
    for point in reversed(checkpoints):
        state, updates = point.scheduler, updates_of(point, trajectory)
        total = state.params.get("total_steps") if state is not None and state.family == "OneCycleLR" else None
        if state is None or not isinstance(total, int | float) or not updates or (state.last_epoch or 0) < total:
            continue
        in_epochs = point.epoch is None or abs(point.epoch - (state.last_epoch or 0)) <= 1.0
        peak = state.params.get("max_lr")
        if (in_epochs and updates >= UNSTEPPED * total) or not isinstance(peak, int | float):
            continue
        cycle, longer = OneCycleLR(peak, int(total)), OneCycleLR(peak, int(updates))
        return Idle(
            ended=float(total),
            last_step=updates - 1.0,
            used=float(total),
            total=updates,
            where=point.path,
            what=f"The OneCycleLR was built for {total:.0f} steps, which it had made when the optimizer had made {{}}",
            peak=peak,
            bottom=cycle.min_lr,
            whole=Sequence((cycle, Constant(cycle.min_lr)), (float(total) - 1.0,)),
            healthy=longer,
            exact=True,
        )
    return None


def _finding(idle: Idle, trajectory: Trajectory) -> Finding:
    seen = contrast(trajectory, idle.whole, idle.healthy)
    return Finding(
        measured=(
            f"{idle.what.format(f'{idle.total:.0f}')} ({idle.where}): from step {idle.ended:.0f} on the learning rate "
            f"is {idle.bottom:.3g}, {idle.share:.1%} of the run."
        ),
        expected=(
            f"A schedule over the whole run gives {seen.expected:.3g} at step {seen.worst_step:.0f}, where "
            f"{seen.observed:.3g} was used (different from step {seen.first_step:.0f} on)."
        ),
        consequence=f"{idle.share:.0%} of the compute went into updates that change nothing.",
        first_step=min(idle.ended, idle.last_step),
        last_step=idle.last_step,
        evidence={
            "built_for_steps": round(idle.used),
            "steps_made": round(idle.total),
            "idle_fraction": round(idle.share, 6),
            "idle_lr": idle.bottom,
            "peak_lr": idle.peak,
            **seen.evidence(),
        },
        remedy=Remedy(
            f"Build the schedule for the {idle.total:.0f} steps that are made.",
            idle.healthy,
            f"# total = ceil(ceil(n / (batch * devices)) / accumulation) * epochs, here {idle.total:.0f}\n"
            f"scheduler = {idle.healthy.torch_code()}",
        ),
        severity="error" if idle.exact else "warning",
    )


@rule("LR301", suppresses=("LR303", "LR304", "LR306"))
def schedule_configured_too_short(config: Plan, *, idle: float = 0.05, floor: float = 1e-4) -> Iterator[Finding]:
    total, peak = config.total.value, config.lr
    planned = planned_lrs(config, total) if total is not None else None
    if planned is None or peak is None or total is None:
        return
    steps, lrs = planned
    about = config.whereabouts(config.horizon, config.scheduler)
    if config.family == "OneCycleLR" and config.horizon is not None and config.horizon.value < total:
        yield _cycle_too_short(config, config.horizon.value, total)
        return
    high = np.flatnonzero(lrs > floor * peak.value)
    used = float(steps[high[-1]]) + 1.0 if len(high) else 0.0
    if lrs[-1] <= floor * peak.value and (total - used) / total > idle:
        yield config_finding(
            config,
            about,
            f"The schedule is over after {used:,.0f} of {total:,.0f} {config.unit}s.",
            "It is meant to end with the run.",
            f"{(total - used) / total:.0%} of the run trains at a learning rate of {float(lrs[-1]):.3g}.",
            f"Build it for {total:,.0f} {config.unit}s.",
            evidence={"used": used, "total": total, "final_lr": float(lrs[-1]), "peak_lr": peak.value},
        )


def _cycle_too_short(config: Plan, horizon: float, total: float) -> Finding:
    return config_finding(
        config,
        config.horizon,
        f"The one-cycle schedule has {horizon:,.0f} steps and the run makes {total:,.0f}.",
        "OneCycleLR refuses every step beyond its last.",
        f"The training stops with an error after {horizon:,.0f} {config.unit}s.",
        f"Set total_steps to {total:,.0f}.",
        evidence={"total_steps": horizon, "total": total},
        code=f"total_steps: {total:.0f}",
    )
