"""A scheduler was set up, but the learning rate never moved.

## What it does
Looks for a scheduler that was never stepped: its count in a checkpoint is still 0 after two epochs of updates, or it
stands still between two checkpoints. Without a checkpoint it compares a learning rate that stayed constant with the
settings, where they name a schedule that must move.

In a training config: a schedule that is meant to decay and, over the whole run, does not: all milestones behind its
end, or a floor as high as the peak.

## Why is this bad?
The run trains at its first learning rate to the end. What the schedule was chosen for, a warmup that protects the start
or a decay that settles the end, does not happen, and nothing in the loss says so at once.

## How to fix it
Call `scheduler.step()` after each `optimizer.step()` (or once an epoch, if the schedule counts epochs). Lightning with
`automatic_optimization = False` leaves the scheduler to you as well. If the learning rate is meant to be constant, take
the scheduler out, or name it constant in the settings.

Not reported: trainings without a scheduler, constant schedules, ReduceLROnPlateau before its first cut, stepwise
schedules before their first milestone, a scheduler per epoch within its first two, and one that has reached its end.

## Options
- `updates`: report only after this many updates.

## References
- PyTorch documentation, "How to adjust learning rate": "step" must be called for the schedule to take effect
- minar09/cp-vton-plus issue 69, tumurzakov/AnimateDiff issue 11, voicepaw/so-vits-svc-fork issue 291
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from lrdoctor import (
    Case,
    Checkpoint,
    Constant,
    CosineAnnealingLR,
    Finding,
    Identification,
    LinearLR,
    Plan,
    Remedy,
    Run,
    Schedule,
    StepLR,
    Stepped,
    Trajectory,
    Warmup,
    config_finding,
    first_apart,
    planned_lrs,
    planned_ticks,
    rule,
    stated_in_steps,
    synth,
    worst_apart,
)

Severity = Literal["error", "warning"]

MIN_EPOCHS = 2
"""A scheduler that is stepped per epoch may be at 0 until its first epoch is over and saved (chosen by us)."""
ENOUGH = 0.3
"""From this share of the planned length on a linear or cosine decay has lost a fifth (chosen by us)."""
MOVING = re.compile(r"cos|linear|poly|one_?cycle|exponential|inverse_sqrt", re.IGNORECASE)
"""Schedules that cannot be constant from beginning to end."""
STILL = re.compile(r"const|plateau|none|step|wsd|warmup_?(lr|only)?$", re.IGNORECASE)
IDLE = 1e12  # updates per tick: never stepped

COSINE, LINEAR = CosineAnnealingLR(0.1, T_max=1000), Warmup(LinearLR(1e-3, total_iters=900), 100, 0.01)
LIGHTNING = """
    optimizer: {{class_path: torch.optim.SGD, init_args: {{lr: 0.1}}}}
    lr_scheduler: {{class_path: torch.optim.lr_scheduler.MultiStepLR, init_args: {{milestones: [{}]}}}}
    trainer: {{max_epochs: 100}}
