"""A resumed session planned another length than the one before it, and the schedule was stretched to it in mid-run.

## What it does
Looks behind each resume for a learning rate that lies on the schedule from before, on the same clock and with the same
peak, but with another horizon; and for checkpoints of one run that state different lengths of the training.

## Why is this bad?
Schedules that are computed from the planned length (Hugging Face's, any LambdaLR) jump at the resume: up, if the plan
grew, in the middle of a decay; down, if it shrank. Those that keep their length in their state (torch's
CosineAnnealingLR, OneCycleLR) go on to the old end, whatever the new settings say, and climb or fail beyond it.

## How to fix it
Resume with the number of epochs or steps, the batch size and the number of devices the run was planned with. To train
longer, say so: start a new phase, with a schedule of its own that begins at the present learning rate.

Not reported: a new phase after the schedule had ended, one with a schedule or peak of its own, and lengths that differ
by less than the logging of a step.

## Options
- `change`: report only where the horizon changed by at least this fraction.
- `damage`: and where the learning rate is off by at least this fraction of the peak.
- `tolerance`: how far, as a fraction of the peak, the learning rate may lie from the stretched schedule.

## References
- mlfoundations/open_clip issue 413, MIC-DKFZ/nnUNet issue 901, Nerogar/OneTrainer issue 1604
- PyTorch documentation of `LRScheduler.load_state_dict`: the state restores the old arguments
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

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
    OneCycleLR,
    Remedy,
    Schedule,
    Sequence,
    Trajectory,
    Unknown,
    Warmup,
    rule,
    synth,
    with_horizon,
    worst_apart,
)

Array = npt.NDArray[np.float64]

ENDED = 0.98
"""From this share of its horizon on a schedule counts as ended (chosen by us)."""
MIN_POINTS = 6
"""A stretched schedule is told from this many logged points (chosen by us)."""
MOST_POINTS = 60
TIMES = np.geomspace(0.1, 10.0, 401)
"""The horizons that are tried, in those of the schedule before."""


def _later(schedule: Schedule, at: int) -> Unknown:
    """The schedule on the clock of the whole run, from step `at` on."""
    ticks = np.arange(0.0, 601.0)
    return Unknown(tuple(ticks.tolist()), tuple(schedule.lr_at(ticks + at).tolist()))


def _resumed(before: Schedule, after: Schedule, at: int = 250, **settings: object) -> synth.RunSpec:
    settings = {"steps": 600, "resume_at": (at,), "complete": None, **settings}
    return synth.run(Sequence((before, _later(after, at)), (at,)), **settings)  # type: ignore[arg-type]  # run's


COSINE, LINE = CosineAnnealingLR(0.1, T_max=600), Warmup(LinearLR(1e-3, total_iters=560), 40)
CASES = (
    Case("a cosine of 600 becomes one of 1200", _resumed(COSINE, CosineAnnealingLR(0.1, T_max=1200)), fires=True),
    Case("a warmup and linear decay of 1200 become one of 600",
         _resumed(with_horizon(LINE, 1200), LINE), fires=True),
    Case("resumed with the same plan", _resumed(COSINE, COSINE)),
    Case("a cosine from here to the new end",
         _resumed(COSINE, Sequence((COSINE, CosineAnnealingLR(0.063, 350)), (250,)))),
    Case("a new phase after the end", _resumed(CosineAnnealingLR(0.1, T_max=250), Constant(0.02))),
    Case("another peak", _resumed(COSINE, CosineAnnealingLR(0.03, T_max=900))),
    Case("one cycle, resumed", _resumed(OneCycleLR(0.1, 600), OneCycleLR(0.1, 600))),
    Case("a cosine of 600 becomes one of 611", _resumed(COSINE, CosineAnnealingLR(0.1, T_max=611))),
    Case("one of 640", _resumed(COSINE, CosineAnnealingLR(0.1, T_max=640)), fires=True),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `step` on, the first after a resume, the `before` schedule with `horizon` ticks became one with `now`."""

    step: float
    before: Fit
    horizon: float
    now: float


@rule("LR203", suppresses=("LR301", "LR302", "LR303", "LR306"))
def horizon_changed_on_resume(
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    change: float = 0.02,
    damage: float = 0.01,
    tolerance: float = 2e-3,
) -> Iterator[Finding]:
    found = list(_stretches(trajectory, identification, checkpoints or (), change, damage, tolerance))
    for stretch in found:
        yield _finding(stretch, trajectory)
    if not found:
        yield from _other_plans(trajectory, identification, checkpoints or (), change)


# --- in the log -------------------------------------------------------------------------------------------------------


def _stretches(
    trajectory: Trajectory,
    identification: Identification,
    saved: tuple[Checkpoint, ...],
    change: float,
    damage: float,
    tolerance: float,
) -> Iterator[Stretch]:
    lead, group = identification.lead, trajectory.lead
    if lead is None or group is None:
        return
    starts = _resumes(trajectory, saved)
    for start, end in pairwise([*starts, np.inf]):
        before = next((fit for fit in reversed(lead.fits) if fit.first_step < start and fit.last_step < end), None)
        here = (group.steps >= start) & (group.steps < end) & np.isfinite(group.lr)
        if before is None or not before.sure or not before.exact or before.last_step > start + before.steps_per_tick:
            continue
        # A scheduler that is built before the optimizer's state is loaded sets its learning rate at its first step.
        carried = (group.steps < start + before.steps_per_tick) & (
            np.abs(group.lr - before.whole.lr_at(group.steps)) <= tolerance * before.peak_lr
        )
        here &= ~carried
        if np.count_nonzero(here) < MIN_POINTS:
            continue
        steps, lrs = group.steps[here], group.lr[here]
        now = _now(before, steps, lrs, trajectory, tolerance)
        off = float(np.abs(before.whole.lr_at(steps) - lrs).max())
        ended = before.horizon_steps is None or start >= ENDED * before.horizon_steps
        if now is None or ended or off < damage * before.peak_lr:
            continue
        planned = (before.horizon_steps or 0.0) / before.steps_per_tick
        if abs(now / planned - 1.0) >= change:
            yield Stretch(float(steps[0]), before, planned, now)


