"""The warmup and the schedule behind it do not meet: the learning rate jumps where one hands over to the other.

## What it does
Looks at the end of the first rise. It reports an upward jump out of a smooth rise (the warmup was cut off before it had
reached the peak), and a fall by more than a fifth right at its end (the peak was in use for less than 2 % of the
warmup). A SequentialLR in a checkpoint shows the first before it happens: `total_iters` above its milestone.

## Why is this bad?
A jump is what a warmup is there to avoid. SequentialLR leaves the warmup at its milestone wherever it stands:
`LinearLR(total_iters=100)` with `milestones=[50]` jumps from half of the peak to the peak. And a milestone that falls
on the end of the warmup takes the learning rate away in the moment it is reached: the peak is never trained at.

## How to fix it
One number for all three: `LinearLR(total_iters=W)`, `milestones=[W]`, and W steps less for the schedule behind it
(`T_max = S - W`). Count the milestones of a decay from where it starts.

Not reported: a constant factor as warmup (a step by design), rises in steps of an epoch, warm restarts, jumps where a
session was resumed, and small dips where a cosine did not wait for the warmup (timm without `warmup_prefix`).

## Options
- `up`: smallest upward jump, as a factor.
- `down`: largest part of the peak left right after the warmup that is reported.

## References
- PyTorch documentation of SequentialLR
- huggingface/pytorch-image-models issue 1242, deepseek-ai/DeepSpec issue 32, PaddlePaddle/PaddleDetection issue 4611
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
    Finding,
    Fit,
    Identification,
    LinearLR,
    MultiStepLR,
    Remedy,
    Schedule,
    SchedulerState,
    Sequence,
    Stepped,
    Trajectory,
    Unknown,
    Warmup,
    contrast,
    rule,
    synth,
)

Array = npt.NDArray[np.float64]

RAMP_LEVELS = 4
"""Fewer levels are no smooth rise (chosen by us)."""
RAMP_RISE = 1.5
"""Smallest rise of a warmup before the join, as a factor (chosen by us)."""
STEEPER = 3.0
"""A jump is this many times the largest of the increments before it (chosen by us)."""
SETTLED = 0.1
"""Largest change, as a part of the level, from one level to the next after the join (chosen by us)."""
AT_ONCE = 0.02
"""Part of the warmup's length for which the peak must have been in use (chosen by us)."""
AT_PEAK = 0.99
LATER = 2.0 / 3.0
"""Where remedies put a drop that came too early: after this part of what follows the warmup (chosen by us)."""

