"""The batch size changed and the learning rate did not.

## What it does
Compares the run with the other runs of the same audit: same model, same optimizer, same framework, a batch at least
four times smaller, and the same peak learning rate. The run with the larger batch is reported. It also compares with
published recipes whose learning rate was copied while the batch was not.

In a training config: the same recipes, and, with `--against`, the config as it was before: a batch that changed
at least `ratio`-fold while the learning rate stayed.

## Why is this bad?
A larger batch averages more gradients into each update and can take, and needs, a larger step: with SGD about in
proportion to the batch, with Adam about to its square root. At the old learning rate each epoch gets fewer updates of
the same size, so the run learns less per epoch. A smaller batch at a recipe's learning rate may diverge.

## How to fix it
SGD: multiply the learning rate by the ratio of the batch sizes. Adam: by its square root. Lengthen the warmup to about
five epochs where the ratio is above four. Both rules hold up to a critical batch size that depends on the task, so
treat the result as where to start a search.

Not reported: batches within a factor of four, runs whose learning rate was varied at that batch (a search),
fine-tuning, batches counted in tokens, optimizers that set their own step size (LAMB, LARS, Adafactor), baselines of
8192 or more, and runs that cannot be told to train the same model.

## Options
- `ratio`: smallest ratio of batch sizes that is reported.
- `same_lr`: largest relative difference at which two peak learning rates count as the same.

## References
- Goyal et al. 2017: linear scaling for SGD, up to a batch of about 8192
- Malladi et al. 2022: square-root scaling for Adam; Shallue et al. 2019: no rule holds everywhere
- torchvision references/detection and mmdetection: 0.02 for 16 images
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lrdoctor import (
    BasePlan,
    Case,
    CosineAnnealingLR,
    Finding,
    Fit,
    Plan,
    Remedy,
    Run,
    Schedule,
    Setting,
    Sibling,
    Trajectory,
    config_finding,
    optimizer_kind,
    optimizer_of,
    rule,
    scaled,
    synth,
)

LARGEST_BASELINE = 8192
"""Beyond this linear scaling saturates (Goyal et al. 2017, figure 1)."""
NOT_SCALED = re.compile(r"lamb|lars", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A published learning rate and the batch it was meant for."""

    name: str
    model: re.Pattern[str]
    lr: float
    batch_size: int


RECIPES = (
    Recipe("R-CNN on 8 GPUs with 2 images each (torchvision, mmdetection)", re.compile(r"r-?cnn", re.I), 0.02, 16),
)

COSINE = CosineAnnealingLR(0.01, T_max=256)
NET = {"model": "resnet18"}


def _run(
    batch_size: int | None, lr: float = 0.01, optimizer: str = "SGD", path: str = "runs/a", **declared: object
) -> synth.RunSpec:
    return synth.run(
        replace(COSINE, lr=lr), steps=256, optimizer=optimizer, batch_size=batch_size, path=path,
        declared={**NET, **declared},  # type: ignore[dict-item]  # plain values
    )  # fmt: skip


