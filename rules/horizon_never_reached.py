"""The schedule was built for more steps than the run made, so it never came to its end.

## What it does
Compares the length the schedule was built for with the number of steps it made in a run that is known to be finished.
It reports a schedule at least a quarter too long that ends above a fifth of its peak. The length is read from the bend
of the logged learning rate (a cosine, one cycle, a polynomial), or from a checkpoint.

In a training config: a schedule whose own length exceeds the run's by as much, with the learning rate the run will end
at. Where it ends below `final` all the same, the finding is a note.

## Why is this bad?
The lowest part of a schedule is where much of the loss is gained, and it was never reached. A cosine one quarter longer
than the run is measurably worse than one that fits. A cosine built for updates and stepped once an epoch hardly moves:
over 100 epochs of 400 updates it falls by two thousandths of a percent, and the run trains at the peak throughout.

## How to fix it
Set the length to the steps that will be made: updates where the scheduler is stepped per update (after accumulation and
sharding), epochs where it is stepped per epoch. A run that has to stop early gets a short linear decay to zero at its
end instead, a tenth to a fifth of its length.

Not reported: runs that were stopped before their planned end or of which no plan is known, straight lines whose planned
end no checkpoint states (a line to a tenth looks like one to zero cut short), and schedules without an end.

## Options
- `overshoot`: accepted excess of the built length over the steps made, as a fraction.
- `final`: largest final learning rate, as a fraction of the peak, that passes for annealed.

## References
- Hoffmann et al. 2022, "Training compute-optimal large language models", appendix B: the length of the cosine
- Hägele et al. 2024, "Scaling laws and compute-optimal training beyond fixed training durations": cooldowns
- sthalles/SimCLR issues 8 and 43, huggingface/accelerate issue 1160
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lrdoctor import (
    Case,
    Checkpoint,
    CosineAnnealingLR,
    Course,
    Finding,
    Identification,
    LinearLR,
    OneCycleLR,
    Plan,
    PolynomialLR,
    Remedy,
    Trajectory,
    Warmup,
    config_finding,
    contrast,
    course_of,
    planned_lrs,
    rule,
    synth,
    with_horizon,
)

WITH_AN_END = (CosineAnnealingLR, OneCycleLR, LinearLR, PolynomialLR)
SAME_LENGTH = 0.02
"""How far a length may be from the number of updates and still count them (chosen by us)."""
MIN_TICKS = 5
"""Fewer steps of the scheduler give no length (chosen by us)."""

COSINE = CosineAnnealingLR(0.1, T_max=2000)
FAIRSEQ = """
    optimization: {{max_update: 25000, lr: [2e-5]}}
    optimizer: {{_name: adam}}
    lr_scheduler: {{_name: tri_stage, warmup_steps: 8000, hold_steps: 0, decay_steps: {}, final_lr_scale: 0.05}}
"""
LIGHTNING = """
    optimizer: {{class_path: torch.optim.SGD, init_args: {{lr: 0.1}}}}
    lr_scheduler: {{class_path: torch.optim.lr_scheduler.CosineAnnealingLR, init_args: {{T_max: {}}}}}
    trainer: {{max_epochs: 100}}
