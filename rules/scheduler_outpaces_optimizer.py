"""The scheduler was stepped several times per optimizer update, so the schedule ran out long before the training.

## What it does
Compares the scheduler's count of steps with the optimizer's count of updates in the checkpoints, and the length of the
schedule in the log with the planned number of updates. It reports a whole number of scheduler steps per update (two or
more) together with a schedule that was built for fewer steps than that makes.

## Why is this bad?
A schedule of S steps that advances q at a time is over after S / q updates. A linear or polynomial decay then stays at
zero, OneCycleLR raises or is held at its end, and a cosine climbs back to its peak. The warmup is q times too short.

## How to fix it
Step the scheduler once per `optimizer.step()`: under gradient accumulation only where the gradients were applied
(`if accelerator.sync_gradients`), and in one place only, by the framework or by hand. Accelerate advances a prepared
scheduler once per process: multiply warmup and horizon by the number of processes, or do not prepare the scheduler.

Not reported: schedules whose length was multiplied too (they end on time), ordinary stepping per update or per epoch,
updates that a gradient scaler skipped, and an optimizer whose count was lost on a resume.

## Options
- `slack`: a schedule this much shorter than what the steps add up to is still on time, as a fraction.

## References
- Accelerate documentation, "Comparing performance between different device setups": the scheduler steps per process
- Lightricks/LTX-Video-Trainer issue 67, huggingface/diffusers issue 3954, Lightning issue 1476
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from lrdoctor import (
    Case,
    Checkpoint,
    CosineAnnealingLR,
    Counts,
    Finding,
    Fit,
    Identification,
    LinearLR,
    Remedy,
    Run,
    Schedule,
    StepLR,
    Stepped,
    Trajectory,
    Warmup,
    counts_of,
    first_apart,
    planned_ticks,
    rule,
    stated_whole,
    steps_per_update,
    stretched,
    synth,
)

Severity = Literal["error", "info"]

SAME = 0.02
"""Lengths this close, as a fraction, are one length: plans are rounded (chosen by us)."""
MIN_UPDATES = 20
"""Counts smaller than this agree by accident (chosen by us)."""

WARM = Warmup(LinearLR(1e-3, total_iters=900), 100)
COSINE = CosineAnnealingLR(0.1, T_max=1000)
ON_FOUR = {"world_size": 4, "warmup_steps": 100}


def _adam(schedule: Schedule, **settings: object) -> synth.RunSpec:
    settings = {"optimizer": "AdamW", "checkpoints": (500, 1000), **settings}
    return synth.run(schedule, **settings)  # type: ignore[arg-type]  # keywords of synth.run


CASES = (
    Case("four processes, each stepping a warmup and a linear decay built for one",
         synth.run(Stepped(WARM, 0.25), steps=1000, declared=ON_FOUR), fires=True),
    Case("stepped at each of two accumulated micro-batches, seen in checkpoints alone",
         _adam(Stepped(COSINE, 0.5), steps=1000, log_lr=False), fires=True),
    Case("stepped by the framework and by hand",
         _adam(Stepped(COSINE, 0.5), steps=1000), fires=True),
    Case("once per update", _adam(WARM, steps=1000, declared=ON_FOUR)),
    Case("four times per update, built four times as long",
         _adam(Stepped(replace(COSINE, T_max=4000), 0.25), steps=1000, declared=ON_FOUR)),
    Case("twice per update, the schedule 9 % short of what that makes",
         _adam(Stepped(replace(COSINE, T_max=1820), 0.5), steps=1000)),
    Case("twice per update, 11 % short",
         _adam(Stepped(replace(COSINE, T_max=1780), 0.5), steps=1000), fires=True),
    Case("once per epoch", _adam(StepLR(0.1, 20), steps=1000, per_epoch=20)),
    Case("a decay over half the training, on purpose",
         synth.run(replace(WARM, main=LinearLR(1e-3, total_iters=400)), steps=1000, declared=ON_FOUR)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pace:
    """`times` scheduler steps per update. The schedule was over (or would be) after `end` of `planned` updates."""

    times: int
    end: float | None
    planned: float | None
    where: str
    due: Schedule | None
    counts: Counts | None = None


@rule("LR102", suppresses=("LR107", "LR301", "LR302", "LR304", "LR306", "LR502"))
def scheduler_outpaces_optimizer(
    run: Run,
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    slack: float = 0.1,
) -> Iterator[Finding]:
    fit = identification.lead.fits[0] if identification.lead else None
    pace = _of_counts(run, trajectory, fit, checkpoints or ()) or _of_log(run, trajectory, fit)
    if pace is None:
        return
    severity = _severity(pace, slack)
    if severity is not None:
        yield _finding(pace, run, trajectory, severity)


def _of_counts(run: Run, trajectory: Trajectory, fit: Fit | None, checkpoints: tuple[Checkpoint, ...]) -> Pace | None:
    """The pace that the counters in the checkpoints tell."""
    counts = counts_of(checkpoints)
    times = steps_per_update(counts)
    if times is None or times < 2 or counts[-1].updates < MIN_UPDATES or not _believable(counts, times, run):
        return None
    last = counts[-1]
    ticks = planned_ticks(last.state)
    logged = fit is not None and fit.stepped != "epoch" and fit.sure
    end = ticks / times if ticks else (fit.horizon_steps if fit is not None and logged else None)
    planned = _planned(trajectory, checkpoints)
    slower = planned / end if planned and end else times
    stated = stated_whole(last.state)
    due = stretched(fit.whole, slower) if fit is not None and logged else stated and stretched(stated, slower / times)
    return Pace(times, end, planned, f"in {last.checkpoint.path}", due, last)


def _believable(counts: tuple[Counts, ...], times: int, run: Run) -> bool:
    """An optimizer that lost its count lags behind as well; and a framework's step may count something else."""
    last = counts[-1]
    if times in _reasons(run):
        return True
    in_step = last.checkpoint.global_step is not None and abs(last.checkpoint.global_step - last.ticks) <= 1.0
    return last.own and (len(counts) > 1 or not in_step)


