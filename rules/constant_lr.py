"""The learning rate never changes (after its warmup), and the run has no decay.

## What it does
Notes a run of at least a thousand updates or ten epochs whose learning rate stood still from its start, or from the end
of its warmup, to the last logged step.

In a training config: a scheduler that warms up and never decays, for a run of that length or of unknown length.

## Why is this bad?
A constant learning rate leaves the noise of its updates in the weights. A decay to zero over the last tenth to fifth of
the run takes it out, and costs nothing. It is a choice and no fault: as a trunk from which cooldowns are branched off a
constant learning rate is the right thing, and it may be in fine-tuning.

## How to fix it
Decay linearly to zero over the last fifth of the run: a LambdaLR, or SequentialLR of ConstantLR and LinearLR.

Not reported: runs that are known to be unfinished or resumed, logs that begin late, fine-tuning and adapters, settings
that ask for a constant schedule, optimizers that choose their own step size (schedule-free, Prodigy, D-Adaptation,
Adafactor), reinforcement learning, and schedulers that were built but do nothing, which is a fault of its own.

## Options
- `updates`: fewest updates of a run that is noted.
- `epochs`: fewest epochs, where the log counts those.

## References
- Hägele et al. 2024, "Scaling laws and compute-optimal training beyond fixed training durations": cooldowns
- Defazio et al. 2023, "When, why and how much? Adaptive learning rate scheduling by refinement"
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lrdoctor import (
    Case,
    Constant,
    CosineAnnealingLR,
    Finding,
    Fit,
    Identification,
    LinearLR,
    Plan,
    Remedy,
    Run,
    Schedule,
    Sequence,
    Trajectory,
    Warmup,
    config_finding,
    contrast,
    fine_tunes,
    optimizer_kind,
    optimizer_of,
    rule,
    synth,
)

COOLDOWN = 0.2
"""Part of the run that is annealed in the remedy: Hägele et al. find 10 to 20 % enough."""
STARTS = 0.1
"""A log that begins later than this part of the run does not show its start (chosen by us)."""
ASKED_FOR = re.compile(r"constant|fixed|none|wsd|stable", re.IGNORECASE)
"""Names of schedules that are meant to stand still."""

DEEPSPEED = """
    {
      "train_batch_size": 64,
      "optimizer": {"type": "SGD", "params": {"lr": 0.1}},
      "scheduler": {"type": "WarmupLR", "params": {"warmup_max_lr": 0.1, "warmup_num_steps": 100}}
    }