"""
CASES = (
    Case("a cosine of 2000 over 1000 updates", synth.run(COSINE, steps=1000), fires=True),
    Case("behind a warmup", synth.run(Warmup(COSINE, 50), steps=1000), fires=True),
    Case("built for updates, stepped per epoch",
         synth.run(replace(COSINE, T_max=1000), steps=1000, per_epoch=50), fires=True),
    Case("a line whose length a checkpoint states",
         synth.run(LinearLR(0.1, total_iters=2000), steps=1000, checkpoints=(1000,), optimizer="Adam"), fires=True),
    Case("a checkpoint alone",
         synth.run(COSINE, steps=1000, log_lr=False, checkpoints=(1000,), optimizer="Adam"), fires=True),
    Case("one cycle twice as long", synth.run(OneCycleLR(0.1, total_steps=2000), steps=1000), fires=True),
    Case("the length of the run", synth.run(replace(COSINE, T_max=1000), steps=1000)),
    Case("a fifth too long", synth.run(replace(COSINE, T_max=1200), steps=1000)),
    Case("two fifths too long", synth.run(replace(COSINE, T_max=1400), steps=1000)),
    Case("two thirds too long", synth.run(replace(COSINE, T_max=1667), steps=1000), fires=True),
    Case("stopped at half of the planned length", synth.run(COSINE, steps=1000, complete=False)),
    Case("nothing says how long it was to be", synth.run(COSINE, steps=1000, complete=None)),
    Case("a line to a third", synth.run(LinearLR(0.1, total_iters=1000, end_factor=1 / 3), steps=1000)),
    Case("a steep polynomial, far down", synth.run(PolynomialLR(0.1, total_iters=1400, power=3.0), steps=1000)),
    Case("a config with 80000 updates of schedule and 25000 of training", synth.config(FAIRSEQ.format(72000)),
         fires=True, cured=synth.config(FAIRSEQ.format(17000))),
    Case("a config whose schedule is a quarter too long", synth.config(FAIRSEQ.format(23250))),
    Case("a config whose cosine is 200 epochs long in 100", synth.config(LIGHTNING.format(200)), fires=True,
         cured=synth.config(LIGHTNING.format(100))),
)  # fmt: skip


@rule("LR303", suppresses=("LR306", "LR308", "LR502"))
def horizon_never_reached(
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    overshoot: float = 0.25,
    final: float = 0.2,
) -> Iterator[Finding]:
    course = course_of(trajectory, identification, checkpoints)
    if trajectory.complete is not True or course is None or course.horizon is None or course.made < MIN_TICKS:
        return
    if not isinstance(course.main, WITH_AN_END):
        return
    peak = course.main.peak_lr
    long = course.horizon >= (1.0 + overshoot) * course.made
    if long and course.final_lr > final * peak and _length_is_known(course, identification, checkpoints or ()):
        yield _finding(course, course.horizon, trajectory)


def _length_is_known(course: Course, identification: Identification, checkpoints: tuple[Checkpoint, ...]) -> bool:
    """Whether the length was seen: a line, and the foot of one cycle, have no bend that shows it."""
    lead = identification.lead
    assumed = lead is not None and any("pct_start" in part for part in lead.fit.assumed)
    if not isinstance(course.main, LinearLR) and not assumed:
        return True
    states = [state for point in checkpoints for top in point.schedulers for state in (top, *top.children)]
    return any(state.family == course.main.family and course.horizon in _lengths(state.params) for state in states)


def _lengths(params: object) -> tuple[object, ...]:
    return tuple(params.get(name) for name in ("total_iters", "total_steps")) if isinstance(params, dict) else ()


def _finding(course: Course, horizon: float, trajectory: Trajectory) -> Finding:
    main, total = course.main, max(round(course.made), 1)
    schedule = course.rebuilt(with_horizon(main, total))
    seen = contrast(trajectory, course.whole, schedule)
    in_updates = _counts_updates(course, horizon, trajectory)
    unit = " It was built for updates and is stepped once an epoch." if in_updates else ""
    return Finding(
        measured=(
            f"The {main.family} was built for {horizon:.0f} steps and made {total} of them ({course.where}), "
            f"{total / horizon:.1%}; the finished run ends at {course.final_lr:.3g}, "
            f"{course.final_lr / main.peak_lr:.0%} of the peak {main.peak_lr:.3g}."
        ),
        expected=(
            f"Built for {total}, it gives {seen.expected:.3g} at step {seen.worst_step:.0f}, where "
            f"{seen.observed:.3g} was used (different from step {seen.first_step:.0f} on)."
        ),
        consequence=f"The low end of the schedule, where much of the loss is gained, was never reached.{unit}",
        first_step=seen.first_step,
        last_step=course.last_step,
        evidence={
            "built_for_steps": horizon,
            "steps_made": total,
            "visited_fraction": round(total / horizon, 6),
            "final_lr": course.final_lr,
            "peak_lr": main.peak_lr,
            "length_counts_updates": in_updates,
            **seen.evidence(),
        },
        remedy=Remedy(
            f"Build the schedule for the {total} steps the scheduler makes.",
            schedule,
            f"scheduler = {schedule.torch_code()}\n"
            + ("# scheduler.step() once an epoch" if course.stepped == "epoch" else "# scheduler.step() every update"),
        ),
        severity="error" if in_updates and course.exact else "warning",
    )


def _counts_updates(course: Course, horizon: float, trajectory: Trajectory) -> bool:
    """Whether the length is that of the run in updates, while the scheduler is stepped once an epoch."""
    if course.stepped != "epoch" or course.per_tick < 2:
        return False
    updates = course.made * course.per_tick if trajectory.step_unit != "epoch" else float("nan")
    return abs(horizon - updates) <= SAME_LENGTH * updates


@rule("LR303", suppresses=("LR306", "LR308"))
def horizon_configured_too_long(config: Plan, *, overshoot: float = 0.25, final: float = 0.2) -> Iterator[Finding]:
    total, horizon, peak = config.total.value, config.horizon, config.lr
    if total is None or horizon is None or peak is None or not peak.value:
        return
    if horizon.value <= (1.0 + overshoot) * total:
        return
    planned = planned_lrs(config, total)
    end = float(planned[1][-1]) if planned is not None else None
    annealed = end is not None and end <= final * peak.value
    left = f", at a learning rate of {end:.3g}, {end / peak.value:.0%} of the peak" if end is not None else ""
    yield config_finding(
        config,
        horizon,
        f"The schedule is {horizon.value:,.0f} {config.unit}s long and the run stops after {total:,.0f}{left}.",
        "A decay is meant to come to its end with the run.",
        "The lowest part of the schedule, where much of the loss is gained, is never reached.",
        f"Set {horizon.key} so that the schedule ends at {total:,.0f} {config.unit}s.",
        evidence={"horizon": horizon.value, "total": total, "final_lr": end, "peak_lr": peak.value},
        severity="info" if annealed else None,
    )
