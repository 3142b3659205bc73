"""mmcv 1.x configs (`lr_config`, `runner`), Python with `_base_` chains. Plans are in epochs or iterations.

Read in mmcv 1.7.2: runner/hooks/lr_updater.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.keys import Keys
from lrdoctor.configs.milestones import late
from lrdoctor.configs.mmcv_policies import CYCLE_TOP, policy_schedule
from lrdoctor.configs.mmengine import DEPTH, chain
from lrdoctor.configs.tree import Document
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Ignored, Plan, PlanUnit, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import Held, Overlaid, Stepped

NAME = "mmcv"
_FAMILIES = {
    "step": "MultiStepLR",
    "cosineannealing": "CosineAnnealingLR",
    "poly": "PolynomialLR",
    "exp": "ExponentialLR",
    "fixed": "Constant",
    "inv": "InverseSqrt",
    "flatcosineannealing": "WarmupStableDecay",
    "linearannealing": "LinearLR",
    "cosinerestart": "CosineAnnealingWarmRestarts",
    "onecycle": "OneCycleLR",
    "cyclic": "CyclicLR",
}
_BY_UPDATE = ("onecycle", "cyclic")  # never once an epoch
_RAMPS = {"linear": "linear", "constant": "constant", "exp": "exponential"}


def sniff(document: Document) -> int:
    if document.kind != "python":
        return 0
    return 6 if document.root.get("lr_config") is not None else 0


def plan(document: Document, context: Context) -> Plan:
    root, missing, reads = chain(document, context, DEPTH)
    keys = Keys(root, NAME)
    block, lr = keys.below("lr_config"), keys.below("optimizer").number("lr")
    total, length, unit = _length(keys)
    policy = block.text_or("policy", "fixed")
    kind = policy.value.lower()
    updates = context.sizes.updates_per_epoch or Count()
    warmup = _warmup(block, unit, updates)
    unmade = _unmade(kind, block, unit, updates)
    data = keys.below("data")
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        unit=unit,
        optimizer=keys.below("optimizer").text("type"),
        scheduler=policy,
        lr=_peak(kind, block, lr),
        batch=Batch(data.number("samples_per_gpu", "imgs_per_gpu"), None, context.world()),
        total=total,
        length=length,
        updates_per_epoch=updates,
        family=_FAMILIES.get(kind, "Unknown"),
        make=None if lr is None or unmade else _maker(kind, lr.value, block, unit, warmup, updates),
        unmade=unmade,
        warmup=warmup,
        facts=_facts(keys, block),
        ignored=tuple(_late_steps(kind, block, unit, total, length)),
        misread=tuple(keys.misread),
        assumptions=(*((f"base {name}", "not found") for name in missing), *context.remarks(dataset=False)),
        reads=tuple(reads),
    )


def _length(keys: Keys) -> tuple[Count, Setting[float] | None, PlanUnit]:
    runner = keys.below("runner")
    epochs, iterations = runner.number("max_epochs") or keys.number("total_epochs"), runner.number("max_iters")
    if epochs is not None:
        return Count.exactly(epochs.value), epochs, "epoch"
    return (
        (Count.exactly(iterations.value), iterations, "update") if iterations is not None else (Count(), None, "epoch")
    )


def _warmup(block: Keys, unit: PlanUnit, updates: Count) -> WarmupPlan | None:
    """warmup_iters counts updates, or epochs with warmup_by_epoch."""
    if block.text("warmup") is None:
        return None
    asked = block.number_or("warmup_iters", 0.0)
    own: PlanUnit = "epoch" if block.flag("warmup_by_epoch") else "update"
    if own == unit:
        return WarmupPlan(Count.exactly(asked.value), asked)
    if unit == "epoch":
        return WarmupPlan(Count(asked.value / updates.high if updates.known else 0.0, asked.value / updates.low), asked)
    return WarmupPlan(updates.times(asked.value), asked)


def _late_steps(
    kind: str, block: Keys, unit: PlanUnit, total: Count, length: Setting[float] | None
) -> list[Ignored]:
    node = block.root.get("step")
    counted = unit == ("epoch" if _by_epoch(kind, block) else "update")
    listed = kind == "step" and node is not None and node.is_list
    return late(block.numbers("step"), total, unit, length) if listed and counted else []


def _unmade(kind: str, block: Keys, unit: PlanUnit, updates: Count) -> str:
    if kind not in _FAMILIES:
        return f"{kind} is not computed here"
    counts = kind in ("step", "exp", "inv", "cosinerestart", "cyclic", "onecycle")
    if counts and unit == "epoch" and not _by_epoch(kind, block) and not updates.known:
        return f"{kind} counts updates here, and how many an epoch has is unknown"
    return ""


def _by_epoch(kind: str, block: Keys) -> bool:
    return kind not in _BY_UPDATE and block.flag("by_epoch", default=True)


def _peak(kind: str, block: Keys, lr: Setting[float] | None) -> Setting[float] | None:
    """OneCycle sets its own, cyclic a multiple of the optimizer's."""
    if kind == "onecycle":
        return block.number("max_lr") or lr
    ratios = block.numbers("target_ratio")
    if kind != "cyclic" or lr is None:
        return lr
    top = ratios.value[0] if ratios is not None else CYCLE_TOP
    return block.derived(lr.value * top, ratios or lr, "target_ratio * lr")


def _maker(
    kind: str, lr: float, block: Keys, unit: PlanUnit, warmup: WarmupPlan | None, updates: Count
) -> Callable[[float], Schedule]:
    """In the plan's unit. A policy that counts updates in a plan of epochs is computed in updates, then slowed down."""
    by_epoch = _by_epoch(kind, block)
    each = updates.value if unit == "epoch" and not by_epoch and updates.known else None

    def make(total: float) -> Schedule:
        main = policy_schedule(kind, lr, block, total * (each or 1.0))
        if each is not None:
            main = Stepped(main, updates_per_tick=1.0 / each)
        main = Held(main) if unit == "epoch" and by_epoch else main
        steps = warmup.steps.value if warmup is not None else None
        if steps is None or steps <= 0:
            return main
        start = block.number_or("warmup_ratio", 0.1).value  # a start factor, not a share of the run
        shape = _RAMPS.get(block.text_or("warmup", "linear").value, "linear")
        return Overlaid(main, steps, start, shape, "times")

    return make


def _facts(keys: Keys, block: Keys) -> dict[str, Setting[Any]]:
    named: dict[str, Setting[Any] | None] = {
        "model": keys.below("model").text("type"),
        "min_lr": block.number("min_lr"),
        "finetune": keys.given("load_from"),
    }
    return {key: setting for key, setting in named.items() if setting is not None}
