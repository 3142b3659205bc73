"""The optimizer's state was lost on a resume: its moments, and its count of updates, started over.

## What it does
Looks at three places. The counters of a checkpoint: the optimizer's own count is behind the training's by exactly the
step of an earlier checkpoint or resume. A checkpoint whose optimizer is of the Adam family and has no state at all. And
the loss after a resume: a jump that has no equal elsewhere in the run while the learning rate went on as before.

## Why is this bad?
Adam's first steps after a reset rest on a handful of gradients: each moves every weight by about the learning rate,
whatever the gradient is. At the learning rate of the middle of a training that throws back what was learned; the
estimates are good again after some 1 / (1 - beta2) updates, a thousand at 0.999.

## How to fix it
Save `optimizer.state_dict()` in each checkpoint to resume from and load it after the model's weights. Hugging Face:
leave `save_only_model` off. Lightning: leave `save_weights_only` off and pass `ckpt_path`. Where the state is lost for
good, warm up again: 500 to 2000 updates from a tenth of the learning rate.

Not reported: plain SGD, which has no state; final and exported weights; optimizers that keep no count, unless the loss
tells; and counts that a second optimizer or another unit of steps explains.

## Options
- `noise`: how many standard errors of the difference of the two medians a jump must be.
- `rise`: how large a jump must be, as a fraction of the loss before it.
- `window`: updates on each side that are compared; at least 1 % of the run.

## References
- PyTorch tutorial "Saving and loading a general checkpoint"
- Kingma and Ba 2015, section 2.1: the size of Adam's steps is bounded by the learning rate
- EvolvingLMMs-Lab/OneVision-Encoder issue 65, KempnerInstitute/KempnerForge issue 115
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lrdoctor import (
    Case,
    Checkpoint,
    CosineAnnealingLR,
    Finding,
    Jump,
    OneCycleLR,
    Remedy,
    Run,
    Schedule,
    Sequence,
    Trajectory,
    loss_jumps,
    optimizer_kind,
    optimizer_of,
    rule,
    synth,
)

Severity = Literal["error", "warning", "info"]

MIN_COUNT = 5
"""Counters smaller than this agree by accident (chosen by us)."""
EMPTY_FROM = 10
"""From this many updates on an optimizer of the Adam family has state (chosen by us)."""
GOES_ON = 0.05
"""A learning rate that changes by less than this fraction of the peak at a resume went on (chosen by us)."""

COSINE = CosineAnnealingLR(1e-3, T_max=600)
LOSES = (synth.Saved(240), synth.Saved(600, lost=240))
JUMPS = (synth.Spike(240, 1.5, lasts=60),)


def _adam(schedule: Schedule, **settings: object) -> synth.RunSpec:
    settings = {"steps": 600, "optimizer": "AdamW", **settings}
    return synth.run(schedule, **settings)  # type: ignore[arg-type]  # keywords of synth.run


CASES = (
    Case("the counters of two checkpoints tell it", _adam(COSINE, checkpoints=LOSES),
         fires=True, cured=_adam(COSINE, checkpoints=(240, 600))),
    Case("the counter of one, where the log shows the resume",
         _adam(COSINE, checkpoints=LOSES[1:], resume_at=(240,)),
         fires=True, cured=_adam(COSINE, checkpoints=(600,), resume_at=(240,))),
    Case("no state in an unfinished training",
         _adam(COSINE, checkpoints=(synth.Saved(300, lost=300),), complete=False),
         fires=True, cured=_adam(COSINE, checkpoints=(300,), complete=False)),
    Case("the loss jumps at a resume, the learning rate does not",
         _adam(COSINE, resume_at=(240,), spikes=JUMPS),
         fires=True, cured=_adam(COSINE, resume_at=(240,))),
    Case("resumed with everything", _adam(COSINE, checkpoints=(240, 600), resume_at=(240,))),
    Case("the loss jumps elsewhere", _adam(COSINE, resume_at=(300,), spikes=JUMPS)),
    Case("the learning rate jumps too: another rule's",
         _adam(Sequence((OneCycleLR(0.1, 600),) * 2, (240,)), resume_at=(240,), spikes=JUMPS)),
    Case("plain SGD", synth.run(COSINE, steps=600, checkpoints=(synth.Saved(600, lost=600),), optimizer="SGD")),
    Case("a rise of 9 % at a resume, just below what is reported",
         _adam(COSINE, resume_at=(240,), spikes=(synth.Spike(240, 0.44, lasts=60),), loss=synth.Loss(noise=0.001))),
    Case("of 11 %",
         _adam(COSINE, resume_at=(240,), spikes=(synth.Spike(240, 0.55, lasts=60),), loss=synth.Loss(noise=0.001)),
         fires=True, cured=_adam(COSINE, resume_at=(240,))),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lost:
    """`count` of `due` updates are in the optimizer's state of `checkpoint`: those before step `at` are missing."""

    checkpoint: Checkpoint
    count: float
    due: float
    at: float


