"""Training starts at its peak learning rate, where a warmup is needed.

## What it does
Looks at the learning rate of the first updates. It reports a run whose first logged update already has at least 90 % of
the peak, if the run is of a kind that needs a warmup: a transformer trained from scratch with an optimizer of the Adam
family, or SGD with a batch of 1024 or more and a learning rate of 0.4 or more.

In a training config: the same kinds of training, by the model, the optimizer and the learning rate that it names.

## Why is this bad?
Adam divides by an estimate of the gradient's size that rests on a handful of batches at first: its first step moves
every weight by about the learning rate, whatever the gradient is. In a fresh transformer such steps push the network
where it trains slowly, or diverge. Large batches with a scaled learning rate diverge for want of a gradual start too.

## How to fix it
Start with a linear warmup. For Adam 2 / (1 - beta2) updates (2000 at beta2 = 0.999), at most 5 % of the run; for large
batches with SGD about five epochs. Shorten the schedule after it by as much.

Not reported: fine-tuning, adapters (LoRA) and small learning rates, other optimizers (RAdam and those that set their
own step size), other models with small batches, resumed runs, and logs that begin after the start.

## Options
- `share`: what part of the peak the first updates must have.
- `from_scratch_lr`: smallest peak that is reported where training is known to start from scratch.
- `unknown_lr`: smallest peak that is reported where it may be fine-tuning; adapters and most fine-tuning stay below.
- `first_step`: latest step at which the log may begin.

## References
- Vaswani et al. 2017, section 5.3; Goyal et al. 2017, section 2.2
- Ma and Yarats 2021, "On the adequacy of untuned warmup for adaptive optimization"
- Xiong et al. 2020, "On layer normalization in the transformer architecture": with pre-norm it can often be left out
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lrdoctor import (
    Case,
    Constant,
    CosineAnnealingLR,
    Finding,
    Fit,
    Identification,
    LinearLR,
    OneCycleLR,
    Plan,
    Remedy,
    Run,
    Schedule,
    Stepped,
    Trajectory,
    Warmup,
    adam_warmup,
    config_finding,
    fine_tunes,
    is_transformer,
    optimizer_kind,
    optimizer_of,
    rule,
    synth,
    transformer_of,
    with_horizon,
)

LARGE_BATCH, LARGE_BATCH_LR = 1024, 0.4
"""Four times the batch and learning rate of Goyal et al.'s baseline (0.1 for 256)."""
MIN_STEPS = 100
"""Too short to say anything about its start (chosen by us)."""
WARMUP_SHARE = 0.05
"""The longest warmup proposed, as a share of the run (chosen by us)."""
WARMUP_EPOCHS = 5
"""Goyal et al. 2017 for large batches."""
START_FACTOR = 0.01
EARLY = 0.05
"""A loss that becomes non-finite within this share of the run is blamed on the start (chosen by us)."""
GPT, COSINE = {"model": "gpt2"}, CosineAnnealingLR(1e-3, T_max=1000)
NANOGPT = """
    learning_rate = 6e-4
    max_iters = 600000
    lr_decay_iters = 600000
    warmup_iters = {}
    decay_lr = True
"""
CASES = (
    Case("AdamW trains a GPT at 1e-3 from the first update",
         synth.run(COSINE, steps=1000, optimizer="AdamW", declared=GPT), fires=True),
    Case("SGD with a batch of 8192 at 3.2",
         synth.run(replace(COSINE, lr=3.2), steps=1000, steps_per_epoch=20, optimizer="SGD", batch_size=8192),
         fires=True),
    Case("the GPT with 50 updates of warmup",
         synth.run(Warmup(replace(COSINE, T_max=950), 50), steps=1000, optimizer="AdamW", declared=GPT)),
    Case("OneCycleLR, which warms up by itself",
         synth.run(OneCycleLR(1e-3, total_steps=1000), steps=1000, optimizer="AdamW", declared=GPT)),
    Case("fine-tuning, as the settings say",
         synth.run(COSINE, steps=1000, optimizer="AdamW", declared={**GPT, "finetune": True})),
    Case("a learning rate of fine-tuning",
         synth.run(LinearLR(5e-5, total_iters=1000), steps=1000, optimizer="AdamW", declared={"model": "bert"})),
    Case("just below the smallest peak that is reported",
         synth.run(LinearLR(4.9e-4, total_iters=1000), steps=1000, optimizer="AdamW", declared=GPT)),
    Case("RAdam corrects its first steps itself",
         synth.run(COSINE, steps=1000, optimizer="RAdam", declared=GPT)),
    Case("a convolutional network with Adam",
         synth.run(COSINE, steps=1000, optimizer="Adam", declared={"model": "unet"})),
    Case("SGD with a small batch",
         synth.run(replace(COSINE, lr=0.1), steps=1000, optimizer="SGD", batch_size=128)),
    Case("the log begins after the warmup",
         synth.run(COSINE, steps=1000, first_step=100, optimizer="AdamW", declared=GPT)),
    Case("nothing says which model it is", synth.run(Constant(1e-3), steps=1000, optimizer="AdamW")),
    Case("a config that trains a GPT at 6e-4 without a warmup", synth.config(NANOGPT.format(0), "train_gpt2.py"),
         fires=True, cured=synth.config(NANOGPT.format(2000), "train_gpt2.py")),
    Case("a config that fine-tunes", synth.config("""
        model_name_or_path: facebook/detr-resnet-50
        learning_rate: 5.0e-05
        per_device_train_batch_size: 8
        num_train_epochs: 10""")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Need:
    """Why a run needs a warmup, and for how many updates."""

    why: str
    warmup: int


@rule("LR501", suppresses=("LR504",))
def no_warmup(
    run: Run,
    trajectory: Trajectory,
    identification: Identification,
    *,
    share: float = 0.9,
    from_scratch_lr: float = 1e-4,
    unknown_lr: float = 5e-4,
    first_step: int = 10,
) -> Iterator[Finding]:
    lead, group = identification.lead, trajectory.lead
    if lead is None or group is None or trajectory.step_unit != "update" or trajectory.steps < MIN_STEPS:
        return
    fit = lead.fits[0]
    if fit.warmup is not None or fit.family == "OneCycleLR" or _starts_late(trajectory, first_step):
        return
    start, peak = float(group.lr[0]), max(trajectory.peak_lr, fit.peak_lr)
    if not np.isfinite(peak) or start < share * peak:
        return
    need = _need(run, trajectory, peak, from_scratch_lr, unknown_lr)
    if need is not None:
        yield _finding(trajectory, fit, start, peak, need)


def _starts_late(trajectory: Trajectory, first_step: int) -> bool:
    """Whether the log says nothing about the first updates of the training."""
    group = trajectory.lead
    return group is None or group.steps[0] > first_step or any(part.resumed for part in trajectory.segments[:1])


def _need(run: Run, trajectory: Trajectory, peak: float, from_scratch_lr: float, unknown_lr: float) -> Need | None:
    kind = optimizer_kind(optimizer_of(run))
    batch = trajectory.batch_size
    if kind == "sgd" and batch is not None and batch >= LARGE_BATCH and peak >= LARGE_BATCH_LR:
        return Need(f"SGD with a batch of {batch}", _large_batch_warmup(trajectory))
    model = transformer_of(run)
    if kind != "adam" or model is None or fine_tunes(run):
        return None
    scratch = run.declared("finetune") is False
    if peak < (from_scratch_lr if scratch else unknown_lr):
        return None
    return Need(f"{optimizer_of(run)} on a transformer ({model})", adam_warmup(run, _length(trajectory)))


def _large_batch_warmup(trajectory: Trajectory) -> int:
    epochs = WARMUP_EPOCHS * (trajectory.steps_per_epoch or np.inf)
    return max(1, round(min(epochs, WARMUP_SHARE * _length(trajectory))))


def _length(trajectory: Trajectory) -> int:
    return trajectory.planned_steps or trajectory.steps


def _finding(trajectory: Trajectory, fit: Fit, start: float, peak: float, need: Need) -> Finding:
    group = trajectory.lead
    assert group is not None
    broken = _breaks_at(trajectory)
    harm = f" The loss is not finite from step {broken:.0f} on." if broken is not None else ""
    schedule = _warmed(fit, need.warmup)
    return Finding(
        measured=(
            f"The learning rate at step {group.steps[0]:.0f} is {start:.3g}, {start / peak:.0%} of its peak {peak:.3g}."
        ),
        expected=f"{need.why} is started with a warmup, here of some {need.warmup} updates.",
        consequence=f"The first updates are as large as any, on gradients that mean little yet.{harm}",
        first_step=float(group.steps[0]),
        last_step=float(min(need.warmup, max(trajectory.steps - 1, 0))),
        evidence={
            "first_logged_step": float(group.steps[0]),
            "first_lr": start,
            "peak_lr": peak,
            "reason": need.why,
            "suggested_warmup_steps": need.warmup,
            "loss_breaks_at": broken,
        },
        remedy=Remedy(
            f"Warm up linearly over {need.warmup} updates, then the same schedule, shorter by as much.",
            schedule,
            _code(schedule),
        ),
        severity="error" if broken is not None else None,
    )


def _breaks_at(trajectory: Trajectory) -> float | None:
    """The step at which the loss stops being finite, where that is early."""
    loss = trajectory.loss
    if loss is None:
        return None
    broken = loss.steps[~np.isfinite(loss.values)]
    early = broken[broken <= max(EARLY * _length(trajectory), 1.0)]
    return float(early[0]) if len(early) else None


def _warmed(fit: Fit, warmup: int) -> Schedule:
    """The same schedule behind a warmup, ending where it ended."""
    main, horizon = fit.schedule, fit.schedule.horizon
    if fit.stepped == "epoch":
        return Warmup(Stepped(main, fit.steps_per_tick, "epoch", first_update=-warmup), warmup, START_FACTOR)
    if horizon is not None and horizon > warmup:
        main = with_horizon(main, round(horizon) - warmup)
    return Warmup(main, warmup, START_FACTOR)


def _code(schedule: Schedule) -> str:
    return f"scheduler = {schedule.torch_code()}\n# scheduler.step() after every optimizer.step()"


@rule("LR501")
def no_warmup_configured(config: Plan, *, from_scratch_lr: float = 1e-4, unknown_lr: float = 5e-4) -> Iterator[Finding]:
    lr, total = config.lr, config.total
    warms = config.warmup is not None and config.warmup.steps.high > 0
    if lr is None or warms or config.make is None or config.family == "OneCycleLR" or total.high < MIN_STEPS:
        return
    need = _configured_need(config, lr.value, from_scratch_lr, unknown_lr)
    if need:
        yield config_finding(
            config,
            config.whereabouts(lr, config.scheduler),
            f"The first update is made at the full learning rate, {lr.value:.3g}.",
            f"{need} is started with a warmup.",
            "The first updates are as large as any, on gradients that mean little yet.",
            "Warm up for 1 to 5 % of the run.",
            evidence={"peak_lr": lr.value, "reason": need},
        )


def _configured_need(config: Plan, lr: float, from_scratch_lr: float, unknown_lr: float) -> str:
    """Why the training needs a warmup; empty where it does not, or cannot be told to."""
    optimizer = config.optimizer.value if config.optimizer is not None else ""
    kind, batch = optimizer_kind(optimizer), config.batch.total.low
    if kind == "sgd" and batch >= LARGE_BATCH and lr >= LARGE_BATCH_LR:
        return f"SGD with a batch of {batch:,.0f}"
    model = config.fact("model")
    tunes = bool(config.fact("finetune")) or config.fact("adapter") is not None
    if kind != "adam" or tunes or not isinstance(model, str) or not is_transformer(model):
        return ""
    least = from_scratch_lr if config.fact("finetune") is False else unknown_lr
    return f"{optimizer} on a transformer ({model})" if lr >= least else ""
