"""The run is over and its learning rate is still high.

## What it does
Compares the last learning rate of a finished run with its peak, where a schedule moved it. Above a tenth it is a note,
from a half on a warning.

## Why is this bad?
The noise of the updates is proportional to the learning rate, and the loss falls as it is taken away: much of a
schedule's gain comes from its low end. Decaying to zero usually beats decaying to a tenth, by more the longer the run.

## How to fix it
Lower the floor (`eta_min`, `end_factor`) to at most a tenth of the peak, or to zero, or add a linear decay to zero over
the last tenth of the run. A trunk that others are branched from is better kept constant, with a cooldown per branch.

Not reported: runs that are not known to be finished, a constant learning rate (constant-lr), floors of up to a tenth as
language models use them, warm restarts and cycles, inverse square root decay, ReduceLROnPlateau, reinforcement
learning, and weight averaging with SWALR. Faults that explain it are reported in its place.

## Options
- `note`: final part of the peak above which it is noted.
- `warn`: final part of the peak from which it is a warning.

## References
- Defazio et al. 2023, "When, why and how much? Adaptive learning rate scheduling by refinement"
- Bergsma et al. 2025, "Straight to zero: why linearly decaying the learning rate to zero works best for LLMs"
- huggingface/accelerate issue 1160, huggingface/diffusers issue 4387
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

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
    MultiStepLR,
    PolynomialLR,
    Remedy,
    Schedule,
    StepLR,
    Trajectory,
    Warmup,
    contrast,
    course_of,
    rule,
    synth,
)

DECAYS = (CosineAnnealingLR, LinearLR, PolynomialLR, ExponentialLR, StepLR, MultiStepLR)
ROUNDING = 0.05
"""A floor of a tenth is one, whatever the last logged step lacks of it (chosen by us)."""
MIN_STEPS = 100
"""Shorter runs are trials (chosen by us)."""
AVERAGING = ("SWALR", "ReduceLROnPlateau", "CyclicLR")
"""Schedulers that end high on purpose."""

LINE = LinearLR(0.1, total_iters=1000)
CASES = (
    Case("a line to a half", synth.run(replace(LINE, end_factor=0.5), steps=1000), fires=True),
    Case("a cosine to a fifth, behind a warmup",
         synth.run(Warmup(CosineAnnealingLR(0.1, T_max=950, eta_min=0.02), 50), steps=1000), fires=True),
    Case("a gentle exponential decay", synth.run(ExponentialLR(0.1, 0.999), steps=1000), fires=True),
    Case("drops that are too few", synth.run(StepLR(0.1, 400, 0.5), steps=1000), fires=True),
    Case("a line to a tenth", synth.run(replace(LINE, end_factor=0.1), steps=1000)),
    Case("a line to a ninth", synth.run(replace(LINE, end_factor=0.111), steps=1000), fires=True),
    Case("a cosine to zero", synth.run(CosineAnnealingLR(0.1, T_max=1000), steps=1000)),
    Case("constant", synth.run(Constant(0.1), steps=1000)),
    Case("not finished", synth.run(replace(LINE, total_iters=2000), steps=1000, complete=False)),
)  # fmt: skip


@rule("LR306")
def lr_ends_too_high(
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    note: float = 0.1,
    warn: float = 0.5,
) -> Iterator[Finding]:
    course = course_of(trajectory, identification, checkpoints)
    if trajectory.complete is not True or course is None or not isinstance(course.main, DECAYS):
        return
    if trajectory.step_unit == "env-step" or trajectory.steps < MIN_STEPS or _on_purpose(course, checkpoints or ()):
        return
    peak = max(course.main.peak_lr, trajectory.peak_lr) if trajectory.groups else course.main.peak_lr
    share = _after(course) / peak if peak > 0 else 0.0
    if note * (1.0 + ROUNDING) < share < 1.0 and not _rises(course):
        yield _finding(course, trajectory, peak, share, share >= warn)


def _on_purpose(course: Course, checkpoints: tuple[Checkpoint, ...]) -> bool:
    """Averaging and plateaus end high; a few drops may be a plateau's, unless a checkpoint says whose they are."""
    families = {state.family for point in checkpoints for top in point.schedulers for state in (top, *top.children)}
    if families & set(AVERAGING):
        return True
    return isinstance(course.main, MultiStepLR) and "MultiStepLR" not in families


def _after(course: Course) -> float:
    """The learning rate one step of the scheduler after the last one used: there a line reaches its end."""
    return min(course.final_lr, float(course.whole.lr_at([course.last_step + course.per_tick])[0]))


def _rises(course: Course) -> bool:
    """Whether the learning rate rather rises: then its peak is no peak yet."""
    first, last = course.whole.lr_at([course.first_step, course.last_step])
    return bool(last >= first) and not isinstance(course.main, CosineAnnealingLR)


def _finding(course: Course, trajectory: Trajectory, peak: float, share: float, high: bool) -> Finding:
    main = _to_zero(course)
    schedule = course.rebuilt(main)
    seen = contrast(trajectory, course.whole, schedule)
    return Finding(
        measured=(
            f"The finished run ends at {course.final_lr:.3g} ({course.where}), {share:.0%} of its peak {peak:.3g}."
        ),
        expected=(
            f"Decayed to zero it is {seen.expected:.3g} at step {seen.worst_step:.0f}, where {seen.observed:.3g} was "
            f"used (different from step {seen.first_step:.0f} on)."
        ),
        consequence="What the low end of a schedule gains was left out.",
        first_step=seen.first_step,
        last_step=course.last_step,
        evidence={
            "final_lr": course.final_lr,
            "peak_lr": peak,
            "final_fraction": round(share, 6),
            "family": course.main.family,
            **seen.evidence(),
        },
        remedy=Remedy("Let the schedule go down to zero with the run.", schedule),
        severity="warning" if high else "info",
    )


def _to_zero(course: Course) -> Schedule:
    """The same kind of decay, down to (nearly) nothing over the steps made."""
    main, total = course.main, max(1, round(course.made))
    if isinstance(main, CosineAnnealingLR):
        return replace(main, T_max=total, eta_min=0.0)
    if isinstance(main, ExponentialLR):
        return replace(main, gamma=0.01 ** (1.0 / total))
    return LinearLR(main.peak_lr, total)