COSINE = CosineAnnealingLR(0.1, T_max=950)
CUT_OFF = LinearLR(0.1, total_iters=100, start_factor=0.01, end_factor=1.0)
CASES = (
    Case("a warmup of 100 that is left after 50",
         synth.run(Sequence((CUT_OFF, COSINE), (50,)), steps=1000), fires=True),
    Case("a milestone at the end of the warmup",
         synth.run(Warmup(MultiStepLR(0.1, (2,), 0.05), 500, 1e-3), steps=1000), fires=True),
    Case("a warmup of 50 and a cosine of 950", synth.run(Warmup(COSINE, 50, 0.01), steps=1000)),
    Case("a warmup of 60 that is left after 50: a jump by a fifth",
         synth.run(Sequence((replace(CUT_OFF, total_iters=60), COSINE), (50,)), steps=1000)),
    Case("of 75: by half",
         synth.run(Sequence((replace(CUT_OFF, total_iters=75), COSINE), (50,)), steps=1000), fires=True),
    Case("a constant factor for a warmup",
         synth.run(Sequence((Constant(0.033), COSINE), (50,)), steps=1000)),
    Case("a warmup of five epochs in steps of one",
         synth.run(Warmup(CosineAnnealingLR(0.1, T_max=45), 5, 0.01), steps=1000, per_epoch=20)),
    Case("a milestone well after the warmup", synth.run(Warmup(MultiStepLR(0.1, (200,), 0.05), 500), steps=1000)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Join:
    """The learning rate goes from `before` to `after` at `step`, which is the end of the first rise."""

    step: float
    before: float
    after: float
    left: float

    @property
    def ratio(self) -> float:
        return self.after / self.before


@rule("LR307")
def schedule_join_discontinuity(
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    up: float = 1.25,
    down: float = 0.8,
) -> Iterator[Finding]:
    join = _logged_join(trajectory, up, down)
    lead = identification.lead
    if join is not None and lead is not None and not _resumed_at(trajectory, join):
        yield _finding(trajectory, lead.fits, join)
    elif join is None:
        yield from _declared(trajectory, checkpoints or (), up)


def _logged_join(trajectory: Trajectory, up: float, down: float) -> Join | None:
    group = trajectory.lead
    if group is None or trajectory.lr_quantum or trajectory.step_unit not in ("update", "epoch"):
        return None
    good = np.isfinite(group.lr) & (group.lr > 0)
    steps, lr = _levels(group.steps[good], group.lr[good])
    falls = np.flatnonzero(np.diff(lr) < 0)
    top = int(falls[0]) if len(falls) else len(lr) - 1  # the first level that is left downwards
    return _jump_up(steps, lr, top, up) or _drop(trajectory, group.steps[good], group.lr[good], steps, lr, top, down)


def _levels(steps: Array, lr: Array) -> tuple[Array, Array]:
    """The first step of each level: a rise in steps of an epoch is as smooth as any other."""
    new = np.concatenate([[True], np.abs(np.diff(lr)) > 1e-6 * lr[1:]]) if len(lr) else np.zeros(0, dtype=bool)
    return steps[new], lr[new]


def _jump_up(steps: Array, lr: Array, top: int, up: float) -> Join | None:
    """An increment far above the others, after which the learning rate no longer rises so."""
    rise = np.diff(lr[: top + 1])
    if len(rise) < RAMP_LEVELS:
        return None
    at = int(np.argmax(rise))
    earlier = rise[:at]
    if len(earlier) < RAMP_LEVELS - 1 or lr[at] < RAMP_RISE * lr[0] or lr[at + 1] < up * lr[at]:
        return None
    pace = rise / np.diff(steps[: top + 1])
    settled = at + 2 >= len(lr) or abs(lr[at + 2] / lr[at + 1] - 1.0) < SETTLED
    if rise[at] < STEEPER * earlier.max() or pace[at] < STEEPER * pace[:at].max() or not settled:
        return None
    return Join(float(steps[at + 1]), float(lr[at]), float(lr[at + 1]), float(steps[at]))


def _drop(
    trajectory: Trajectory, all_steps: Array, all_lr: Array, steps: Array, lr: Array, top: int, down: float
) -> Join | None:
    """A fall from the top of the rise as soon as it was reached."""
    if top < RAMP_LEVELS or top + 1 >= len(lr) or lr[top] < RAMP_RISE * lr[0] or lr[top + 1] > down * lr[top]:
        return None
    reached = float(steps[np.argmax(lr[: top + 1] >= AT_PEAK * lr[top])])
    last = float(all_steps[np.searchsorted(all_steps, steps[top + 1]) - 1])
    gap = float(steps[top + 1]) - last
    held = last - reached
    whole = np.allclose(all_lr[all_steps >= steps[top + 1]][:RAMP_LEVELS], lr[top + 1], rtol=SETTLED)
    if held > max(AT_ONCE * reached, gap) or not whole or trajectory.step_unit == "epoch":
        return None
    return Join(float(steps[top + 1]), float(lr[top]), float(lr[top + 1]), last)


def _resumed_at(trajectory: Trajectory, join: Join) -> bool:
    return any(part.resumed and join.left < part.first_step <= join.step for part in trajectory.segments)


def _finding(trajectory: Trajectory, fits: tuple[Fit, ...], join: Join) -> Finding:
    schedule = _joined(trajectory, fits, join)
    executed = fits[-1].whole if len(fits) == 1 else None
    seen = contrast(trajectory, executed, schedule)
    rises = join.ratio > 1.0
    return Finding(
        measured=(
            f"At step {join.step:.0f}, where the warmup ends, the learning rate goes from {join.before:.3g} to "
            f"{join.after:.3g} at once, a factor of {join.ratio:.3g}."
        ),
        expected=(
            f"The warmup meets the schedule behind it: {seen.expected:.3g} at step {seen.worst_step:.0f}, where "
            f"{seen.observed:.3g} was used (different from step {seen.first_step:.0f} on)."
        ),
        consequence=(
            "The jump is what the warmup was to avoid: it was left before it had reached the peak."
            if rises
            else "The peak was taken away as soon as it was reached: nothing was trained at it."
        ),
        first_step=join.left,
        last_step=join.step,
        evidence={
            "join_step": join.step,
            "lr_before": join.before,
            "lr_after": join.after,
            "ratio": round(join.ratio, 6),
            **seen.evidence(),
        },
        remedy=Remedy(
            "Let the warmup end at the peak where the schedule behind it starts."
            if rises
            else "Count the decay's milestones from the end of the warmup, and keep the peak for a while.",
            schedule,
        ),
    )


def _joined(trajectory: Trajectory, fits: tuple[Fit, ...], join: Join) -> Schedule:
    group = trajectory.lead
    assert group is not None
    start, left = float(group.lr[0]), max(trajectory.steps - join.step, 1.0)
    if join.ratio < 1.0:
        rest: Schedule = MultiStepLR(join.before, (max(1, round(LATER * left)),), join.ratio)
        return Warmup(rest, join.step, min(start / join.before, 1.0))
    after = (group.steps >= join.step) & np.isfinite(group.lr)
    index = np.unique(np.linspace(0, after.sum() - 1, 1000).round().astype(int))
    tail: Schedule = Unknown(
        tuple((group.steps[after][index] - join.step).tolist()), tuple(group.lr[after][index].tolist())
    )
    known = fits[-1]
    if len(fits) > 1 and known.family != "Unknown" and abs(known.first_step - join.step) <= 1.0:
        tail = Stepped(known.whole, first_update=-join.step)
    return Warmup(tail, join.step, start / join.after)


def _declared(trajectory: Trajectory, checkpoints: tuple[Checkpoint, ...], up: float) -> Iterator[Finding]:
    """A SequentialLR that will leave its warmup, or has left it, below the peak."""
    for point in reversed(checkpoints):
        cut = _cut_off(point.scheduler)
        if cut is not None and cut[2] * up <= 1.0:
            yield _declared_finding(trajectory, point, *cut)
            return


def _cut_off(state: SchedulerState | None) -> tuple[float, float, float] | None:
    """(milestone, total_iters, factor there) of a LinearLR in front; None where there is none or it is complete."""
    marks = state.params.get("milestones") if state is not None else None
    if state is None or state.family != "SequentialLR" or not isinstance(marks, tuple) or not state.children:
        return None
    ramp = state.children[0]
    known = [ramp.params.get(name) for name in ("start_factor", "end_factor", "total_iters")]
    if ramp.family != "LinearLR" or not marks or not all(isinstance(value, int | float) for value in known):
        return None
    start, end, total = (float(str(value)) for value in known)
    factor = start + (end - start) * min(marks[0] / total, 1.0) if total > 0 else end
    return (marks[0], total, factor) if marks[0] < total and 0.0 < factor < end == 1.0 else None


def _declared_finding(
    trajectory: Trajectory, point: Checkpoint, milestone: float, total: float, factor: float
) -> Finding:
    base = max(point.scheduler.children[0].base_lrs, default=1.0) if point.scheduler is not None else 1.0
    return Finding(
        measured=(
            f"{point.path}: SequentialLR leaves its LinearLR at milestone {milestone:.0f}, which is built for "
            f"total_iters = {total:.0f} and stands at {factor:.1%} of the peak there."
        ),
        expected=f"total_iters = milestone: the warmup ends at {base:.3g}, where the next schedule starts.",
        consequence=f"The learning rate jumps by a factor of {1.0 / factor:.3g} from one step to the next.",
        first_step=milestone,
        last_step=max(milestone, float(max(trajectory.steps - 1, 0))),
        evidence={
            "milestone": milestone,
            "total_iters": total,
            "observed_lr": factor * base,
            "expected_lr": base,
            "ratio": round(1.0 / factor, 6),
        },
        remedy=Remedy(
            f"LinearLR(total_iters={milestone:.0f}) in front of milestones=[{milestone:.0f}].",
            None,
            f"warmup = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters={milestone:.0f})",
        ),
    )
