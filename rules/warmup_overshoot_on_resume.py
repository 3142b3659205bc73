"""After a resume the warmup ran again on a learning rate that was warm already, and carried it above its peak.

## What it does
Looks behind each resume for a learning rate that goes on from its value and then climbs in a straight line above the
highest one before; and in the checkpoints of a LinearLR warmup for a learning rate above the one it warms up to.

## Why is this bad?
torch's LinearLR multiplies the learning rate it finds by a little at every step, 1 / start_factor in all. Built anew on
resume, with the optimizer's warm learning rate loaded after it, it ends at 1 / start_factor times the peak: ten times
too high with a start factor of 0.1, a hundred times with 0.01. Most trainings diverge there.

## How to fix it
Save the scheduler's state and load it too. Where there is none: build optimizer and scheduler, call `scheduler.step()`
as often as it had been called, and load the optimizer's state last. Setting the learning rate by hand does not help:
the warmup's factor is applied again.

Not reported: a second stage whose higher learning rate the settings name, a jump (no climb) to another level, a resume
within the first warmup, and schedules that rise by design (OneCycleLR, CyclicLR).

## Options
- `excess`: how far above the earlier peak the learning rate must go, as a fraction.
- `straight`: how far the climb may be from a line, as a fraction of its height.

## References
- pytorch/pytorch issues 156846 and 162591, vllm-project/speculators issue 1049
- PyTorch documentation of LinearLR and SequentialLR
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lrdoctor import (
    Apart,
    Case,
    Checkpoint,
    Constant,
    CosineAnnealingLR,
    Finding,
    Fit,
    Identification,
    LinearLR,
    OneCycleLR,
    Remedy,
    Run,
    Schedule,
    SchedulerState,
    Sequence,
    Trajectory,
    Warmup,
    rule,
    synth,
    worst_apart,
)

Array = npt.NDArray[np.float64]

MIN_POINTS = 4
"""A climb is told from this many logged points (chosen by us)."""
GOES_ON = 0.05
"""A resume that changes the learning rate by less than this fraction goes on from its value (chosen by us)."""
AS_STEEP = 0.1
"""The climb is the first warmup's if both are as steep, to this fraction (chosen by us)."""
FALLS_BACK = 0.8
"""A climb that ends in a drop below this fraction is one of a scheduler that took over at its milestone."""

WARM = Warmup(CosineAnnealingLR(0.1, T_max=260), 40, 0.1)
AT, HELD = 120, float(WARM.lr_at([120.0])[0])
AGAIN = Sequence((WARM, LinearLR(HELD, 40, 1.0, 10.0), CosineAnnealingLR(0.1, T_max=260)), (AT, AT + 40))


def _run(schedule: Schedule, **settings: object) -> synth.RunSpec:
    return synth.run(schedule, **{"steps": 300, "resume_at": (AT,), **settings})  # type: ignore[arg-type]  # run's


