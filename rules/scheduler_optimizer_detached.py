"""The scheduler drives another optimizer than the one that trains, so its learning rate is not the one in use.

## What it does
Compares, in each checkpoint, the learning rate the scheduler set last with the one in the optimizer's groups. After any
`scheduler.step()` they are the same number. It also looks for the mark that a scheduler leaves in the groups of its
optimizer (`initial_lr`).

## Why is this bad?
The scheduler reports a decay that does not take place: `get_last_lr()` falls while the optimizer trains on with the
learning rate it was built with.

## How to fix it
Build in this order and never rebuild one part alone: move or wrap the model (`.to(device)`, FSDP, unfreezing), build
the optimizer from its parameters, then the scheduler from that optimizer. Log
`optimizer.param_groups[0]["lr"]`, not `scheduler.get_last_lr()`.

Not reported: frameworks that set the learning rate themselves (Ultralytics, timm), several schedulers of which one
agrees, and optimizers with another number of groups than the scheduler knows.

## Options
- `tolerance`: how far the two may differ, as a fraction.
- `steps`: report only after this many steps of the scheduler.

## References
- PyTorch documentation of torch.optim: move a model before constructing its optimizer
- EleutherAI/gpt-neox issue 1029, microsoft/dp-transformers issue 43, Lightning issue 12812
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lrdoctor import (
    Case,
    Checkpoint,
    Constant,
    CosineAnnealingLR,
    Finding,
    Remedy,
    Schedule,
    StepLR,
    Stepped,
    Trajectory,
    Warmup,
    first_apart,
    rule,
    stated_in_steps,
    synth,
)

COSINE, STEPS = CosineAnnealingLR(0.1, T_max=1000), StepLR(0.1, 5, 0.5)
NEARLY = Constant(0.1 * (1.0 - 4e-7))


def _adam(schedule: Schedule, **settings: object) -> synth.RunSpec:
    settings = {"steps": 1000, "steps_per_epoch": 50, "optimizer": "Adam", **settings}
    return synth.run(schedule, **settings)  # type: ignore[arg-type]  # keywords of synth.run


CASES = (
    Case("the optimizer was built anew; the scheduler drives the old one",
         _adam(Constant(0.1), checkpoints=(synth.Saved(1000, detached=COSINE),)), fires=True),
    Case("the same without a log, a schedule of epochs",
         _adam(Constant(0.1), checkpoints=(synth.Saved(1000, detached=Stepped(STEPS, 50, "epoch")),), log_lr=False),
         fires=True),
    Case("one optimizer", _adam(COSINE, checkpoints=(500, 1000))),
    Case("a warmup and a cosine in sequence", _adam(Warmup(COSINE, 100, 0.01), checkpoints=(50, 1000))),
    Case("no scheduler at all", _adam(Constant(0.1), checkpoints=(1000,))),
    Case("a scheduler just built", _adam(Constant(0.05), checkpoints=(synth.Saved(5, detached=COSINE),))),
    Case("apart by less than a millionth",
         _adam(NEARLY, checkpoints=(synth.Saved(1000, detached=Constant(0.1)),))),
    Case("a schedule computed by the framework",
         _adam(Constant(0.1), checkpoints=(synth.Saved(1000, detached=COSINE, recomputes="ultralytics"),))),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Detached:
    """In one checkpoint the scheduler says `reported` where the optimizer holds `used`; `marked` as a scheduler's."""

    checkpoint: Checkpoint
    reported: float
    used: float
    marked: bool


@rule("LR108", suppresses=("LR105", "LR303", "LR304", "LR306", "LR308", "LR402"))
def scheduler_optimizer_detached(
    trajectory: Trajectory,
    checkpoints: tuple[Checkpoint, ...],
    *,
    tolerance: float = 1e-6,
    steps: int = 10,
) -> Iterator[Finding]:
    apart = [found for point in checkpoints if (found := _apart(point, tolerance, steps)) is not None]
    if not apart or apart[-1].checkpoint is not checkpoints[-1]:
        return
    sure = len(apart) > 1 or not apart[-1].marked
    yield _finding(apart, trajectory, sure=sure)


def _apart(point: Checkpoint, tolerance: float, steps: int) -> Detached | None:
    """Where no scheduler of the checkpoint agrees with the optimizer beside it."""
    if point.optimizer is None or not point.schedulers or point.recomputes_schedule is not None:
        return None
    used = [group.get("lr") for group in point.optimizer.param_groups]
    numbers = [float(lr) for lr in used if isinstance(lr, int | float)]
    known = [state.last_lr for state in point.schedulers if state.last_lr and (state.last_epoch or 0) >= steps]
    if len(known) < len(point.schedulers) or len(numbers) < len(used) or not numbers:
        return None
    if any(len(reported) != len(numbers) or _agree(reported, numbers, tolerance) for reported in known):
        return None
    where = max(range(len(numbers)), key=lambda index: abs(known[0][index] - numbers[index]))
    marked = any("initial_lr" in group for group in point.optimizer.param_groups)
    return Detached(point, known[0][where], numbers[where], marked)


def _agree(reported: tuple[float, ...], used: list[float], tolerance: float) -> bool:
    return all(
        abs(one - other) <= tolerance * max(abs(one), abs(other)) for one, other in zip(reported, used, strict=True)
    )


def _finding(apart: list[Detached], trajectory: Trajectory, *, sure: bool) -> Finding:
    last = apart[-1]
    point, state = last.checkpoint, last.checkpoint.schedulers[0]
    due = _due(point, trajectory)
    parted = first_apart(trajectory.lead, due) if trajectory.lead is not None and due is not None else None
    mark = "" if last.marked else " Its groups lack the mark (initial_lr) that a scheduler leaves in its optimizer."
    doubt = "" if sure else " Unless the script itself sets the learning rate after the scheduler."
    where = f", since step {parted.step:.0f}" if parted is not None else ""
    return Finding(
        measured=(
            f"{point.path}: the scheduler set the learning rate to {last.reported:.4g} in its step "
            f"{state.last_epoch:.0f}, the optimizer holds {last.used:.4g}.{mark}"
        ),
        expected=f"They are one number after every step; due was {last.reported:.4g},",
        consequence=f"and the training went on with {last.used:.4g}{where}.{doubt}",
        first_step=parted.step if parted is not None else 0.0,
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence={
            "scheduler_lr": last.reported,
            "optimizer_lr": last.used,
            "scheduler_steps": state.last_epoch,
            "checkpoints_apart": len(apart),
            "optimizer_marked": last.marked,
            "first_apart_step": parted.step if parted is not None else None,
            "observed_lr": parted.observed if parted is not None else last.used,
            "expected_lr": parted.expected if parted is not None else last.reported,
        },
        remedy=Remedy(
            "Build the model, then the optimizer, then the scheduler from that optimizer, and keep all three.",
            due,
            "model = wrap(model.to(device))\n"
            "optimizer = torch.optim.AdamW(model.parameters(), lr=lr)\n"
            "scheduler = ...(optimizer)  # after this, rebuild neither the model's parameters nor the optimizer\n"
            'writer.add_scalar("lr", optimizer.param_groups[0]["lr"], step)  # the one in use',
        ),
        severity=None if sure else "warning",
    )


def _due(point: Checkpoint, trajectory: Trajectory) -> Schedule | None:
    made = point.optimizer.step if point.optimizer is not None else None
    return stated_in_steps(point.schedulers[0], trajectory, point.global_step or made)
