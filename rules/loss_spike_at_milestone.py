"""The loss jumps up at the step where the schedule lowers the learning rate.

## What it does
Finds the milestones of a stepwise schedule and compares the median loss right after each with the median right
before. A jump counts if it stands out of the loss's noise, is at least 5 % of the loss, and is far larger than any
change of the same kind elsewhere in the run, so the sawtooth of a loss meter that restarts each epoch is not mistaken
for it.

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
- `noise`: how many times the loss's own scatter (median absolute deviation) a jump must be.
- `rise`: how large a jump must be, as a fraction of the loss before it.
- `window`: updates on each side that are compared; at least 1 % of the run.

## References
- He et al. 2016, figure 4: the loss drops where the learning rate is divided by ten
- Goyal et al. 2017, remark 2: momentum correction where the learning rate is folded into the momentum buffer
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lrdoctor import (
    Case,
    CosineAnnealingLR,
    ExponentialLR,
    Finding,
    Fit,
    Identification,
    LossCurve,
    MultiStepLR,
    Remedy,
    StepLR,
    Trajectory,
    rule,
    synth,
)

Array = npt.NDArray[np.float64]

STEP_RATIO = 1.5
"""A milestone changes the learning rate at least by this factor (chosen by us)."""
EPOCH_POINTS = 3
"""Points on each side where the loss was logged once an epoch (chosen by us)."""
NEIGHBOURS = 20
"""Points on each side that tell how much the loss scatters (chosen by us)."""
CONTROLS = 60
"""Other places of the run that are looked at for comparison."""
OUTSTANDING = 2.0
"""A jump must be this many times the largest rise at any of them (chosen by us)."""

STEP = StepLR(0.1, step_size=10)
CASES = (
    Case("the loss jumps at the first milestone and stays",
         synth.run(STEP, steps=900, per_epoch=30, spikes=(synth.Spike(300, 2.0),)), fires=True),
    Case("it jumps at the second milestone and recovers",
         synth.run(MultiStepLR(0.1, (300, 600)), steps=900, spikes=(synth.Spike(600, 1.5, lasts=120),)), fires=True),
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


@dataclass(frozen=True, slots=True)
class Jump:
    """The loss around `step`: medians over a window on each side, and again one window later."""

    step: float
    before: float
    after: float
    later: float
    scatter: float
    points: int

    @property
    def doubt(self) -> float:
        """The scatter of one point, or the standard error of the rise where that is larger, for want of points.

        Of Gaussian noise sigma is the median absolute deviation / 0.6745, and the standard error of the median of n
        points 1.2533 sigma / sqrt(n).
        """
        return self.scatter * max(1.0, 1.2533 / 0.6745 * math.sqrt(2.0 / self.points))

    @property
    def rise(self) -> float:
        return self.after - self.before


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
    loss = _as_measured(loss)
    stepwise = [fit for fit in _fits(identification) if _is_stepwise(fit)]
    marks = [mark for fit in stepwise for mark in _milestones(trajectory, fit)]
    if not marks or len(loss) < 4 * EPOCH_POINTS:
        return
    width = _width(trajectory, loss, window)
    usual = _largest_rise_elsewhere(trajectory, loss, marks, width)
    for mark in marks:
        jump = _jump(loss, mark, width)
        if jump is None or not jump.rise > max(noise * jump.doubt, rise * abs(jump.before), OUTSTANDING * usual):
            continue
        yield _finding(trajectory, stepwise[-1], jump, usual, width)


def _as_measured(loss: LossCurve) -> LossCurve:
    """A value that stands unchanged over many steps was measured once: the mean of an epoch, logged at every update."""
    new = np.concatenate([[True], np.diff(loss.values) != 0.0])
    return replace(loss, steps=loss.steps[new], values=loss.values[new], segment=loss.segment[new])


def _fits(identification: Identification) -> tuple[Fit, ...]:
    return identification.lead.fits if identification.lead is not None else ()


def _is_stepwise(fit: Fit) -> bool:
    """Constant between its drops. An exponential decay once an epoch is a staircase, too."""
    staircase = isinstance(fit.schedule, ExponentialLR) and fit.stepped == "epoch"
    return staircase or isinstance(fit.schedule, StepLR | MultiStepLR)


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


def _width(trajectory: Trajectory, loss: LossCurve, window: int) -> float:
    """Steps on each side: `window` updates or 1 % of the run, and never fewer than a few logged points."""
    interval = float(np.median(np.diff(loss.steps)))
    updates = max(window, 0.01 * trajectory.steps) if trajectory.step_unit == "update" else 0.0
    return max(updates, EPOCH_POINTS * interval)


def _jump(loss: LossCurve, step: float, width: float) -> Jump | None:
    """The loss on both sides of `step`; None where too little of it was logged."""
    finite = np.isfinite(loss.values)
    steps, values = loss.steps[finite], loss.values[finite]
    before, after, later = (
        values[(steps >= start) & (steps < start + width)] for start in (step - width, step, step + width)
    )
    if min(len(before), len(after)) < EPOCH_POINTS:
        return None
    middle = float(np.median(before))
    scatter = max(float(np.median(np.abs(before - middle))), _scatter_around(steps, values, step))
    end = float(np.median(later)) if len(later) else float("nan")
    return Jump(step, middle, float(np.median(after)), end, scatter, min(len(before), len(after)))


def _scatter_around(steps: Array, values: Array, step: float) -> float:
    """The median absolute deviation of the loss near `step`, from neighbours' differences: a trend is no scatter.

    Three points before a milestone can agree by accident.
    """
    at = int(np.searchsorted(steps, step))
    near = np.abs(np.diff(values[max(at - NEIGHBOURS, 0) : at + NEIGHBOURS]))
    return float(np.median(near)) / math.sqrt(2.0) if len(near) else 0.0


def _largest_rise_elsewhere(trajectory: Trajectory, loss: LossCurve, marks: list[float], width: float) -> float:
    """The largest rise of the same kind at other places: epoch boundaries, and places spread over the run."""
    places = np.linspace(loss.steps[0] + width, loss.steps[-1] - width, CONTROLS)
    if trajectory.steps_per_epoch and trajectory.step_unit == "update":
        boundaries = np.arange(1.0, trajectory.steps / trajectory.steps_per_epoch) * trajectory.steps_per_epoch
        places = np.concatenate([places, boundaries[:: max(1, len(boundaries) // CONTROLS)]])
    away = [place for place in places if min(abs(place - mark) for mark in marks) > 2.0 * width]
    rises = [jump.rise for jump in (_jump(loss, float(place), width) for place in away) if jump is not None]
    return max(rises, default=0.0)


def _finding(trajectory: Trajectory, fit: Fit, jump: Jump, usual: float, width: float) -> Finding:
    group = trajectory.lead
    assert group is not None
    at = int(np.searchsorted(group.steps, jump.step))
    old, new = float(group.lr[at - 1]), float(group.lr[at])
    gamma = float(getattr(fit.schedule, "gamma", np.nan))
    recovers = np.isfinite(jump.later) and jump.later - jump.before < 0.5 * jump.rise
    unit = "epoch" if trajectory.step_unit == "epoch" else "step"
    return Finding(
        measured=(
            f"At {unit} {jump.step:.0f}, where the learning rate goes from {old:.3g} to {new:.3g}, the loss goes from "
            f"{jump.before:.4g} to {jump.after:.4g} (medians over {width:.0f} {unit}s; scatter {jump.scatter:.2g})."
        ),
        expected=(
            f"A lower learning rate lowers the loss or leaves it; elsewhere it rises by {max(usual, 0.0):.2g} at most."
        ),
        consequence=(
            f"Something besides the learning rate changed there. The loss {'recovers' if recovers else 'stays up'} "
            f"within {2 * width:.0f} {unit}s."
        ),
        first_step=jump.step,
        last_step=min(jump.step + 2 * width, float(max(trajectory.steps - 1, 0))),
        evidence={
            "milestone_step": jump.step,
            "lr_before": old,
            "lr_after": new,
            "lr_ratio": new / old,
            "gamma": gamma,
            "loss_before": jump.before,
            "loss_after": jump.after,
            "loss_scatter": jump.scatter,
            "largest_rise_elsewhere": usual,
            "recovers": bool(recovers),
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
