"""The decay is so fast that the learning rate is practically zero for most of the run.

## What it does
Reports a schedule without an end (ExponentialLR, StepLR, MultiStepLR) whose learning rate lies below a thousandth of
the peak for more than half of the updates. The log shows it, or a checkpoint's count: `gamma ** last_epoch`. Where the
length of an epoch is known the finding says which decay was probably meant: one per epoch that is applied at every
update makes N times too many steps.

In a training config: the same of the schedule the config will produce.

## Why is this bad?
At a thousandth of the peak a model hardly moves. `gamma = 0.95` an epoch is a gentle decay; stepped at every update it
has lost three orders of magnitude after 135 updates and eight after 359. StepLR(30) stepped per update drops 13 times
in an epoch of 391. The loss goes flat early and looks converged.

## How to fix it
Step the scheduler once an epoch, or translate its settings: `gamma ** (1 / N)`, `step_size * N`, milestones times N for
N updates an epoch. Or use a schedule with an end, which says where the learning rate will be and when.

Not reported: the low tail of a cosine, a line or one cycle; drops that leave a thousandth of the peak or more; and
ReduceLROnPlateau, which has rules of its own.

## Options
- `share`: part of the updates that must lie below the `level`.
- `level`: part of the peak below which a learning rate counts as collapsed.

## References
- PyTorch documentation of ExponentialLR and StepLR: both count calls of `step()`
- lucidrains/DALLE-pytorch issue 278, LINCellularNeuroscience/VAME issue 26, determined-ai/determined issue 711
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lrdoctor import (
    Case,
    Checkpoint,
    Course,
    ExponentialLR,
    Finding,
    Identification,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    Plan,
    Remedy,
    Schedule,
    StepLR,
    Trajectory,
    config_finding,
    contrast,
    course_of,
    planned_lrs,
    rule,
    synth,
)

GEOMETRIC = (ExponentialLR, StepLR, MultiStepLR)
MIN_STEPS = 50
"""Too short to say where a learning rate goes (chosen by us)."""
SLACK = 0.9
"""Three drops to a tenth leave a thousandth, give or take rounding: below this part of it counts (chosen by us)."""
KEPT = 0.01
"""What a decay without known epochs is set to keep of its peak at the end (chosen by us)."""
PLAUSIBLE = (1e-4, 0.9)
"""What a decay per epoch keeps of its peak where per epoch is what was meant (chosen by us)."""

LIGHTNING = """
    optimizer: {{class_path: torch.optim.SGD, init_args: {{lr: 0.1}}}}
    lr_scheduler: {{class_path: torch.optim.lr_scheduler.StepLR, init_args: {{step_size: {}}}}}
    trainer: {{max_epochs: 100}}
"""
CASES = (
    Case("gamma of 0.95 at every update",
         synth.run(ExponentialLR(0.1, 0.95), steps=1000, steps_per_epoch=50), fires=True),
    Case("StepLR(30) at every update", synth.run(StepLR(0.1, 30), steps=1000, steps_per_epoch=50), fires=True),
    Case("the length of an epoch is not known", synth.run(ExponentialLR(0.1, 0.95), steps=1000), fires=True),
    Case("milestones in epochs",
         synth.run(MultiStepLR(0.1, (5, 10, 15, 18)), steps=1000, steps_per_epoch=50), fires=True),
    Case("gamma of zero, where one was meant",
         synth.run(StepLR(0.1, 300, gamma=0.0), steps=1000, log_lr=False, checkpoints=(1000,), optimizer="Adam"),
         fires=True),
    Case("a checkpoint alone",
         synth.run(ExponentialLR(0.1, 0.95), steps=1000, log_lr=False, checkpoints=(1000,), optimizer="Adam"),
         fires=True),
    Case("gamma of 0.95 an epoch", synth.run(ExponentialLR(0.1, 0.95), steps=1000, per_epoch=50)),
    Case("four drops to a tenth, the last one late", synth.run(MultiStepLR(0.1, (200, 400, 600, 800)), steps=1000)),
    Case("three drops to a tenth, early", synth.run(MultiStepLR(0.1, (100, 200, 300)), steps=1000)),
    Case("below a thousandth for 49 % of the run", synth.run(ExponentialLR(0.1, 1e-3 ** (1 / 510)), steps=1000)),
    Case("for 51 %", synth.run(ExponentialLR(0.1, 0.9e-3 ** (1 / 480)), steps=1000), fires=True),
    Case("a line to zero", synth.run(LinearLR(0.1, total_iters=1000), steps=1000)),
    Case("one cycle", synth.run(OneCycleLR(0.1, total_steps=1000), steps=1000)),
    Case("a config that divides by ten every two of 100 epochs", synth.config(LIGHTNING.format(2)), fires=True,
         cured=synth.config(LIGHTNING.format(30))),
    Case("a config that divides by ten every 30 of 100 epochs", synth.config(LIGHTNING.format(30))),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cure:
    """The schedule that was meant, over the run's steps, and how to write it."""

    main: Schedule
    summary: str
    per_epoch: bool


