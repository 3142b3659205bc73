"""The loss jumps up at the step where the schedule lowers the learning rate.

## What it does
Finds the milestones of a stepwise schedule and compares the median loss right after each with the median right
before. A jump counts if it is four standard errors of that difference, as this run's own noise and its correlation
give them, is at least 5 % of the loss, and has no like elsewhere in the run: a place where the loss rises half as far
in both respects. So the sawtooth of a loss meter that restarts each epoch is not mistaken for it.

## Why is this bad?
A lower learning rate makes the loss fall, or leaves it alone. Where it rises, something else changed at that step:
layers were unfrozen, the optimizer was rebuilt and lost its state, a parameter group got a learning rate it cannot
take, the data or its augmentation changed, or the learning rate in truth went up.

## How to fix it
Look at what the script does at the milestone. Keep the optimizer object; give newly unfrozen layers a group of their
own with a small learning rate and a short warmup; lower the learning rate some epochs before other changes. A decay
without steps (a cosine) takes the milestone away.

Not reported: milestones at which the loss falls, spikes elsewhere, sawtooth patterns, and steps at which a session was
resumed.

## Options
- `noise`: how many standard errors of the difference of the two medians a jump must be.
- `rise`: how large a jump must be, as a fraction of the loss before it.
- `window`: updates on each side that are compared; at least 1 % of the run.

## References
- He et al. 2016, figure 4: the loss drops where the learning rate is divided by ten
- Goyal et al. 2017, remark 2: momentum correction where the learning rate is folded into the momentum buffer
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lrdoctor import (
    Case,
    CosineAnnealingLR,
    ExponentialLR,
    Finding,
    Fit,
    Identification,
    Jump,
    LossCurve,
    MultiStepLR,
    ReduceLROnPlateau,
    Remedy,
    StepLR,
    Trajectory,
    loss_jumps,
    rule,
    synth,
)

STEP_RATIO = 1.5
"""A milestone changes the learning rate at least by this factor (chosen by us)."""

STEP = StepLR(0.1, step_size=10)
CASES = (
    Case("the loss jumps at the first milestone and stays",
         synth.run(STEP, steps=900, per_epoch=30, spikes=(synth.Spike(300, 2.0),)), fires=True),
    Case("it jumps at the second milestone and recovers",
         synth.run(MultiStepLR(0.1, (300, 600)), steps=900, spikes=(synth.Spike(600, 1.5, lasts=120),)), fires=True),
    Case("it jumps by twice the scatter of its points, of which there are fifty on each side",
         synth.run(STEP, steps=900, per_epoch=30, loss=synth.Loss(noise=0.5), spikes=(synth.Spike(300, 1.0),)),
         fires=True),
    Case("the loss is calm at all milestones", synth.run(STEP, steps=900, per_epoch=30)),
    Case("a rise of 4 %, just below what is reported",
         synth.run(STEP, steps=900, per_epoch=30, loss=synth.Loss(noise=0.001), spikes=(synth.Spike(300, 0.14),))),
    Case("the loss meter restarts every epoch",
         synth.run(STEP, steps=900, per_epoch=30, loss=synth.Loss(sawtooth=1.5))),
    Case("the loss jumps elsewhere", synth.run(STEP, steps=900, per_epoch=30, spikes=(synth.Spike(450, 2.0),))),
    Case("it jumps where a session was resumed, which is a milestone too",
         synth.run(STEP, steps=900, per_epoch=30, spikes=(synth.Spike(300, 2.0),), resume_at=(300,))),
    Case("a noisy loss", synth.run(STEP, steps=900, per_epoch=30, loss=synth.Loss(noise=0.8))),
    Case("a schedule without milestones",
         synth.run(CosineAnnealingLR(0.1, T_max=900), steps=900, spikes=(synth.Spike(300, 2.0),))),
)  # fmt: skip


@rule("LR503")
def loss_spike_at_milestone(
    trajectory: Trajectory,
    identification: Identification,
    loss: LossCurve,
    *,
    noise: float = 4.0,
    rise: float = 0.05,
    window: int = 50,
) -> Iterator[Finding]:
    stepwise = [fit for fit in _fits(identification) if _is_stepwise(fit)]
    marks = [mark for fit in stepwise for mark in _milestones(trajectory, fit)]
    for jump in loss_jumps(trajectory, loss, marks, window):
        if jump.stands_out(noise, rise):
            yield _finding(trajectory, stepwise[-1], jump)


def _fits(identification: Identification) -> tuple[Fit, ...]:
    return identification.lead.fits if identification.lead is not None else ()


def _is_stepwise(fit: Fit) -> bool:
    """Constant between its drops. An exponential decay once an epoch is a staircase, too."""
    staircase = isinstance(fit.schedule, ExponentialLR) and fit.stepped == "epoch"
    return staircase or isinstance(fit.schedule, StepLR | MultiStepLR | ReduceLROnPlateau)


def _milestones(trajectory: Trajectory, fit: Fit) -> list[float]:
    """Logged steps at which the learning rate changed at once, except where a session began."""
    group = trajectory.lead
    if group is None:
        return []
    here = (group.steps >= fit.first_step) & (group.steps <= fit.last_step) & (group.lr > 0)
    steps, lrs = group.steps[here], group.lr[here]
    at = np.flatnonzero(np.abs(np.diff(np.log(lrs))) > np.log(STEP_RATIO))
    resumed = [part.first_step for part in trajectory.segments if part.resumed]
    return [float(steps[i + 1]) for i in at if not any(steps[i] <= start <= steps[i + 1] + 1 for start in resumed)]


def _finding(trajectory: Trajectory, fit: Fit, jump: Jump) -> Finding:
    group = trajectory.lead
    assert group is not None
    at = int(np.searchsorted(group.steps, jump.step))
    old, new = float(group.lr[at - 1]), float(group.lr[at])
    gamma = float(getattr(fit.schedule, "gamma", np.nan))
    unit = "epoch" if trajectory.step_unit == "epoch" else "step"
    return Finding(
        measured=(
            f"At {unit} {jump.step:.0f}, where the learning rate goes from {old:.3g} to {new:.3g}, the loss goes from "
            f"{jump.before:.4g} to {jump.after:.4g} (medians over {jump.width:.0f} {unit}s; standard error "
            f"{jump.error:.2g})."
        ),
        expected=f"A lower learning rate lowers the loss or leaves it. {jump.beside(unit)}",
        consequence=(
            f"Something besides the learning rate changed there. "
            f"The loss {'recovers' if jump.recovers else 'stays up'} within {2 * jump.width:.0f} {unit}s."
        ),
        first_step=jump.step,
        last_step=min(jump.step + 2 * jump.width, float(max(trajectory.steps - 1, 0))),
        evidence={
            "milestone_step": jump.step,
            "lr_before": old,
            "lr_after": new,
            "lr_ratio": new / old,
            "gamma": gamma,
            **jump.evidence(),
            "recovers": jump.recovers,
        },
        remedy=_remedy(trajectory, fit),
    )


def _remedy(trajectory: Trajectory, fit: Fit) -> Remedy:
    smooth = CosineAnnealingLR(fit.peak_lr, T_max=max(trajectory.planned_steps or trajectory.steps, 1))
    return Remedy(
        "Keep the optimizer and its parameter groups at the milestone, or change them away from it. A cosine to the "
        "same end has no milestone.",
        smooth,
        f"scheduler = {smooth.torch_code()}\n# scheduler.step() after every optimizer.step()",
    )
