"""The cosine is longer over than the training: past its T_max the learning rate climbs back.

## What it does
Looks for a cosine without restarts that the scheduler followed beyond its end: in the log, as a smooth rise after the
minimum; in a checkpoint, as a count (`last_epoch`) above `T_max`. It reports a rise of at least 1 % of the peak on more
than 5 % of the schedule's length.

In a training config: a cosine whose `T_max` is shorter than the run by as much.

## Why is this bad?
torch's CosineAnnealingLR knows no end. At `T_max` it stands at `eta_min`, after that it climbs, is back at the full
learning rate at 2 x `T_max`, and so on. The annealing that was paid for is undone, and the run ends wherever the wave
happens to be. With `T_max` in epochs and one step per update there are hundreds of waves, half the peak on average.

## How to fix it
Set `T_max` to the number of times `scheduler.step()` will be called: updates less the warmup where it is stepped per
update, epochs where it is stepped per epoch. Where the training may go on longer, stop stepping at `T_max`, or hold
`eta_min` with SequentialLR and a ConstantLR behind it.

Not reported: warm restarts (the rise is one jump), triangular cycles, versions that hold the floor, and three or more
whole waves that end in a minimum, which is how this scheduler is made to cycle on purpose.

## Options
- `overshoot`: accepted number of steps past the end, as a fraction of the schedule's length.
- `climb`: accepted rise after the minimum, as a fraction of the peak.

## References
- PyTorch documentation of CosineAnnealingLR: the closed form holds past T_max
- ScrollPrize/villa issue 1495, ivadomed/ivadomed issue 57, ziqi-jin/finetune-anything issue 57
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lrdoctor import (
    Case,
    Checkpoint,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    Course,
    Finding,
    Identification,
    Plan,
    Remedy,
    Stepped,
    Trajectory,
    Warmup,
    config_finding,
    contrast,
    course_of,
    planned_lrs,
    rule,
    synth,
)

Array = npt.NDArray[np.float64]

MIN_WAVES = 3.0
"""So many half waves, the last one ending in a minimum, are taken for cycles on purpose (chosen by us)."""
IN_A_MINIMUM = 0.05
"""How far from a minimum, in half waves, the end may lie for that (chosen by us)."""
MISFIT = 2e-3
"""Largest distance of a wave from the log, as a fraction of the peak (chosen by us; the identification takes 5e-3)."""
SAME = 1e-6
"""Relative difference below which two peaks of a wave are of one height: recursion and rounding part them."""
TURNS = 4
"""Fewer turning points do not give the length of a half wave reliably (chosen by us)."""

COSINE = CosineAnnealingLR(0.1, T_max=600)
LIGHTNING = """
    optimizer: {{class_path: torch.optim.SGD, init_args: {{lr: 0.1}}}}
    lr_scheduler: {{class_path: torch.optim.lr_scheduler.CosineAnnealingLR, init_args: {{T_max: {}}}}}
    trainer: {{max_epochs: 50}}