@rule("LR304", suppresses=("LR308",))
def decay_collapses_lr(
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    share: float = 0.5,
    level: float = 1e-3,
) -> Iterator[Finding]:
    course = course_of(trajectory, identification, checkpoints)
    if course is None or not isinstance(course.main, GEOMETRIC) or course.last_step < MIN_STEPS:
        return
    steps = np.arange(course.first_step, course.last_step + 1.0, max(1.0, (course.last_step + 1.0) // 5000))
    lrs, peak = course.whole.lr_at(steps), _peak(course, trajectory)
    low = lrs < SLACK * level * peak
    if peak > 0 and low.mean() > share:
        since = float(steps[np.argmax(low)])
        yield _finding(course, trajectory, peak, since, float(low.mean()))


def _peak(course: Course, trajectory: Trajectory) -> float:
    """The peak of the whole run: a decay may have begun in an earlier stretch."""
    seen = trajectory.peak_lr
    return max(course.main.peak_lr, seen) if math.isfinite(seen) else course.main.peak_lr


def _finding(course: Course, trajectory: Trajectory, peak: float, since: float, share: float) -> Finding:
    cure = _cure(course, trajectory)
    schedule = course.rebuilt(cure.main)
    seen = contrast(trajectory, course.whole, schedule)
    what = ", ".join(f"{key} = {_short(value)}" for key, value in course.main.params().items())
    per = (
        "update" if course.per_tick == 1.0 else "epoch" if course.stepped == "epoch" else f"{course.per_tick:.3g} steps"
    )
    return Finding(
        measured=(
            f"{course.main.family} ({what}), stepped once per {per} ({course.where}), is below a thousandth of its "
            f"peak {peak:.3g} from step {since:.0f} on, {share:.0%} of the run, and ends at {course.final_lr:.3g}."
        ),
        expected=(
            f"{cure.summary} gives {seen.expected:.3g} at step {seen.worst_step:.0f}, where {seen.observed:.3g} was "
            f"used (different from step {seen.first_step:.0f} on)."
        ),
        consequence="A model hardly moves at such a learning rate: the loss goes flat early and looks converged.",
        first_step=since,
        last_step=course.last_step,
        evidence={
            "collapsed_fraction": round(share, 6),
            "collapsed_from_step": since,
            "peak_lr": peak,
            "final_lr": course.final_lr,
            "steps_per_epoch": trajectory.steps_per_epoch,
            "meant_per_epoch": cure.per_epoch,
            **seen.evidence(),
        },
        remedy=Remedy(
            f"{cure.summary}.",
            schedule,
            f"scheduler = {cure.main.torch_code()}\n# scheduler.step() after every optimizer.step()",
        ),
        severity="error" if course.exact else "warning",
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cure(course: Course, trajectory: Trajectory) -> Cure:
    """The same decay per epoch where that is a plausible one, else one that keeps a hundredth of the peak."""
    main, per_epoch = course.main, trajectory.steps_per_epoch
    if per_epoch and per_epoch > 1 and course.stepped == "update":
        slow = _slowed(main, per_epoch)
        kept = float(slow.lr_at([course.made])[0]) / main.peak_lr
        if PLAUSIBLE[0] <= kept <= PLAUSIBLE[1]:
            return Cure(slow, f"The same decay once per epoch of {per_epoch:.0f} updates", True)
    total = max(course.made, 1.0)
    if isinstance(main, ExponentialLR):
        return Cure(replace(main, gamma=KEPT ** (1.0 / total)), "A gamma that keeps a hundredth of the peak", False)
    third = max(1, round(total / 3.0))
    return Cure(StepLR(main.peak_lr, third, 0.1), "A drop to a tenth after each third of the run", False)


def _slowed(main: Schedule, per_epoch: float) -> Schedule:
    if isinstance(main, ExponentialLR):
        return replace(main, gamma=main.gamma ** (1.0 / per_epoch))
    if isinstance(main, StepLR):
        return replace(main, step_size=round(main.step_size * per_epoch))
    if isinstance(main, MultiStepLR):
        return replace(main, milestones=tuple(round(mark * per_epoch) for mark in main.milestones))
    return main


CONFIGURED = tuple(family.family for family in GEOMETRIC)


@rule("LR304", suppresses=("LR308",))
def decay_configured_too_fast(config: Plan, *, share: float = 0.5, level: float = 1e-3) -> Iterator[Finding]:
    total, peak = config.total.value, config.lr
    planned = planned_lrs(config, total) if total is not None and total >= MIN_STEPS else None
    if planned is None or peak is None or total is None or config.family not in CONFIGURED:
        return
    steps, lrs = planned
    dead = float(np.mean(lrs < level * peak.value))
    if dead > share:
        first = float(steps[np.argmax(lrs < level * peak.value)])
        yield config_finding(
            config,
            config.whereabouts(config.facts.get("step_size"), config.facts.get("milestones"), config.scheduler),
            f"From {config.unit} {first:,.0f} of {total:,.0f} on the learning rate is below {level:g} of its peak.",
            "A decay is spread over the run.",
            f"{dead:.0%} of the run trains at practically nothing.",
            "Decay less often: translate a step size in epochs to updates, or choose a schedule with an end.",
            evidence={"dead_share": dead, "from": first, "total": total, "peak_lr": peak.value},
        )