"""


def _adam(schedule: Schedule, **settings: object) -> synth.RunSpec:
    settings = {"optimizer": "Adam", "steps_per_epoch": 50, **settings}
    return synth.run(schedule, **settings)  # type: ignore[arg-type]  # keywords of synth.run


CASES = (
    Case("a cosine that was never stepped, seen in a checkpoint",
         _adam(Stepped(COSINE, IDLE), steps=1000, checkpoints=(1000,)), fires=True),
    Case("a warmup that was never begun, without a log",
         _adam(Stepped(LINEAR, IDLE), steps=1000, checkpoints=(500, 1000), log_lr=False), fires=True),
    Case("the settings name a cosine, the log shows a constant",
         synth.run(Constant(0.1), steps=1000, declared={"scheduler": "cosine"}), fires=True),
    Case("stepped at every update", _adam(COSINE, steps=1000, checkpoints=(500, 1000))),
    Case("stepped per epoch, saved within the first",
         synth.run(StepLR(0.1, 10), steps=120, per_epoch=120, checkpoints=(110,), complete=None, optimizer="Adam")),
    Case("a constant learning rate, and no scheduler",
         _adam(Constant(0.1), steps=1000, checkpoints=(1000,))),
    Case("a constant learning rate, as the settings say",
         synth.run(Constant(0.1), steps=1000, declared={"scheduler": "constant_with_warmup"})),
    Case("never stepped, but the checkpoint is of the first 100 updates",
         synth.run(Stepped(COSINE, IDLE), steps=100, checkpoints=(100,), optimizer="Adam", steps_per_epoch=10,
                   complete=None)),
    Case("never stepped in 101",
         synth.run(Stepped(COSINE, IDLE), steps=101, checkpoints=(101,), optimizer="Adam", steps_per_epoch=10,
                   complete=None), fires=True),
    Case("stopped before a decay can show", synth.run(Constant(0.1), steps=200, declared={"scheduler": "cosine",
                                                                                           "max_steps": 1000})),
    Case("a config whose only milestone is behind its end", synth.config(LIGHTNING.format("120")), fires=True,
         cured=synth.config(LIGHTNING.format("60"))),
    Case("a config with one milestone of two within its run", synth.config(LIGHTNING.format("60, 120"))),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Idle:
    """A scheduler that stands at `ticks` after `updates` updates; `due` is the schedule it should have driven.

    `ticks` is None where no checkpoint tells them and the settings speak against the log.
    """

    ticks: float | None
    updates: float
    where: str
    due: Schedule | None
    severity: Severity
    since: float = 0.0


@rule("LR105", suppresses=("LR303", "LR306", "LR308", "LR402", "LR501", "LR502"))
def scheduler_has_no_effect(
    run: Run,
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    updates: int = 100,
) -> Iterator[Finding]:
    saved = checkpoints or ()
    idle = _never_stepped(trajectory, saved, updates) or _stuck(trajectory, saved, updates)
    if idle is None and not any(point.schedulers for point in saved):
        idle = _against_settings(run, trajectory, identification, updates)
    if idle is not None and not _moves(identification, idle):
        yield _finding(idle, trajectory)


def _moves(identification: Identification, idle: Idle) -> bool:
    """Whether the log shows a schedule at work after all: then something else sets the learning rate."""
    lead = identification.lead
    return lead is not None and any(fit.family != "Constant" and fit.last_step > idle.since for fit in lead.fits)


def _never_stepped(trajectory: Trajectory, saved: tuple[Checkpoint, ...], updates: int) -> Idle | None:
    """The latest checkpoint whose schedulers are all at 0."""
    for point in reversed(saved):
        made = _updates(point)
        if not point.schedulers or made is None:
            continue
        if any(state.last_epoch != 0 or state.family == "ReduceLROnPlateau" for state in point.schedulers):
            return None
        if made <= updates or not _epochs_enough(trajectory, made, 0.0, point.epoch, 0.0):
            return None
        known = trajectory.steps_per_epoch is not None or point.epoch is not None
        due = stated_in_steps(point.schedulers[0], trajectory)
        return Idle(0.0, made, f"in {point.path}", due, "error" if known else "warning")
    return None


def _stuck(trajectory: Trajectory, saved: tuple[Checkpoint, ...], updates: int) -> Idle | None:
    """A scheduler that was stepped, and then no more, short of its end."""
    for before, after in pairwise(saved):
        first, second = before.scheduler, after.scheduler
        made, total = _updates(before), _updates(after)
        if first is None or second is None or made is None or total is None or not second.last_epoch:
            continue
        end = planned_ticks(second)
        stands = first.last_epoch == second.last_epoch and end is not None and second.last_epoch < end
        enough = _epochs_enough(trajectory, total, made, after.epoch, before.epoch)
        if stands and len(after.schedulers) == 1 and total - made > updates and enough:
            return Idle(
                second.last_epoch, total, f"in {after.path}", stated_in_steps(second, trajectory), "warning", since=made
            )
    return None


def _updates(point: Checkpoint) -> float | None:
    own = point.optimizer.step if point.optimizer is not None else None
    made = own or point.global_step
    return float(made) if made else None


def _epochs_enough(
    trajectory: Trajectory, made: float, since: float, epoch: float | None, since_epoch: float | None
) -> bool:
    """Whether two epochs passed, as far as epochs are known."""
    if trajectory.steps_per_epoch:
        return made - since >= MIN_EPOCHS * trajectory.steps_per_epoch
    return epoch is None or since_epoch is None or epoch - since_epoch >= MIN_EPOCHS


def _against_settings(run: Run, trajectory: Trajectory, identification: Identification, updates: int) -> Idle | None:
    """A constant learning rate where the settings name a schedule that moves all the time."""
    named, lead, group = run.declared("scheduler"), identification.lead, trajectory.lead
    if not isinstance(named, str) or not MOVING.search(named) or STILL.search(named):
        return None
    if lead is None or group is None or len(lead.fits) > 1 or lead.fit.family != "Constant" or not lead.fit.sure:
        return None
    planned, warmed = trajectory.planned_steps, lead.fit.warmup is not None
    share = 1.0 if warmed else ENOUGH
    long_enough = trajectory.step_unit == "epoch" or trajectory.steps > updates
    if planned is None or not long_enough or not (trajectory.complete or trajectory.steps >= share * planned):
        return None
    peak = lead.fit.peak_lr
    line = LinearLR(peak, planned) if "linear" in named.lower() else CosineAnnealingLR(peak, planned)
    return Idle(None, float(trajectory.steps), f"the settings name {named!r}", line, "warning")


def _finding(idle: Idle, trajectory: Trajectory) -> Finding:
    group, due = trajectory.lead, idle.due
    apart = first_apart(group, due) if group is not None and due is not None else None
    worst = worst_apart(group, due) if group is not None and due is not None else None
    made = f"{idle.updates:.0f} {'epochs' if trajectory.step_unit == 'epoch' else 'updates'}"
    return Finding(
        measured=(
            f"The scheduler stands at {idle.ticks:.0f} after {made} ({idle.where})."
            if idle.ticks is not None
            else f"The learning rate is constant over {made}; {idle.where}."
        ),
        expected=(
            f"Stepped, it would have moved the learning rate to {worst.expected:.4g} at step {worst.step:.0f}."
            if worst is not None
            else "It is stepped after every update, or after every epoch."
        ),
        consequence=(
            f"The run used {worst.observed:.4g} there, and they part at step {apart.step:.0f}."
            if worst is not None and apart is not None
            else "The run trains at the learning rate it began with."
        ),
        first_step=apart.step if apart is not None else min(idle.since, float(max(trajectory.steps - 1, 0))),
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence={
            "scheduler_steps": idle.ticks,
            "updates": idle.updates,
            "first_apart_step": apart.step if apart is not None else None,
            "observed_lr": worst.observed if worst is not None else None,
            "expected_lr": worst.expected if worst is not None else None,
        },
        remedy=Remedy(
            "Step the scheduler.",
            due,
            "optimizer.step()\nscheduler.step()  # after every update; once an epoch if the schedule counts epochs",
        ),
        severity=idle.severity,
    )


FLAT = 1e-6
"""A learning rate that moves by less than this part of its peak does not move."""
MEANT_FLAT = ("Constant", "ReduceLROnPlateau", "Unknown", "CyclicLR")


@rule("LR105", suppresses=("LR303", "LR306", "LR308", "LR501", "LR502"))
def configured_scheduler_has_no_effect(config: Plan) -> Iterator[Finding]:
    total = config.total.value
    planned = planned_lrs(config, total) if total is not None else None
    if planned is None or total is None or config.family in MEANT_FLAT:
        return
    steps, lrs = planned
    warmup = config.warmup.steps.low if config.warmup is not None else 0.0
    behind = lrs[steps >= warmup]
    if len(behind) < 2 or warmup >= total or not np.isfinite(behind).all():
        return
    if float(behind.max() - behind.min()) > FLAT * float(behind.max()):
        return
    about = config.whereabouts(config.facts.get("milestones"), config.facts.get("min_lr"), config.scheduler)
    yield config_finding(
        config,
        about,
        f"Behind its warmup the learning rate stays at {float(behind[0]):.3g} for all of the {total:,.0f} "
        f"{config.unit}s.",
        f"{config.scheduler.value if config.scheduler is not None else config.family} is meant to lower it.",
        "The run is not annealed, although the config asks for it.",
        "Place milestones within the run and the floor below the peak, or name the schedule constant.",
        evidence={"lr": float(behind[0]), "total": total},
        severity="warning",
    )