def _resumes(trajectory: Trajectory, saved: tuple[Checkpoint, ...]) -> list[float]:
    """Where sessions began, as the log or checkpoints tell."""
    logged = [part.first_step for part in trajectory.segments if part.resumed]
    marked = [float(point.global_step) for point in saved if point.global_step and trajectory.step_unit == "update"]
    return sorted({*logged, *_inside(marked, trajectory)})


def _inside(marks: list[float], trajectory: Trajectory) -> list[float]:
    """Those before the last step, at which a session may have begun."""
    return [mark for mark in marks if 0.0 < mark < trajectory.steps - 1]


def _now(before: Fit, steps: Array, lrs: Array, trajectory: Trajectory, tolerance: float) -> float | None:
    """The horizon in ticks with which the schedule from before gives these values; None if none does."""
    horizon = before.horizon_steps
    if horizon is None:
        return None
    thin = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST_POINTS)).round().astype(int))
    planned = horizon / before.steps_per_tick

    def error(ticks: float) -> float:
        stretched = with_horizon(before.whole, max(round(ticks), 2))
        return float(np.abs(stretched.lr_at(steps[thin]) - lrs[thin]).max())

    tried = [float(ticks) for ticks in planned * TIMES if ticks > 2]
    errors = [error(ticks) for ticks in tried]
    best = int(np.argmin(errors))
    low, high = tried[max(best - 1, 0)], tried[min(best + 1, len(tried) - 1)]
    whole = np.unique(np.linspace(low, high, 200).round())
    found = min(whole.tolist(), key=error)
    allowed = tolerance * before.peak_lr + trajectory.lr_quantum
    return float(found) if error(found) <= allowed else None


# --- in the checkpoints -----------------------------------------------------------------------------------------------


def _other_plans(
    trajectory: Trajectory, identification: Identification, saved: tuple[Checkpoint, ...], change: float
) -> Iterator[Finding]:
    """Two checkpoints of one run that state different lengths, under a schedule that has one."""
    lead = identification.lead
    if lead is not None and all(fit.family == "Constant" for fit in lead.fits):
        return
    known = [(point, point.max_steps) for point in saved if point.max_steps and point.schedulers]
    for (earlier, then), (later, now) in pairwise(known):
        running = (earlier.global_step or 0) < ENDED * then
        if abs(now / then - 1.0) >= change and running:
            yield Finding(
                measured=f"{later.path} states a training of {now} steps, {earlier.path} one of {then}.",
                expected=f"A resume keeps the planned length, {then}.",
                consequence="The schedule is computed from the new length, or keeps the old one against the settings.",
                first_step=float(min(earlier.global_step or 0, max(trajectory.steps - 1, 0))),
                last_step=float(max(trajectory.steps - 1, 0)),
                evidence={"planned_steps": then, "planned_steps_after_resume": now, "checkpoint": later.path},
                remedy=_remedy(None),
            )
            return


# --- in words ---------------------------------------------------------------------------------------------------------


def _finding(stretch: Stretch, trajectory: Trajectory) -> Finding:
    group, before = trajectory.lead, stretch.before
    assert group is not None
    at = int(np.searchsorted(group.steps, stretch.step))
    due = before.whole.lr_at(group.steps[at : at + 1])
    worst = worst_apart(group, before.whole)
    unit = "epoch" if trajectory.step_unit == "epoch" else "step"
    return Finding(
        measured=(
            f"From the resume at {unit} {stretch.step:.0f} on the {before.family} runs as if it had "
            f"{stretch.now:.0f} steps, not {stretch.horizon:.0f}."
        ),
        expected=f"At {unit} {group.steps[at]:.0f} the learning rate would go on with {due[0]:.4g};",
        consequence=f"it is {group.lr[at]:.4g}"
        + (
            f", and {worst.observed:.4g} in place of {worst.expected:.4g} at {unit} {worst.step:.0f}." if worst else "."
        ),
        first_step=stretch.step,
        last_step=float(group.steps[-1]),
        evidence={
            "resume_step": stretch.step,
            "horizon_before": stretch.horizon,
            "horizon_after": stretch.now,
            "observed_lr": float(group.lr[at]),
            "expected_lr": float(due[0]),
            "worst_step": worst.step if worst is not None else None,
        },
        remedy=_remedy(before.whole),
    )


def _remedy(schedule: Schedule | None) -> Remedy:
    return Remedy(
        "Resume with the planned length; to train longer, start a new phase with a schedule of its own.",
        schedule,
        "# keep epochs, max_steps, batch size and devices as planned; or, for a new phase:\n"
        'for group in optimizer.param_groups:\n    group["initial_lr"] = group["lr"]\n'
        "scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps_left)",
    )
