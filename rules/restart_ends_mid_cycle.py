"""A run with warm restarts stopped in the middle of a cycle, at a high learning rate.

## What it does
Works out where in its cycle a finished run ended: from the logged learning rate, or from a checkpoint's `T_cur` and
`T_i`. It reports an end in the first 80 % of a cycle with the learning rate above 30 % of its peak.

In a training config: the same of the restarts it asks for.

## Why is this bad?
With warm restarts the model to keep is the one at the end of a cycle, where the learning rate has come down. One cut in
mid cycle has been shaken up by the last restart and not annealed again. With `T_0 = 10` and `T_mult = 2` the cycles end
at 10, 30, 70, 150, 310, 630: a run of 1000 ends at 58 % of the next cycle, at more than a third of its peak.

## How to fix it
Choose `T_0` from the length S of the run: `T_0 = S / n` for n equal cycles, `T_0 = S * (m - 1) / (m ** n - 1)` for n
cycles that grow by a factor of m. Or keep the checkpoint from the end of the last complete cycle.

Not reported: runs that are not finished, an end within a step or two of a restart, and ends in the last fifth of a
cycle. A checkpoint saved at the end of an earlier cycle makes it a note.

## Options
- `position`: part of the cycle from which an end passes.
- `level`: largest final learning rate, as a part of the peak, that passes.

## References
- Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts": models are taken at cycle ends
- PyTorch documentation of CosineAnnealingWarmRestarts; wandb/senpai issues 231 and 453
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

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
    Trajectory,
    Warmup,
    config_finding,
    contrast,
    course_of,
    rule,
    synth,
)

JUST_BEGUN = 0.02
"""An end this early in a cycle, or within a step of its start, is the end of the cycle before (chosen by us)."""
NEAR_ITS_END = 0.95
"""A checkpoint from this part of a cycle on was taken at its end (chosen by us)."""

RESTARTS = CosineAnnealingWarmRestarts(0.1, T_0=300)
GROWING = CosineAnnealingWarmRestarts(0.1, T_0=10, T_mult=2)
LIGHTNING = """
    optimizer: {{class_path: torch.optim.SGD, init_args: {{lr: 0.1}}}}
    lr_scheduler: {{class_path: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts, init_args: {{T_0: {}}}}}
    trainer: {{max_epochs: 100}}