@rule("LR202", suppresses=("LR503", "LR504"))
def optimizer_state_missing(
    run: Run,
    trajectory: Trajectory,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    noise: float = 6.0,
    rise: float = 0.1,
    window: int = 50,
) -> Iterator[Finding]:
    saved = checkpoints or ()
    lost = next(_lost_counts(trajectory, saved), None)
    jumps = list(_jumps_at_resumes(run, trajectory, noise, rise, window))
    if lost is not None:
        yield _finding_of_counts(lost, trajectory, jumps)
    elif jumps:
        for jump in jumps:
            yield _finding_of_jump(jump, run, trajectory, saved)
    else:
        yield from _empty_states(trajectory, saved)


# --- in the checkpoints' counters -------------------------------------------------------------------------------------


def _lost_counts(trajectory: Trajectory, saved: tuple[Checkpoint, ...]) -> Iterator[Lost]:
    """Checkpoints whose optimizer lacks exactly the updates before an earlier checkpoint, or before a resume."""
    if trajectory.step_unit not in ("update", "unknown"):
        return
    for index, point in enumerate(saved):
        count, due = _count(point), point.global_step
        if count is None or due is None or count < MIN_COUNT or due - count < MIN_COUNT:
            continue
        earlier = [float(before.global_step or 0) for before in saved[:index] if _in_step(before)]
        resumed = [part.first_step for part in trajectory.segments if part.resumed]
        at = next((start for start in (*earlier, *resumed) if abs(due - count - start) <= 1.0), None)
        if at is not None:
            yield Lost(point, float(count), float(due), at)


def _count(point: Checkpoint) -> int | None:
    return point.optimizer.step if point.optimizer is not None else None


def _in_step(point: Checkpoint) -> bool:
    """Whether both counts went together then, or the optimizer was not saved."""
    count, step = _count(point), point.global_step
    return step is not None and (count is None or abs(count - step) <= 1)


def _empty_states(trajectory: Trajectory, saved: tuple[Checkpoint, ...]) -> Iterator[Finding]:
    """The latest checkpoint, where its optimizer must have state and has none."""
    point = saved[-1] if saved else None
    optimizer = point.optimizer if point is not None else None
    if point is None or optimizer is None or optimizer_kind(optimizer.name) != "adam" or not optimizer.param_count:
        return
    state = point.scheduler
    made = point.global_step or (state.last_epoch if state is not None else None) or 0
    if optimizer.state_size or made < EMPTY_FROM:
        return
    severity: Severity = {False: "error", None: "warning", True: "info"}[trajectory.complete]  # type: ignore[assignment]
    yield Finding(
        measured=f"{point.path}: after {made:.0f} steps the {optimizer.name} optimizer has state for 0 of its "
        f"{optimizer.param_count} parameters.",
        expected=f"It has two moments for each, and a count of {made:.0f} updates.",
        consequence="Resumed from here its first steps are as large as at the start of the training.",
        first_step=float(min(made, max(trajectory.steps - 1, 0))) if trajectory.steps else 0.0,
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence={
            "parameters_with_state": 0,
            "parameters": optimizer.param_count,
            "steps": made,
            "complete": trajectory.complete,
        },
        remedy=_remedy(),
        severity=severity,
    )


