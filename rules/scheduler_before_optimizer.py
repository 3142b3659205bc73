"""The scheduler is stepped before the optimizer, so the first value of the schedule is never used.

## What it does
Looks at schedules that are stepped once an epoch and were logged more often. It reports one that is ahead by a step
from the first update on: the first epoch trains with the second value, the first plateau of a StepLR is an epoch short.

## Why is this bad?
The learning rate the optimizer was built with is skipped, every milestone comes an epoch early, and the last epoch
trains with the value behind the end, which is zero for a linear or cosine decay. torch warns of it once, at the first
call ("Detected call of `lr_scheduler.step()` before `optimizer.step()`").

## How to fix it
Call `scheduler.step()` at the end of the epoch, after the last `optimizer.step()` of it. Schedules computed by hand
take the number of finished epochs, which is 0 in the first.

Not reported: schedules stepped per update (one step of many does no harm, and a log written after the step looks the
same), logs of one point per epoch, and schedules that start at the same value either way and show no plateau.

## Options
- `harmless`: where one step is less than this fraction of the schedule, it is a remark.

## References
- PyTorch documentation, "How to adjust learning rate": since 1.1.0 the scheduler is stepped after the optimizer
- pytorch/pytorch issue 20124, princeton-vl/RAFT issue 104
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lrdoctor import (
    Case,
    CosineAnnealingLR,
    Finding,
    Fit,
    Identification,
    MultiStepLR,
    Remedy,
    Run,
    StepLR,
    Stepped,
    Trajectory,
    rule,
    synth,
    worst_apart,
)

N = 20
STEPS, COSINE = StepLR(0.1, 3), CosineAnnealingLR(0.1, T_max=12)


def _ahead(schedule: StepLR | CosineAnnealingLR, ticks: int = 1, **settings: object) -> synth.RunSpec:
    """Stepped at the beginning of each of 12 epochs of 20 updates."""
    early = Stepped(schedule, N, "epoch", first_tick=ticks)
    settings = {"steps": 12 * N, "steps_per_epoch": N, **settings}
    return synth.run(early, **settings)  # type: ignore[arg-type]  # keywords of synth.run


CASES = (
    Case("StepLR: 2, 3, 3 epochs", _ahead(STEPS), fires=True),
    Case("a cosine of 12 epochs", _ahead(COSINE), fires=True),
    Case("StepLR: 3, 3, 3 epochs", _ahead(STEPS, 0)),
    Case("the cosine from its beginning", _ahead(COSINE, 0)),
    Case("one point per epoch: it may have been written after the step", _ahead(COSINE, log_every=N)),
    Case("stepped per update, logged after the step",
         synth.run(Stepped(CosineAnnealingLR(0.1, T_max=240), first_tick=1), steps=240, steps_per_epoch=N)),
    Case("a log that begins in the second epoch", _ahead(COSINE, 0, first_step=N)),
    Case("a resumed session", _ahead(COSINE, 0, resume_at=(N,))),
)  # fmt: skip


@rule("LR104")
def scheduler_before_optimizer(
    run: Run, trajectory: Trajectory, identification: Identification, *, harmless: float = 0.01
) -> Iterator[Finding]:
    fit = identification.lead.fits[0] if identification.lead is not None else None
    if fit is None or not fit.exact or not fit.sure or fit.stepped != "epoch" or fit.shift != 1.0:
        return
    if fit.family == "ReduceLROnPlateau":  # it follows a metric and has no first value
        return
    if isinstance(fit.schedule, MultiStepLR) and not _stated(run, fit.schedule):
        return
    if trajectory.step_unit == "update" and _seen_from_the_start(trajectory, fit):
        yield _finding(trajectory, fit, harmless)


def _stated(run: Run, schedule: MultiStepLR) -> bool:
    """Whether a checkpoint holds these milestones: of a log alone, 19 is as good a milestone as 20."""
    states = (state for point in run.checkpoints for state in point.schedulers)
    return any(state.params.get("milestones") == tuple(map(float, schedule.milestones)) for state in states)


def _seen_from_the_start(trajectory: Trajectory, fit: Fit) -> bool:
    """Whether the first half of the first epoch was logged, and trained with one value."""
    group = trajectory.lead
    if group is None or any(part.resumed for part in trajectory.segments[:1]):
        return False
    first = group.lr[group.steps < fit.steps_per_tick - 1.0]
    early = group.steps[0] < 0.5 * fit.steps_per_tick
    return bool(early and len(first) > 1 and np.ptp(first) == 0.0)


def _finding(trajectory: Trajectory, fit: Fit, harmless: float) -> Finding:
    group = trajectory.lead
    assert group is not None
    late = replace(fit.whole, first_tick=0.0) if isinstance(fit.whole, Stepped) else fit.whole
    worst = worst_apart(group, late)
    due = float(late.lr_at([0.0])[0])
    ticks = (trajectory.planned_steps or trajectory.steps) / fit.steps_per_tick
    return Finding(
        measured=(
            f"The first epoch of {fit.steps_per_tick:.0f} updates trains with {group.lr[0]:.4g}, the second value of "
            f"the {fit.family} (its first is {due:.4g})."
        ),
        expected="Stepped after the epoch, the first epoch would use the first value, and every change come later.",
        consequence=(
            f"Every value comes one epoch of {ticks:.0f} too early"
            + (f": {worst.observed:.4g} in place of {worst.expected:.4g} at step {worst.step:.0f}." if worst else ".")
        ),
        first_step=float(group.steps[0]),
        last_step=float(group.steps[-1]),
        evidence={
            "steps_ahead": fit.shift,
            "updates_per_epoch": fit.steps_per_tick,
            "first_lr": float(group.lr[0]),
            "expected_first_lr": due,
            "worst_step": worst.step if worst is not None else None,
            "observed_lr": worst.observed if worst is not None else None,
            "expected_lr": worst.expected if worst is not None else None,
        },
        remedy=Remedy(
            "Step the scheduler at the end of the epoch.",
            late,
            "for epoch in range(epochs):\n"
            "    for batch in loader:\n"
            "        ...\n"
            "        optimizer.step()\n"
            "    scheduler.step()  # after the epoch's updates",
        ),
        severity="info" if 1.0 / ticks < harmless else None,
    )