"""
DECAYING = DEEPSPEED.replace("WarmupLR", "WarmupDecayLR").replace("100}", '100, "total_num_steps": 10000}')
CASES = (
    Case("constant for 2000 updates", synth.run(Constant(0.1), steps=2000), fires=True),
    Case("behind a warmup", synth.run(Warmup(Constant(1e-3), 100), steps=2000), fires=True),
    Case("a thousand updates", synth.run(Constant(0.1), steps=1000), fires=True),
    Case("999 updates", synth.run(Constant(0.1), steps=999)),
    Case("the settings ask for it", synth.run(Constant(0.1), steps=2000, declared={"scheduler": "constant"})),
    Case("fine-tuning", synth.run(Constant(2e-5), steps=2000, declared={"finetune": True})),
    Case("not finished", synth.run(Constant(0.1), steps=2000, complete=False)),
    Case("an optimizer that chooses its own steps", synth.run(Constant(1.0), steps=2000, optimizer="Prodigy")),
    Case("a cooldown at the end",
         synth.run(Sequence((Constant(0.1), LinearLR(0.1, total_iters=400)), (1600,)), steps=2000)),
    Case("a cosine", synth.run(CosineAnnealingLR(0.1, T_max=2000), steps=2000)),
    Case("a DeepSpeed file whose scheduler only warms up", synth.config(DEEPSPEED, "ds.json"), fires=True,
         cured=synth.config(DECAYING, "ds.json")),
    Case("a config that asks for a constant learning rate", synth.config("""
        learning_rate: 1.0e-4
        per_device_train_batch_size: 8
        max_steps: 5000
        lr_scheduler_type: constant""")),
)  # fmt: skip


@rule("LR308")
def constant_lr(
    run: Run, trajectory: Trajectory, identification: Identification, *, updates: int = 1000, epochs: int = 10
) -> Iterator[Finding]:
    lead = identification.lead
    if lead is None or len(lead.fits) != 1 or not isinstance(lead.fit.schedule, Constant) or not lead.fit.sure:
        return
    least = {"update": updates, "epoch": epochs}.get(trajectory.step_unit)
    if least is None or trajectory.steps < least or trajectory.complete is False or _starts_late(trajectory):
        return
    if not _chosen(run):
        yield _finding(trajectory, lead.fit, lead.fit.schedule)


def _starts_late(trajectory: Trajectory) -> bool:
    group = trajectory.lead
    late = group is None or group.steps[0] > STARTS * trajectory.steps
    return late or any(part.resumed for part in trajectory.segments[:1])


def _chosen(run: Run) -> bool:
    """Whether a constant learning rate was asked for, or is not the step size anyway."""
    scheduler, optimizer = run.declared("scheduler"), optimizer_of(run)
    asked = isinstance(scheduler, str) and ASKED_FOR.search(scheduler) is not None
    scheduled = any(point.schedulers for point in run.checkpoints)
    own_steps = optimizer is not None and optimizer_kind(optimizer) == "other"
    return asked or scheduled or own_steps or fine_tunes(run)


def _finding(trajectory: Trajectory, fit: Fit, constant: Constant) -> Finding:
    warmup = fit.warmup.steps * fit.steps_per_tick if fit.warmup is not None else 0.0
    start = round((1.0 - COOLDOWN) * trajectory.steps)
    cooldown = max(1, trajectory.steps - start)
    schedule: Schedule = Sequence((fit.whole, LinearLR(constant.lr, cooldown)), (float(start),))
    seen = contrast(trajectory, fit.whole, schedule)
    after = f" from step {warmup:.0f}, the end of its warmup," if warmup else ""
    return Finding(
        measured=(
            f"The learning rate stands at {constant.lr:.3g}{after} to the last logged {trajectory.step_unit}, "
            f"{trajectory.steps - 1}."
        ),
        expected=(
            f"Cooled down over the last {COOLDOWN:.0%} it would be {seen.expected:.3g} at step {seen.worst_step:.0f}, "
            f"where {seen.observed:.3g} was used (different from step {seen.first_step:.0f} on)."
        ),
        consequence="A decay at the end lowers the loss at no cost, unless others are branched off this run.",
        first_step=warmup,
        last_step=fit.last_step,
        evidence={
            "lr": constant.lr,
            "warmup_steps": warmup,
            "steps": trajectory.steps,
            "finished": trajectory.complete,
            **seen.evidence(),
        },
        remedy=Remedy(f"Decay linearly to zero over the last {cooldown} steps.", schedule),
    )


@rule("LR308")
def constant_lr_configured(config: Plan, *, updates: int = 1000, epochs: int = 10) -> Iterator[Finding]:
    name = config.scheduler
    if config.family != "Constant" or config.make is None or name is None or ASKED_FOR.search(name.value):
        return
    least = updates if config.unit == "update" else epochs
    tuned = bool(config.fact("finetune")) or config.fact("adapter") is not None
    if config.total.high >= least and not tuned and config.lr is not None:
        yield config_finding(
            config,
            config.whereabouts(config.facts.get("hold_steps"), name),
            f"{name.value} warms up and then keeps the learning rate at {config.lr.value:.3g} to the end.",
            "Most runs decay over their last tenth to fifth at least.",
            "A constant learning rate leaves the noise of its updates in the weights.",
            "Choose a scheduler that decays, unless the decay is branched off later.",
            evidence={"lr": config.lr.value, "total": config.total.value},
        )