"""
CASES = (
    Case("T_0 of 10, doubling, over 1000 updates", synth.run(GROWING, steps=1000), fires=True),
    Case("a cycle of 300 in 1000 updates, behind a warmup of 50",
         synth.run(Warmup(RESTARTS, 50), steps=1000), fires=True),
    Case("stepped per epoch",
         synth.run(replace(RESTARTS, T_0=8), steps=1000, per_epoch=50), fires=True),
    Case("a checkpoint alone",
         synth.run(GROWING, steps=1000, log_lr=False, checkpoints=(1000,), optimizer="Adam"), fires=True),
    Case("cycles that end with the run", synth.run(replace(RESTARTS, T_0=250), steps=1000)),
    Case("doubling cycles that do", synth.run(GROWING, steps=630)),
    Case("one update into the next cycle", synth.run(GROWING, steps=631)),
    Case("in the last fifth of a cycle", synth.run(RESTARTS, steps=880)),
    Case("a little before", synth.run(RESTARTS, steps=780), fires=True),
    Case("not finished", synth.run(GROWING, steps=1000, complete=False)),
    Case("one cosine", synth.run(CosineAnnealingLR(0.1, T_max=1000), steps=1000)),
    Case("a config with T_0 of 30 in 100 epochs", synth.config(LIGHTNING.format(30)), fires=True,
         cured=synth.config(LIGHTNING.format(25))),
    Case("a config whose cycles fit", synth.config(LIGHTNING.format(50))),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class End:
    """The run ended at tick `current` (1 is the first) of a cycle of `length` ticks, the cycle number `cycle`."""

    current: float
    length: float
    cycle: int

    @property
    def position(self) -> float:
        return self.current / self.length


@rule("LR305", suppresses=("LR306",))
def restart_ends_mid_cycle(
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    position: float = 0.8,
    level: float = 0.3,
) -> Iterator[Finding]:
    course = course_of(trajectory, identification, checkpoints)
    if trajectory.complete is not True or course is None or not isinstance(course.main, CosineAnnealingWarmRestarts):
        return
    restarts, end = course.main, _end(course.main, course.made)
    begun = end.current <= max(1.0, JUST_BEGUN * end.length) and end.cycle > 1
    if not begun and end.position < position and course.final_lr > level * restarts.lr:
        yield _finding(course, restarts, end, trajectory, checkpoints or ())


def _end(restarts: CosineAnnealingWarmRestarts, made: float) -> End:
    current, length = (float(part[0]) for part in restarts.position([made - 1.0]))
    cycle = 1 + round(math.log(length / restarts.T_0, restarts.T_mult)) if restarts.T_mult > 1 else 0
    return End(current + 1.0, length, cycle or 1 + int((made - 1.0) // restarts.T_0))


def _fitting(restarts: CosineAnnealingWarmRestarts, ticks: float) -> CosineAnnealingWarmRestarts:
    """The nearest `T_0` with which a whole number of cycles fills the run."""
    growth = restarts.T_mult

    def first(cycles: int) -> int:
        units = cycles if growth == 1 else (growth**cycles - 1) // (growth - 1)
        return max(1, math.ceil(ticks / units))

    most = max(2, int(ticks) if growth == 1 else int(math.log(ticks * (growth - 1) + 1, growth)))
    best = min((first(cycles) for cycles in range(1, min(most, 200) + 1)), key=lambda cycle: abs(cycle - restarts.T_0))
    return replace(restarts, T_0=best)


def _finding(
    course: Course,
    restarts: CosineAnnealingWarmRestarts,
    end: End,
    trajectory: Trajectory,
    checkpoints: tuple[Checkpoint, ...],
) -> Finding:
    fitting = _fitting(restarts, course.made)
    schedule = course.rebuilt(fitting)
    seen = contrast(trajectory, course.whole, schedule)
    kept = _saved_at_an_end(course, restarts, checkpoints)
    note = f" {kept.path} was saved at the end of an earlier cycle: that is the model to keep." if kept else ""
    return Finding(
        measured=(
            f"The run ended at {end.position:.0%} of cycle {end.cycle} ({end.current:.0f} of {end.length:.0f} steps, "
            f"{course.where}), at {course.final_lr:.3g}, {course.final_lr / restarts.lr:.0%} of the peak."
        ),
        expected=(
            f"With T_0 = {fitting.T_0} a cycle ends with the run: {seen.expected:.3g} at step {seen.worst_step:.0f}, "
            f"where {seen.observed:.3g} was used (different from step {seen.first_step:.0f} on)."
        ),
        consequence=f"The last restart shook the model up and nothing annealed it again.{note}",
        first_step=max(course.step_of(course.made - end.current), course.first_step),
        last_step=course.last_step,
        evidence={
            "cycle": end.cycle,
            "T_cur": end.current,
            "T_i": end.length,
            "position": round(end.position, 4),
            "final_lr": course.final_lr,
            "peak_lr": restarts.lr,
            "proposed_T_0": fitting.T_0,
            "checkpoint_at_a_cycle_end": kept.path if kept else None,
            **seen.evidence(),
        },
        remedy=Remedy(f"T_0 = {fitting.T_0}: a whole number of cycles fills the run.", schedule),
        severity="info" if kept else None,
    )


def _saved_at_an_end(
    course: Course, restarts: CosineAnnealingWarmRestarts, checkpoints: tuple[Checkpoint, ...]
) -> Checkpoint | None:
    """The latest checkpoint that was written when a cycle had come down."""
    for point in reversed(checkpoints):
        if point.global_step and point.global_step > course.step_of(0.0):
            made = (point.global_step - course.begun) / course.per_tick - course.warmup
            if made >= 1.0 and _end(restarts, made).position >= NEAR_ITS_END:
                return point
    return None


@rule("LR305", suppresses=("LR306",))
def restarts_configured_mid_cycle(config: Plan, *, position: float = 0.8, level: float = 0.3) -> Iterator[Finding]:
    total, peak, horizon = config.total.value, config.lr, config.horizon
    if config.family != "CosineAnnealingWarmRestarts" or total is None or peak is None or horizon is None:
        return
    schedule = config.built(total)
    last = float(schedule.lr_at([total - 1.0])[0]) if schedule is not None else 0.0
    begun = total - 1.0 if schedule is None else _cycle_position(config, total, horizon.value)
    if JUST_BEGUN < begun < position and last > level * peak.value:
        yield config_finding(
            config,
            horizon,
            f"The run of {total:,.0f} {config.unit}s ends {begun:.0%} into a cycle, at a learning rate of {last:.3g}, "
            f"{last / peak.value:.0%} of the peak.",
            "With warm restarts a run ends with a cycle.",
            "The last restart shakes the model up and it is not annealed again.",
            f"Choose {horizon.key} so that whole cycles make {total:,.0f} {config.unit}s.",
            evidence={"position": begun, "total": total, "final_lr": last, "peak_lr": peak.value},
        )


def _cycle_position(config: Plan, total: float, first: float) -> float:
    """The part of its cycle that is over at the end of the run."""
    growth = config.fact("T_mult") or 1
    current, length = CosineAnnealingWarmRestarts(1.0, int(first), int(growth)).position([total])
    return float(current[0] / length[0])