# --- in the loss ------------------------------------------------------------------------------------------------------


def _jumps_at_resumes(run: Run, trajectory: Trajectory, noise: float, rise: float, window: int) -> Iterator[Jump]:
    """Jumps of the loss at resumes through which the learning rate went on."""
    loss = trajectory.loss
    starts = [part.first_step for part in trajectory.segments if part.resumed]
    if loss is None or not starts or optimizer_kind(optimizer_of(run)) != "adam":
        return
    for jump in loss_jumps(trajectory, loss, starts, window):
        if jump.stands_out(noise, rise) and jump.recovers and _goes_on(trajectory, jump.step):
            yield jump


def _goes_on(trajectory: Trajectory, start: float) -> bool:
    """Whether the learning rate is known on both sides of the resume and is the same."""
    group = trajectory.lead
    if group is None:
        return False
    before, after = group.lr[group.steps < start], group.lr[group.steps >= start]
    if not len(before) or not len(after):
        return False
    return bool(abs(after[0] - before[-1]) <= GOES_ON * np.nanmax(group.lr))


# --- in words ---------------------------------------------------------------------------------------------------------


def _finding_of_counts(lost: Lost, trajectory: Trajectory, jumps: list[Jump]) -> Finding:
    jump = next((jump for jump in jumps if abs(jump.step - lost.at) <= 1.0), None)
    seen = f" The loss went from {jump.before:.4g} to {jump.after:.4g} there." if jump is not None else ""
    return Finding(
        measured=f"{lost.checkpoint.path}: the optimizer counts {lost.count:.0f} updates at step {lost.due:.0f}.",
        expected=f"It would count {lost.due:.0f}; the {lost.due - lost.count:.0f} it lacks are those before the "
        f"resume at step {lost.at:.0f}.",
        consequence=f"Its state was not restored there: moments and count started over.{seen}",
        first_step=min(lost.at, float(trajectory.steps - 1)) if trajectory.steps else 0.0,
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence={
            "optimizer_updates": lost.count,
            "expected_updates": lost.due,
            "resumed_at": lost.at,
            "checkpoint": lost.checkpoint.path,
            "loss_before": jump.before if jump is not None else None,
            "loss_after": jump.after if jump is not None else None,
        },
        remedy=_remedy(),
    )


def _finding_of_jump(jump: Jump, run: Run, trajectory: Trajectory, saved: tuple[Checkpoint, ...]) -> Finding:
    source = next((point for point in saved if point.global_step and abs(point.global_step - jump.step) <= 1), None)
    bare = source is not None and source.optimizer is None
    told = f"The checkpoint {source.path} holds no optimizer. " if bare and source is not None else ""
    unit = "epoch" if trajectory.step_unit == "epoch" else "step"
    return Finding(
        measured=(
            f"At the resume at {unit} {jump.step:.0f} the loss goes from {jump.before:.4g} to {jump.after:.4g} "
            f"(standard error {jump.error:.2g}) and recovers, while the learning rate goes on."
        ),
        expected=f"It would go on from {jump.before:.4g}. {jump.beside(unit)}",
        consequence=f"{told}So do the first steps of {optimizer_of(run)} without its state.",
        first_step=jump.step,
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence={
            "resumed_at": jump.step,
            **jump.evidence(),
            "optimizer_in_checkpoint": None if source is None else not bare,
        },
        remedy=_remedy(),
        severity="error" if bare else "warning",
    )


def _remedy() -> Remedy:
    return Remedy(
        "Save and load the optimizer's state; if it is lost, warm up again over 500 to 2000 updates.",
        None,
        'torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), ...}, path)\n'
        "# on resume, after the model's weights\n"
        'optimizer.load_state_dict(torch.load(path)["optimizer"])',
    )