CASES = (
    Case("a warmup from a tenth, run again at 0.08", _run(AGAIN), fires=True),
    Case("the same, stopped within the climb", _run(AGAIN, steps=150, complete=None), fires=True),
    Case("resumed with everything", _run(WARM, checkpoints=(AT, 300))),
    Case("resumed within the warmup", _run(WARM, resume_at=(20,))),
    Case("one cycle, resumed on its rise", _run(OneCycleLR(0.1, total_steps=300), resume_at=(50,))),
    Case("a higher level, on purpose", _run(Sequence((WARM, Constant(0.2)), (AT,)))),
    Case("a second stage with a warmup to its own peak, as the settings say",
         _run(Sequence((WARM, LinearLR(HELD, 40, 1.0, 3.0)), (AT,)), steps=161, declared={"lr": round(3 * HELD, 4)})),
    Case("a climb to 4 % above the peak",
         _run(Sequence((WARM, LinearLR(HELD, 40, 1.0, 0.104 / HELD)), (AT,)), steps=161)),
    Case("to 6 %",
         _run(Sequence((WARM, LinearLR(HELD, 40, 1.0, 0.106 / HELD)), (AT,)), steps=161), fires=True),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Climb:
    """From `lr` at step `start` to `top` at step `end`, above the `peak` before; `sure` where it is a warmup again.

    `held` is the last learning rate before the resume.
    """

    start: float
    end: float
    lr: float
    top: float
    peak: float
    held: float
    sure: bool = False


@rule("LR204", suppresses=("LR201", "LR303", "LR304", "LR306", "LR307", "LR402", "LR502"))
def warmup_overshoot_on_resume(
    run: Run,
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    excess: float = 0.05,
    straight: float = 0.02,
) -> Iterator[Finding]:
    above = [point for point in checkpoints or () if _above_its_peak(point, excess)]
    due = _due(identification, trajectory)
    found = False
    for climb in _climbs(trajectory, due, excess, straight):
        if not _declared(run, climb.top):
            found = True
            yield _finding(climb, trajectory, due, sure=climb.sure or bool(above))
    if above and not found:
        yield _finding_of_checkpoint(above[0], trajectory)


# --- in the log -------------------------------------------------------------------------------------------------------


def _climbs(trajectory: Trajectory, due: Fit | None, excess: float, straight: float) -> Iterator[Climb]:
    group = trajectory.lead
    if group is None or not np.isfinite(group.lr).all():
        return
    starts = [part.first_step for part in trajectory.segments if part.resumed]
    for start, end in pairwise([*starts, np.inf]):
        earlier, here = group.steps < start, (group.steps >= start) & (group.steps < end)
        before = group.lr[earlier]
        if _warm(before) and np.count_nonzero(here) >= MIN_POINTS:
            gap = float(group.steps[here][0] - group.steps[earlier][-1])
            climb = _climb(before, gap, group.steps[here], group.lr[here], excess, straight)
            if climb is not None:
                yield _confirmed(climb, group.lr[here], due)


def _warm(before: Array) -> bool:
    """Whether the first warmup was over: the learning rate had stood at its peak, or left it."""
    if len(before) < MIN_POINTS:
        return False
    peak = float(before.max())
    left = before[-1] < peak * (1.0 - 1e-6)
    stood = np.count_nonzero(before >= peak * (1.0 - 1e-6)) >= MIN_POINTS
    return bool(before[-1] > 0 and before[0] < peak * (1.0 - GOES_ON) and (left or stood))


def _climb(before: Array, gap: float, steps: Array, lrs: Array, excess: float, straight: float) -> Climb | None:
    """The straight rise from the learning rate of the resume to above the peak before it.

    `gap` steps lie between the last point before and the first after, in which it may have begun to rise.
    """
    top, peak = int(np.argmax(lrs)), float(before.max())
    slope = float((lrs[1] - lrs[0]) / (steps[1] - steps[0]))
    low, high = (1.0 - GOES_ON) * before[-1], before[-1] + max(GOES_ON * peak, 1.5 * slope * gap)
    if top + 1 < MIN_POINTS or not low <= lrs[0] <= high or lrs[top] <= (1.0 + excess) * peak:
        return None
    line = np.interp(steps[: top + 1], steps[[0, top]], lrs[[0, top]])
    if np.abs(lrs[: top + 1] - line).max() > straight * (lrs[top] - lrs[0]):
        return None
    return Climb(float(steps[0]), float(steps[top]), float(lrs[0]), float(lrs[top]), peak, float(before[-1]))


def _confirmed(climb: Climb, lrs: Array, due: Fit | None) -> Climb:
    """Sure where it climbs as steeply as the first warmup did, or drops back as at the milestone after a warmup."""
    top = int(np.argmax(lrs))
    drops = top + 1 < len(lrs) and lrs[top + 1] < FALLS_BACK * lrs[top]
    warmup = due.warmup if due is not None else None
    if due is None or warmup is None or warmup.start_factor <= 0:
        return replace(climb, sure=drops)
    times = (1.0 - warmup.start_factor) / warmup.start_factor
    steep = climb.held * times / (warmup.steps * due.steps_per_tick)
    slope = (climb.top - climb.lr) / (climb.end - climb.start)
    return replace(climb, sure=drops or abs(slope - steep) <= AS_STEEP * steep)


def _declared(run: Run, top: float) -> bool:
    """Whether the settings name the height that was reached."""
    named = (hint.value for hint in run.hints if hint.name == "lr")
    return any(isinstance(lr, int | float) and abs(top - lr) <= GOES_ON * lr for lr in named)


def _due(identification: Identification, trajectory: Trajectory) -> Fit | None:
    """What was in force before the first resume."""
    starts = [part.first_step for part in trajectory.segments if part.resumed]
    first = identification.lead.fits[0] if identification.lead is not None else None
    return first if first is not None and first.sure and starts and first.last_step < starts[-1] else None


# --- in the checkpoints -----------------------------------------------------------------------------------------------


def _above_its_peak(point: Checkpoint, excess: float) -> bool:
    """Whether an optimizer under a LinearLR warmup is above the learning rate it warms up to."""
    state = point.scheduler
    if state is None or point.optimizer is None or len(point.schedulers) > 1 or not _warms_up(state):
        return False
    for group in point.optimizer.param_groups:
        now, initial = group.get("lr"), group.get("initial_lr")
        if isinstance(now, float) and isinstance(initial, float) and now > (1.0 + excess) * initial > 0:
            return True
    return False


def _warms_up(state: SchedulerState) -> bool:
    """A LinearLR from below to the learning rate, alone or among others none of which raises it further."""
    parts = state.children or (state,)
    raises = any(_value(part, "gamma") > 1.0 or _value(part, "end_factor") > 1.0 for part in parts)
    odd = any(part.family in ("OneCycleLR", "CyclicLR", "LambdaLR", None) for part in parts)
    ramps = any(part.family == "LinearLR" and 0.0 < _value(part, "start_factor") < 1.0 for part in parts)
    return ramps and not raises and not odd


def _value(state: SchedulerState, name: str) -> float:
    value = state.params.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


# --- in words ---------------------------------------------------------------------------------------------------------


def _finding(climb: Climb, trajectory: Trajectory, due: Fit | None, *, sure: bool) -> Finding:
    group, planned = trajectory.lead, due.whole if due is not None else None
    worst: Apart | None = worst_apart(group, planned) if group is not None and planned is not None else None
    expected = worst.expected if worst is not None and worst.step == climb.end else climb.peak
    doubt = "" if sure else " Unless a second stage was meant to go that high."
    return Finding(
        measured=(
            f"From the resume at step {climb.start:.0f} on the learning rate climbs from {climb.lr:.4g} to "
            f"{climb.top:.4g} at step {climb.end:.0f}, {climb.top / climb.peak:.3g} times the peak before it."
        ),
        expected=f"Continued, it would have been {expected:.4g} there and never above {climb.peak:.4g}.",
        consequence=f"The warmup was applied again, to a learning rate that was warm already.{doubt}",
        first_step=climb.start,
        last_step=climb.end,
        evidence={
            "resume_step": climb.start,
            "lr_at_resume": climb.lr,
            "top_step": climb.end,
            "observed_lr": climb.top,
            "expected_lr": expected,
            "peak_before": climb.peak,
            "times_peak": climb.top / climb.peak,
            "times_lr_at_resume": climb.top / climb.lr,
        },
        remedy=Remedy(_CURE, planned if planned is not None else Constant(climb.lr), _CODE),
        severity=None if sure else "warning",
    )


def _finding_of_checkpoint(point: Checkpoint, trajectory: Trajectory) -> Finding:
    assert point.optimizer is not None
    groups = [(group.get("lr"), group.get("initial_lr")) for group in point.optimizer.param_groups]
    known = [(lr, peak) for lr, peak in groups if isinstance(lr, float) and isinstance(peak, float) and peak > 0]
    now, initial = max(known, key=lambda pair: pair[0] / pair[1])
    step = float(point.global_step or 0)
    return Finding(
        measured=f"{point.path}: the learning rate is {now:.4g}, {now / initial:.3g} times its initial {initial:.4g}.",
        expected=f"A LinearLR warmup never takes it above {initial:.4g}.",
        consequence="The warmup was applied again, to a learning rate that was warm already.",
        first_step=min(step, float(max(trajectory.steps - 1, 0))) if trajectory.steps else step,
        last_step=max(step, float(max(trajectory.steps - 1, 0))),
        evidence={"observed_lr": now, "expected_lr": initial, "times_peak": now / initial, "checkpoint": point.path},
        remedy=Remedy(_CURE, None, _CODE),
    )


_CURE = "Load the scheduler's state with the optimizer's; here the schedule as it was before the resume."
_CODE = (
    "optimizer, scheduler = build()\n"
    'optimizer.load_state_dict(state["optimizer"])\n'
    'scheduler.load_state_dict(state["scheduler"])\n'
    "# without a saved scheduler:\n"
    "for _ in range(steps_done):\n"
    "    scheduler.step()\n"
    'optimizer.load_state_dict(state["optimizer"])  # last'
)