SMALL = (_run(32, path="runs/small"),)
CHANGED = """
    model_name_or_path: some/model
    learning_rate: {1}
    per_device_train_batch_size: {0}
    max_steps: 1000
    warmup_steps: 50
"""
DETECTOR = """
    MODEL: {{META_ARCHITECTURE: GeneralizedRCNN}}
    SOLVER: {{IMS_PER_BATCH: {}, BASE_LR: {}, STEPS: "(60000, 80000)", MAX_ITER: 90000}}
"""
CASES = (
    Case("16 times the batch of a sibling at the same learning rate", _run(512), fires=True, siblings=SMALL),
    Case("4 times the batch, Adam", _run(128, optimizer="AdamW"), fires=True,
         siblings=(_run(32, optimizer="AdamW", path="runs/small"),)),
    Case("a detector's learning rate for 16 images, with 2", _run(2, lr=0.02, model="faster_rcnn_r50"), fires=True),
    Case("the learning rate was scaled with the batch", _run(512, lr=0.16), siblings=SMALL),
    Case("Adam, scaled with the square root", _run(512, lr=0.04, optimizer="Adam"),
         siblings=(_run(32, optimizer="Adam", path="runs/small"),)),
    Case("just below four times the batch", _run(127), siblings=SMALL),
    Case("the run with the smaller batch is the baseline", _run(32), siblings=(_run(512, path="runs/large"),)),
    Case("another model", _run(512, model="vit"), siblings=SMALL),
    Case("another optimizer", _run(512, optimizer="AdamW"), siblings=SMALL),
    Case("the learning rate was searched at this batch", _run(512),
         siblings=(*SMALL, _run(512, lr=0.05, path="runs/b"))),
    Case("fine-tuning", _run(512, finetune=True), siblings=SMALL),
    Case("no batch size is known", _run(None), siblings=SMALL),
    Case("LAMB scales by itself", _run(512, optimizer="LAMB"), siblings=(_run(32, optimizer="LAMB", path="runs/s"),)),
    Case("a detector at its recipe's batch", _run(16, lr=0.02, model="faster_rcnn_r50")),
    Case("a change that takes 8 devices' batch for one",
         synth.config(CHANGED.format(64, "1.0e-4"), against=CHANGED.format(8, "1.0e-4")), fires=True,
         cured=synth.config(CHANGED.format(64, "3.0e-4"), against=CHANGED.format(8, "1.0e-4"))),
    Case("a change below four times the batch",
         synth.config(CHANGED.format(24, "1.0e-4"), against=CHANGED.format(8, "1.0e-4"))),
    Case("a detector's config with its learning rate for 16 images, and 2",
         synth.config(DETECTOR.format(2, 0.02)), fires=True, cured=synth.config(DETECTOR.format(2, 0.0025))),
    Case("a detector's config as published", synth.config(DETECTOR.format(16, 0.02))),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the run is compared with."""

    name: str
    batch_size: int
    lr: float


def smaller_batch(
    own: Sibling, others: Sequence[Sibling], *, ratio: float = 4.0, same_lr: float = 0.05
) -> tuple[Sibling, ...]:
    """The run with the smallest batch and the same peak, unless the learning rate was varied at this run's batch."""
    batch, peak = own.batch_size, own.peak_lr
    if not batch or not peak or not own.optimizer:
        return ()
    peers = [one for one in others if one.batch_size and one.peak_lr and _same_training(own, one)]
    if any(one.batch_size == batch and not _same(one.peak_lr or 0.0, peak, same_lr) for one in peers):
        return ()
    found = [
        (one.batch_size, one.path, one)
        for one in peers
        if one.batch_size and one.peak_lr and batch >= ratio * one.batch_size and one.batch_size < LARGEST_BASELINE
        and _same(one.peak_lr, peak, same_lr)
    ]  # fmt: skip
    return (min(found, key=lambda one: one[:2])[2],) if found else ()


def _training(run: Sibling) -> tuple[str | None, ...] | None:
    """The model and the optimizer, as far as the run's files say; the folder stands for a model without a name."""
    if not run.optimizer or not run.batch_size or not run.peak_lr:
        return None
    return run.framework, run.optimizer.lower(), run.model, run.folder if run.model is None else None


@rule("LR401", compares=smaller_batch, within=_training)
def lr_not_scaled_for_batch(
    run: Run,
    own: Sibling,
    trajectory: Trajectory,
    fit: Fit,
    siblings: tuple[Sibling, ...] | None,
    *,
    ratio: float = 4.0,
    same_lr: float = 0.05,
) -> Iterator[Finding]:
    kind, batch, peak = _kind(optimizer_of(run)), trajectory.batch_size, _peak(trajectory, fit)
    if kind is None or not batch or not peak or _exempt(run):
        return
    compared = smaller_batch(own, siblings or (), ratio=ratio, same_lr=same_lr)
    baseline = _baseline(compared) or _recipe(run, kind, batch, peak, ratio, same_lr)
    if baseline is not None:
        yield _finding(run, trajectory, fit, kind, batch, peak, baseline)


def _kind(optimizer: str | None) -> Literal["adam", "sgd"] | None:
    """The family that decides how the two go together; None where no rule is known."""
    kind = optimizer_kind(optimizer)
    if optimizer is None or NOT_SCALED.search(optimizer):
        return None
    return kind if kind in ("adam", "sgd") else None


def _peak(trajectory: Trajectory, fit: Fit) -> float | None:
    peak = fit.peak_lr if fit.family != "Unknown" else trajectory.peak_lr
    return peak if peak > 0 else None


def _exempt(run: Run) -> bool:
    """Fine-tuning picks small learning rates on purpose; a batch of so many tokens is no number of examples."""
    return run.declared("finetune") is True or run.declared("max_tokens") is not None


def _same_training(own: Sibling, other: Sibling) -> bool:
    """Whether two runs that are the same to `_training` train the same: a model without a name is told by its loss."""
    return own.model is not None or own.started_as(other)


def _baseline(compared: tuple[Sibling, ...]) -> Baseline | None:
    found = [Baseline(one.path, one.batch_size, one.peak_lr) for one in compared if one.batch_size and one.peak_lr]
    return found[0] if found else None


def _same(lr: float, other: float, same_lr: float) -> bool:
    return abs(lr - other) <= same_lr * max(lr, other)


def _recipe(run: Run, kind: str, batch: int, peak: float, ratio: float, same_lr: float) -> Baseline | None:
    """The recipe whose learning rate the run has, for a batch of another size."""
    model = run.declared("model")
    if not isinstance(model, str) or kind != "sgd":
        return None
    for recipe in RECIPES:
        apart = max(batch / recipe.batch_size, recipe.batch_size / batch) >= ratio
        if recipe.model.search(model) and apart and _same(peak, recipe.lr, same_lr):
            return Baseline(recipe.name, recipe.batch_size, recipe.lr)
    return None


def _finding(
    run: Run,
    trajectory: Trajectory,
    fit: Fit,
    kind: Literal["adam", "sgd"],
    batch: int,
    peak: float,
    baseline: Baseline,
) -> Finding:
    times = batch / baseline.batch_size
    factor = times if kind == "sgd" else times**0.5
    rule_name = "in proportion to the batch (SGD)" if kind == "sgd" else "with the square root of the batch (Adam)"
    wanted = peak * factor
    effect = "each epoch learns less than it could" if times > 1 else "the updates are too noisy for such steps"
    return Finding(
        measured=(
            f"The batch is {batch}, {times:.3g} times the {baseline.batch_size} of {baseline.name}, at the same peak "
            f"learning rate {peak:.3g}."
        ),
        expected=f"Scaled {rule_name} it would be {wanted:.3g}.",
        consequence=f"If the rule holds for this task, {effect}; it is where to start a search, not a law.",
        first_step=0.0,
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence={
            "batch_size": batch,
            "baseline_batch_size": baseline.batch_size,
            "batch_ratio": times,
            "peak_lr": peak,
            "baseline_lr": baseline.lr,
            "suggested_lr": wanted,
            "baseline": baseline.name,
            "optimizer": optimizer_of(run),
        },
        remedy=_remedy(fit, factor, wanted),
    )


def _remedy(fit: Fit, factor: float, wanted: float) -> Remedy:
    schedule: Schedule = scaled(fit.whole, factor)
    return Remedy(
        f"Start a search at a peak learning rate of {wanted:.3g}.",
        schedule,
        f"# build the optimizer with lr={wanted:.6g}\nscheduler = {schedule.torch_code()}",
    )


@rule("LR401")
def configured_lr_not_scaled(
    config: Plan, base: BasePlan | None, *, ratio: float = 4.0, same_lr: float = 0.02
) -> Iterator[Finding]:
    optimizer = config.optimizer.value if config.optimizer is not None else ""
    if config.lr is None or "scaled_lr" in config.facts or NOT_SCALED.search(optimizer):
        return
    if config.lr.value == 0 or config.batch.total.low == 0:
        return
    if base is not None and base.plan.lr is not None and base.plan.lr.value != 0 and base.plan.batch.total.low > 0:
        change = config.batch.total.low / base.plan.batch.total.low
        kept = abs(config.lr.value / base.plan.lr.value - 1.0) <= same_lr
        if kept and max(change, 1.0 / change) >= ratio:
            yield _batch_changed(config, base.plan, change)
            return
    recipe = _recipe_of(config, ratio, same_lr)
    if recipe is not None:
        yield _recipe_copied(config, recipe)


def _batch_changed(config: Plan, base: Plan, change: float) -> Finding:
    assert config.lr is not None
    before, now = base.batch.total, config.batch.total
    kind = optimizer_kind(config.optimizer.value if config.optimizer is not None else None)
    factor = change if kind == "sgd" else change**0.5
    by = "in proportion to the batch" if kind == "sgd" else "with the square root of the batch"
    return config_finding(
        config,
        config.whereabouts(*_changed_parts(config, base), config.lr),
        f"The batch goes from {before} to {now} examples, {max(change, 1 / change):.3g} times "
        f"{'more' if change > 1 else 'fewer'}, and the learning rate stays at {config.lr.value:.3g}.",
        f"It usually changes {by}: to about {config.lr.value * factor:.2g}.",
        "The run learns less per epoch." if change > 1 else "The run may diverge.",
        f"Start a search at {config.lr.value * factor:.2g}, or keep the batch.",
        evidence={"batch_ratio": change, "lr": config.lr.value, "suggested_lr": config.lr.value * factor},
    )


def _changed_parts(config: Plan, base: Plan) -> tuple[Setting[float] | None, ...]:
    """What makes up the batch, what has changed first."""
    now, before = config.batch, base.batch
    parts = (now.per_device, before.per_device), (now.accumulation, before.accumulation), (now.whole, before.whole)
    changed = [part for part, old in parts if part is not None and (old is None or old.value != part.value)]
    return (*changed, now.per_device, now.whole, now.accumulation)


def _recipe_of(config: Plan, ratio: float, same_lr: float) -> Recipe | None:
    model, batch = config.fact("model"), config.batch.total.value
    if not isinstance(model, str) or batch is None or config.lr is None:
        return None
    for recipe in RECIPES:
        change = recipe.batch_size / batch
        copied = abs(config.lr.value / recipe.lr - 1.0) <= same_lr
        if recipe.model.search(model) and copied and max(change, 1.0 / change) >= ratio:
            return recipe
    return None


def _recipe_copied(config: Plan, recipe: Recipe) -> Finding:
    assert config.lr is not None
    batch = config.batch.total.low
    wanted = recipe.lr * batch / recipe.batch_size
    return config_finding(
        config,
        config.lr,
        f"The learning rate {config.lr.value:.3g} is the published one of {recipe.name}, for a batch of "
        f"{recipe.batch_size}; here the batch is {batch:,.0f}.",
        f"In proportion to the batch it would be {wanted:.3g}.",
        "The run may diverge." if batch < recipe.batch_size else "The run learns less per epoch.",
        f"Set {config.lr.key} to {wanted:.3g}.",
        evidence={"lr": config.lr.value, "batch_size": batch, "recipe_batch": recipe.batch_size, "wanted_lr": wanted},
    )
