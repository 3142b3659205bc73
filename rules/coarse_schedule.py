"""A smooth schedule is stepped once an epoch, in so few epochs that it has become a staircase.

## What it does
Measures the largest change of the learning rate from one step of the scheduler to the next, where a step is an epoch of
many updates. It remarks on a smooth schedule (one cycle, cosine, linear, polynomial) that changes by a tenth of its
peak or more at once, behind its warmup.

## Why is this bad?
The schedule is complete, and its peak and its end are as designed; but whole epochs train with one value, and the steps
between them are as abrupt as a milestone's. The rise of a cycle of ten epochs is three jumps.

## How to fix it
Build the schedule for the updates of the training (`total_steps = epochs * len(loader)`) and step it after each of
them. The curve stays the same.

Not reported: schedules of so many epochs that the steps are small, stepwise schedules, logs of one point per epoch, and
cycles built for updates but stepped per epoch, which are a fault of their own.

## Options
- `jump`: report only where the learning rate changes by at least this fraction of the peak at once.
- `updates`: report only where an epoch has at least this many updates.

## References
- Smith and Topin 2017, "Super-Convergence": the policy is defined per iteration
- PyTorch documentation of OneCycleLR: "step should be called after a batch has been used for training"
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lrdoctor import (
    Case,
    Checkpoint,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    Finding,
    Identification,
    LinearLR,
    OneCycleLR,
    PolynomialLR,
    Remedy,
    Schedule,
    StepLR,
    Stepped,
    Trajectory,
    Warmup,
    counts_of,
    rule,
    stated_whole,
    stretched,
    synth,
    worst_apart,
)

ROUNDING = 1e-6
"""A change this little below the limit is at it."""
SMOOTH = (OneCycleLR, CosineAnnealingLR, CosineAnnealingWarmRestarts, LinearLR, PolynomialLR)

N = 50
CASES = (
    Case("a cycle of 10 epochs", synth.run(OneCycleLR(0.1, total_steps=10), steps=10 * N, per_epoch=N), fires=True),
    Case("a cosine of 10 epochs", synth.run(CosineAnnealingLR(0.1, T_max=10), steps=10 * N, per_epoch=N), fires=True),
    Case("a cycle of 20 epochs, seen in a checkpoint",
         synth.run(OneCycleLR(0.1, total_steps=20), steps=20 * N, per_epoch=N, log_lr=False, checkpoints=(20 * N,),
                   optimizer="Adam"), fires=True),
    Case("the cycle in updates", synth.run(OneCycleLR(0.1, total_steps=500), steps=500, steps_per_epoch=N)),
    Case("a cosine of 100 epochs", synth.run(CosineAnnealingLR(0.1, T_max=100), steps=100 * N, per_epoch=N,
                                             log_every=5)),
    Case("warm restarts of 20 epochs",
         synth.run(CosineAnnealingWarmRestarts(0.1, T_0=20), steps=40 * N, per_epoch=N, log_every=5)),
    Case("a warmup of 3 epochs before a cosine of 60",
         synth.run(Warmup(CosineAnnealingLR(0.1, T_max=60), 3, 0.1), steps=63 * N, per_epoch=N, log_every=5)),
    Case("a stepwise schedule", synth.run(StepLR(0.1, 5), steps=10 * N, per_epoch=N)),
    Case("epochs of 5 updates", synth.run(OneCycleLR(0.1, total_steps=20), steps=100, per_epoch=5)),
    Case("a line of 11 epochs: 9 % at once", synth.run(LinearLR(0.1, 11), steps=11 * N, per_epoch=N)),
    Case("of 10 epochs", synth.run(LinearLR(0.1, 10), steps=10 * N, per_epoch=N), fires=True),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Staircase:
    """A schedule in ticks of `length` updates, `ticks` of which passed."""

    schedule: Schedule
    length: float
    ticks: float
    where: str

    @property
    def largest(self) -> tuple[float, float]:
        """(tick, change of the learning rate there as a fraction of the peak) where it is largest, behind a warmup."""
        first = round(self.schedule.steps) if isinstance(self.schedule, Warmup) else 0
        lrs = self.schedule.lr_at(np.arange(first, max(round(self.ticks), first + 2)))
        change = np.diff(lrs) / self.schedule.peak_lr
        restarts = self.schedule.family == "CosineAnnealingWarmRestarts"
        size = np.where(restarts & (change > 0.0), 0.0, np.abs(change))  # a restart is meant to be abrupt
        at = int(np.argmax(size))
        return first + at + 1.0, float(size[at])


@rule("LR109")
def coarse_schedule(
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    jump: float = 0.1,
    updates: int = 16,
) -> Iterator[Finding]:
    stairs = _in_log(trajectory, identification)
    if stairs is None and identification.lead is None:
        stairs = _in_checkpoints(checkpoints or ())
    if stairs is not None and stairs.length >= updates and stairs.largest[1] >= jump * (1.0 - ROUNDING):
        yield _finding(stairs, trajectory)


def _in_log(trajectory: Trajectory, identification: Identification) -> Staircase | None:
    fit = identification.lead.fit if identification.lead is not None else None
    if fit is None or fit.stepped != "epoch" or trajectory.step_unit != "update" or not (fit.exact and fit.sure):
        return None
    inner = fit.whole.schedule if isinstance(fit.whole, Stepped) else fit.whole
    ticks = (fit.last_step - fit.first_step + 1.0) / fit.steps_per_tick
    return Staircase(inner, fit.steps_per_tick, ticks, "in the log") if isinstance(fit.schedule, SMOOTH) else None


def _in_checkpoints(saved: tuple[Checkpoint, ...]) -> Staircase | None:
    for counts in counts_of(saved)[-1:]:
        schedule = stated_whole(counts.state)
        main = schedule.main if isinstance(schedule, Warmup) else schedule
        if isinstance(main, SMOOTH) and schedule is not None:
            return Staircase(schedule, round(1.0 / counts.ratio), counts.ticks, f"in {counts.checkpoint.path}")
    return None


def _finding(stairs: Staircase, trajectory: Trajectory) -> Finding:
    tick, change = stairs.largest
    before, after = stairs.schedule.lr_at([tick - 1.0, tick])
    smooth = _per_update(stairs)
    worst = worst_apart(trajectory.lead, smooth) if trajectory.lead is not None else None
    return Finding(
        measured=(
            f"The {stairs.schedule.family} makes {stairs.ticks:.0f} steps, one per {stairs.length:.0f} updates "
            f"({stairs.where}); at the largest, in epoch {tick:.0f}, the learning rate goes from {before:.4g} to "
            f"{after:.4g}, {change:.0%} of the peak."
        ),
        expected=(
            f"Stepped per update it would be {worst.expected:.4g} at step {worst.step:.0f};"
            if worst is not None
            else f"Stepped per update the same change would take {stairs.length:.0f} steps."
        ),
        consequence=(f"it is {worst.observed:.4g} there. " if worst is not None else "")
        + "The curve is the planned one, but coarse.",
        first_step=(tick - 1.0) * stairs.length,
        last_step=float(max(trajectory.steps - 1, (tick - 1.0) * stairs.length)),
        evidence={
            "scheduler_steps": round(stairs.ticks),
            "updates_per_scheduler_step": stairs.length,
            "largest_change": change,
            "lr_before": float(before),
            "lr_after": float(after),
            "observed_lr": worst.observed if worst is not None else None,
            "expected_lr": worst.expected if worst is not None else None,
        },
        remedy=Remedy(
            "Build the schedule for the updates of the training and step it after each of them.",
            smooth,
            f"scheduler = {smooth.torch_code()}\n# scheduler.step() after every optimizer.step()",
        ),
    )


def _per_update(stairs: Staircase) -> Schedule:
    """The same curve on the clock of the updates."""
    schedule = stretched(stairs.schedule, stairs.length)
    return replace(schedule, updates_per_tick=1.0) if isinstance(schedule, Stepped) else schedule