"""
CASES = (
    Case("T_max is 600, the run has 1000 updates", synth.run(COSINE, steps=1000), fires=True),
    Case("behind a warmup", synth.run(Warmup(COSINE, 50), steps=1000), fires=True),
    Case("T_max is the number of epochs, stepped per update: 50 half waves",
         synth.run(replace(COSINE, T_max=20), steps=1000, steps_per_epoch=50), fires=True),
    Case("stepped per epoch for 20 epochs with T_max of 12",
         synth.run(replace(COSINE, T_max=12), steps=1000, per_epoch=50), fires=True),
    Case("a checkpoint's count is above its T_max",
         synth.run(COSINE, steps=900, log_lr=False, checkpoints=(900,), optimizer="Adam"), fires=True),
    Case("T_max equals the run", synth.run(COSINE, steps=600, checkpoints=(600,), optimizer="Adam")),
    Case("6 % too many steps: a rise of less than 1 %", synth.run(COSINE, steps=636)),
    Case("7 % too many", synth.run(COSINE, steps=642), fires=True),
    Case("a version that holds the floor", synth.run(replace(COSINE, clamped=True), steps=1000)),
    Case("warm restarts", synth.run(CosineAnnealingWarmRestarts(0.1, T_0=300), steps=1000)),
    Case("five half waves that end in a minimum", synth.run(replace(COSINE, T_max=200), steps=1000)),
    Case("a config with a T_max of 30 in 50 epochs", synth.config(LIGHTNING.format(30)), fires=True,
         cured=synth.config(LIGHTNING.format(50))),
    Case("a config with the T_max of its run", synth.config(LIGHTNING.format(50))),
    Case("a config with a T_max two epochs short", synth.config(LIGHTNING.format(48))),
)  # fmt: skip


@rule("LR302", suppresses=("LR303", "LR306", "LR502"))
def cosine_climbs_past_horizon(
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    overshoot: float = 0.05,
    climb: float = 0.01,
) -> Iterator[Finding]:
    course = course_of(trajectory, identification, checkpoints) or _waves(trajectory)
    if course is None or not isinstance(course.main, CosineAnnealingLR) or course.main.clamped:
        return
    cosine, waves = course.main, course.made / course.main.T_max
    rise = (_highest_after(cosine, waves) - cosine.eta_min) / cosine.lr
    if waves - 1.0 <= overshoot or rise < climb or cosine.eta_min >= cosine.lr:
        return
    in_epochs = _counts_epochs(course, trajectory)
    if in_epochs or not _cycles_on_purpose(waves):
        yield _finding(course, cosine, trajectory, in_epochs)


def _highest_after(cosine: CosineAnnealingLR, waves: float) -> float:
    """The highest learning rate used past the first minimum."""
    return cosine.lr if waves >= 2.0 else float(cosine.lr_at([waves * cosine.T_max - 1.0])[0])


def _cycles_on_purpose(waves: float) -> bool:
    odd = 2.0 * round((waves - 1.0) / 2.0) + 1.0
    return waves > MIN_WAVES - IN_A_MINIMUM and abs(waves - odd) <= IN_A_MINIMUM


def _counts_epochs(course: Course, trajectory: Trajectory) -> bool:
    """Whether the cosine was built for as many steps as the training has epochs, and stepped at every update."""
    per_epoch = trajectory.steps_per_epoch
    if course.stepped != "update" or per_epoch is None or per_epoch < 2:
        return False
    epochs = max(course.due + course.warmup, float(trajectory.planned_steps or 0)) / per_epoch
    return abs(course.main.horizon - epochs) <= 1.0 if course.main.horizon else False


def _waves(trajectory: Trajectory) -> Course | None:
    """A wave too fast for the identification: its length from the turning points, its height by least squares."""
    group = trajectory.lead
    if group is None or len(group.lr) < 4 * TURNS or not np.isfinite(group.lr).all():
        return None
    top = int(np.argmax(group.lr >= (1.0 - SAME) * group.lr.max()))
    steps, lr = group.steps[top:] - group.steps[top], group.lr[top:]
    for length in _half_waves(steps, lr, trajectory):
        found = _fitted(steps, lr, length)
        if found is not None:
            last = float(group.steps[-1])
            begun = float(group.steps[top])
            whole = found if begun == 0.0 else Stepped(found, first_update=begun)
            made = float(steps[-1]) + 1.0
            due = max(made, (trajectory.planned_steps or 0) - begun)
            stepped = "update" if trajectory.step_unit == "update" else None
            return Course(found, whole, made, due, 0.0, 1.0, stepped, begun, begun, last, "in the log", True)
    return None


def _half_waves(steps: Array, lr: Array, trajectory: Trajectory) -> Iterator[int]:
    """Lengths a half wave may have: from the turning points, and the number of epochs."""
    rising = np.diff(lr) > 0
    turns = np.flatnonzero(rising[1:] != rising[:-1]) + 1
    if len(turns) >= TURNS:
        mean = float(steps[turns[-1]] - steps[turns[0]]) / (len(turns) - 1)
        yield from dict.fromkeys(max(1, round(mean) + off) for off in (0, 1, -1))
    if trajectory.steps_per_epoch:
        for total in (trajectory.planned_steps, trajectory.steps):
            if total and total / trajectory.steps_per_epoch >= 2:
                yield round(total / trajectory.steps_per_epoch)


def _fitted(steps: Array, lr: Array, length: int) -> CosineAnnealingLR | None:
    """The cosine of that length through the points; None where it does not pass through them."""
    shape = 0.5 * (1.0 + np.cos(np.pi * steps / length))
    basis = np.stack([shape, 1.0 - shape], axis=1)
    (peak, floor), *_ = np.linalg.lstsq(basis, lr, rcond=None)
    off = np.abs(basis @ np.array([peak, floor]) - lr)
    if not peak > 0 or peak <= floor or off.max() > MISFIT * peak:
        return None
    return CosineAnnealingLR(float(peak), length, max(float(floor), 0.0))


def _finding(course: Course, cosine: CosineAnnealingLR, trajectory: Trajectory, in_epochs: bool) -> Finding:
    total = max(round(course.due), 1)
    schedule = course.rebuilt(replace(cosine, T_max=total))
    seen = contrast(trajectory, course.whole, schedule)
    waves, turned = course.made / cosine.T_max, course.step_of(cosine.T_max)
    tick = {"epoch": "epoch", "update": "update"}.get(course.stepped or "", "step")
    unit = " T_max counts epochs, and the scheduler is stepped at every update." if in_epochs else ""
    return Finding(
        measured=(
            f"The cosine was built for T_max = {cosine.T_max:g} and stepped {course.made:.0f} times ({course.where}): "
            f"since step {turned:.0f} it climbs, {waves - 1.0:.3g} half waves by now, "
            f"and stands at {course.final_lr:.3g}, {course.final_lr / cosine.lr:.1%} of its peak {cosine.lr:.3g}."
        ),
        expected=(
            f"One half wave over the run has T_max = {total}; it gives {seen.expected:.3g} at step "
            f"{seen.worst_step:.0f}, where {seen.observed:.3g} was used (different from step {seen.first_step:.0f} on)."
        ),
        consequence=f"The annealing is undone by a learning rate that rises again.{unit}",
        first_step=min(turned, course.last_step),
        last_step=course.last_step,
        evidence={
            "T_max": cosine.T_max,
            "scheduler_steps": round(course.made),
            "half_waves": round(waves, 4),
            "planned_scheduler_steps": total,
            "turns_at_step": turned,
            "final_lr": course.final_lr,
            "peak_lr": cosine.lr,
            "t_max_counts_epochs": in_epochs,
            **seen.evidence(),
        },
        remedy=Remedy(
            f"Build the cosine for the {tick}s it will be stepped: T_max = {total}.",
            schedule,
            f"scheduler = {schedule.torch_code()}\n# scheduler.step() after every {tick}, {total} times",
        ),
        severity="error" if course.exact else "warning",
    )


@rule("LR302", suppresses=("LR303", "LR306", "LR502"))
def cosine_configured_too_short(config: Plan, *, overshoot: float = 0.05, climb: float = 0.01) -> Iterator[Finding]:
    total, horizon, peak = config.total.value, config.horizon, config.lr
    if config.family != "CosineAnnealingLR" or total is None or horizon is None or peak is None or not peak.value:
        return
    planned = planned_lrs(config, total)
    if planned is None or total <= (1.0 + overshoot) * horizon.value:
        return
    steps, lrs = planned
    least = float(lrs[steps > 0.5 * horizon.value].min())
    highest = float(lrs[steps > horizon.value].max()) if (steps > horizon.value).any() else least
    if highest - least > climb * peak.value:
        yield config_finding(
            config,
            horizon,
            f"The cosine is over after {horizon.value:,.0f} of {total:,.0f} {config.unit}s, and climbs back to "
            f"{highest:.3g}, {highest / peak.value:.0%} of the peak.",
            "A cosine is meant to end with the run.",
            "The annealing is undone by the rise behind it.",
            f"Set {horizon.key} to {total:,.0f}.",
            evidence={"T_max": horizon.value, "total": total, "climbs_to": highest, "peak_lr": peak.value},
            code=f"T_max: {total:.0f}",
        )
