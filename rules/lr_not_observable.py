"""Too little of the learning rate was logged to say which schedule was executed.

## What it does
Looks at what there is to judge by: whether any learning rate was logged at all, and whether it was logged often enough
to tell a schedule from its look-alikes. One point an epoch is enough where the schedule moves once an epoch, and a few
are enough where they lie on one schedule and on no other.

## Why is this bad?
Nothing is wrong with the run because of it. But every other rule needs the executed learning rate, so faults may go
unseen: without it lrdoctor says "unknown", not "healthy".

## How to fix it
Log `optimizer.param_groups[i]["lr"]` right before `optimizer.step()`, at every update or every tenth. Do not log
`scheduler.get_lr()`, which is off by a factor at milestones.

- Lightning: `Trainer(callbacks=[LearningRateMonitor(logging_interval="step")])`.
- Hugging Face: `logging_steps=10`; the Trainer logs `learning_rate` by itself.

## Options
- `min_points`: fewer points than this are too few where no schedule was recognised.

## References
- PyTorch documentation of LRScheduler: `get_last_lr` returns the last computed learning rate
- pytorch/pytorch issue 31871: what `get_lr` shows at milestones
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lrdoctor import (
    Case,
    CosineAnnealingLR,
    Finding,
    Identification,
    Remedy,
    Run,
    StepLR,
    Trajectory,
    rule,
    synth,
)

ENOUGH_TO_EXPLAIN = 3
"""Below this any smooth schedule fits (chosen by us)."""

COSINE = CosineAnnealingLR(0.1, T_max=1000)
CASES = (
    Case("no learning rate was logged", synth.run(COSINE, steps=1000, log_lr=False), fires=True,
         cured=synth.run(COSINE, steps=1000)),
    Case("two points of a thousand updates", synth.run(COSINE, steps=1000, log_every=600), fires=True,
         cured=synth.run(COSINE, steps=1000)),
    Case("no learning rate, but a complete checkpoint",
         synth.run(COSINE, steps=1000, log_lr=False, checkpoints=(1000,)), fires=True,
         cured=synth.run(COSINE, steps=1000, checkpoints=(1000,))),
    Case("logged at every update", synth.run(COSINE, steps=1000)),
    Case("logged every tenth update", synth.run(COSINE, steps=1000, log_every=10)),
    Case("logged once an epoch, stepped once an epoch",
         synth.run(StepLR(0.1, step_size=10), steps=800, per_epoch=20, log_every=20)),
)  # fmt: skip


@rule("LR901")
def lr_not_observable(
    run: Run, trajectory: Trajectory, identification: Identification, *, min_points: int = 20
) -> Iterator[Finding]:
    if trajectory.lead is None:
        reason: tuple[str, int] | None = _nothing_logged(run)
    else:
        reason = _too_sparse(trajectory, int(np.isfinite(trajectory.lead.lr).sum()), identification, min_points)
    if reason is None:
        return
    measured, points = reason
    yield Finding(
        measured=measured,
        expected="The learning rate in force at every update, or at every tenth, tells the schedule.",
        consequence="Without it faults of the schedule may go unseen; this run is neither cleared nor blamed.",
        first_step=0.0,
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence={"lr_points": points, "steps": trajectory.steps, "checkpoints": len(run.checkpoints)},
        remedy=Remedy("Log the learning rate of each parameter group right before the update.", None, _code(run)),
    )


def _nothing_logged(run: Run) -> tuple[str, int]:
    saved = len(run.checkpoints)
    if not run.series:
        return f"Nothing was logged; there are {saved} checkpoints.", 0
    searched = f"None of the {len({series.tag for series in run.series})} logged series is a learning rate"
    return f"{searched}; there are {saved} checkpoints.", 0


def _too_sparse(
    trajectory: Trajectory, points: int, identification: Identification, min_points: int
) -> tuple[str, int] | None:
    """How few points there are, where they are too few."""
    if points >= min(min_points, trajectory.steps):
        return None
    lead = identification.lead
    explained = lead is not None and all(fit.family != "Unknown" for fit in lead.fits)
    if explained and points >= ENOUGH_TO_EXPLAIN:
        return None
    unit = "epochs" if trajectory.step_unit == "epoch" else "steps"
    return f"The learning rate has {points} logged points in {trajectory.steps} {unit}.", points


def _code(run: Run) -> str:
    if run.framework == "lightning":
        return (
            "from lightning.pytorch.callbacks import LearningRateMonitor\n"
            'trainer = Trainer(callbacks=[LearningRateMonitor(logging_interval="step")])'
        )
    if run.framework == "transformers":
        return 'TrainingArguments(logging_steps=10, report_to="tensorboard")'
    return (
        "for i, group in enumerate(optimizer.param_groups):\n"
        '    writer.add_scalar(f"lr/group{i}", group["lr"], step)\n'
        "optimizer.step()"
    )