def _of_log(run: Run, trajectory: Trajectory, fit: Fit | None) -> Pace | None:
    """The pace that the log tells: warmup and decay are all q times shorter than declared."""
    planned = _planned(trajectory, ())
    if fit is None or not fit.exact or fit.stepped != "update" or fit.horizon_steps is None or planned is None:
        return None
    times = round(planned / fit.horizon_steps)
    if times < 2 or not _same(planned / fit.horizon_steps, times):
        return None
    shorter = _warmup_is_shorter(run, fit, times)
    past = trajectory.steps > (1.0 + SAME) * fit.horizon_steps
    declared = run.declared("warmup_steps")
    if shorter or (times in _reasons(run) and past and not declared):
        due = stretched(fit.whole, planned / fit.horizon_steps)
        return Pace(times, fit.horizon_steps, planned, "in the log", due)
    return None


def _warmup_is_shorter(run: Run, fit: Fit, times: int) -> bool:
    declared = run.declared("warmup_steps")
    if fit.warmup is None or not isinstance(declared, int | float) or not declared:
        return False
    return abs(declared / times - fit.warmup.steps) <= max(1.0, SAME * fit.warmup.steps)


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= SAME * abs(other)


def _planned(trajectory: Trajectory, checkpoints: tuple[Checkpoint, ...]) -> float | None:
    """The updates the training was planned for."""
    if trajectory.planned_steps and trajectory.step_unit == "update":
        return float(trajectory.planned_steps)
    return next((float(point.max_steps) for point in checkpoints if point.max_steps), None)


def _reasons(run: Run) -> dict[int, str]:
    """The numbers of steps per update that the settings would explain, and how."""
    known = [run.declared("grad_accum"), run.declared("world_size")]
    accumulated, processes = (int(value) if isinstance(value, int | float) else 1 for value in known)
    reasons = {
        accumulated * processes: f"once on each of {processes} processes, for each of {accumulated} micro-batches",
        processes: f"once on each of the {processes} processes",
        accumulated: f"once for each of the {accumulated} accumulated micro-batches",
    }
    return {times: reason for times, reason in reasons.items() if times > 1}


def _severity(pace: Pace, slack: float) -> Severity | None:
    """An error where the schedule is too short for its pace; a remark where nothing tells its length."""
    if pace.end is not None and pace.planned is not None:
        return "error" if pace.end < (1.0 - slack) * pace.planned else None
    made = pace.counts.updates if pace.counts is not None else 0.0
    if pace.end is not None and _same(made, pace.end):
        return None  # it ended on time
    return "error" if pace.end is not None and made > pace.end else "info"


def _finding(pace: Pace, run: Run, trajectory: Trajectory, severity: Severity) -> Finding:
    reason = _reasons(run).get(pace.times)
    apart = first_apart(trajectory.lead, pace.due) if trajectory.lead is not None and pace.due is not None else None
    return Finding(
        measured=_measured(pace) + (f" ({reason})." if reason else "."),
        expected="One step per update"
        + (f": at step {apart.step:.0f} the learning rate would be {apart.expected:.4g}." if apart else "."),
        consequence=(f"It was {apart.observed:.4g} there. " if apart else "") + _consequence(pace),
        first_step=apart.step if apart else 0.0,
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence={
            "scheduler_steps_per_update": pace.times,
            "scheduler_steps": pace.counts.ticks if pace.counts else None,
            "optimizer_updates": pace.counts.updates if pace.counts else None,
            "schedule_ends_at": pace.end,
            "planned_updates": pace.planned,
            "first_apart_step": apart.step if apart else None,
            "observed_lr": apart.observed if apart else None,
            "expected_lr": apart.expected if apart else None,
            "reason": reason,
        },
        remedy=Remedy(
            "Step the scheduler once per optimizer update, in one place.",
            pace.due,
            "optimizer.step()\n"
            "scheduler.step()  # once per optimizer.step(), and nowhere else\n"
            "# Accelerate, if the scheduler was prepared: warmup and total steps times accelerator.num_processes",
        ),
        severity=severity,
    )


def _measured(pace: Pace) -> str:
    if pace.counts is None:
        return f"The schedule advances {pace.times} steps per update"
    made = f"The scheduler made {pace.counts.ticks:.0f} steps in {pace.counts.updates:.0f} optimizer updates"
    return f"{made} ({pace.where}): {pace.times} per update"


def _consequence(pace: Pace) -> str:
    if pace.end is None:
        return "Nothing states the schedule's length: this is right only if it was built that many times as long."
    if pace.planned is None:
        return f"The schedule was over after {pace.end:.0f} updates, unless it was built that many times as long."
    return f"The schedule is over after {pace.end:.0f} of {pace.planned:.0f} updates."
