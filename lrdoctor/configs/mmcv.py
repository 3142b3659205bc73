"""mmcv 1.x configs (`lr_config`, `runner`), Python with `_base_` chains. Plans are in epochs or iterations.

Read in mmcv 1.7: runner/hooks/lr_updater.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.keys import Keys
from lrdoctor.configs.mmengine import DEPTH, chain
from lrdoctor.configs.shapes import ticks
from lrdoctor.configs.tree import Document
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Plan, PlanUnit, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    ExponentialLR,
    Held,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    Product,
    StepLR,
)

NAME = "mmcv"
_FAMILIES = {
    "step": "MultiStepLR",
    "cosineannealing": "CosineAnnealingLR",
    "poly": "PolynomialLR",
    "exp": "ExponentialLR",
    "fixed": "Constant",
}


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
    known = kind in _FAMILIES and lr is not None
    data = keys.below("data")
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        unit=unit,
        optimizer=keys.below("optimizer").text("type"),
        scheduler=policy,
        lr=lr,
        batch=Batch(data.number("samples_per_gpu", "imgs_per_gpu"), None, context.world()),
        total=total,
        length=length,
        updates_per_epoch=updates,
        family=_FAMILIES.get(kind, "Unknown"),
        make=_maker(kind, lr.value, block, unit, warmup) if lr is not None and known else None,
        unmade="" if known else f"{policy.value} is not computed here",
        warmup=warmup,
        facts=_facts(keys, block),
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


def _maker(kind: str, lr: float, block: Keys, unit: PlanUnit, warmup: WarmupPlan | None) -> Callable[[float], Schedule]:
    def make(total: float) -> Schedule:
        main = _main(kind, lr, block, total)
        main = Held(main) if unit == "epoch" and block.flag("by_epoch", default=True) else main
        steps = warmup.steps.value if warmup is not None else None
        if steps is None or steps <= 0:
            return main
        start = block.number_or("warmup_ratio", 0.1).value  # a start factor, not a share of the run
        return Product(main, LinearLR(1.0, ticks(steps), start, 1.0))

    return make


def _main(kind: str, lr: float, block: Keys, total: float) -> Schedule:
    gamma, ratio = block.number_or("gamma", 0.1).value, block.number("min_lr_ratio")
    floor = lr * ratio.value if ratio is not None else block.number_or("min_lr", 0.0).value
    match kind:
        case "step":
            marks = block.numbers("step")
            if marks is not None and len(marks.value) == 1 and not isinstance(block.root.get("step"), list):
                node = block.root.get("step")
                if node is not None and not node.is_list:
                    return StepLR(lr, ticks(marks.value[0]), gamma)
            return MultiStepLR(lr, tuple(ticks(one) for one in (marks.value if marks is not None else ())), gamma)
        case "cosineannealing":
            return CosineAnnealingLR(lr, ticks(total), floor)
        case "poly":
            return PolynomialLR(lr, ticks(total), block.number_or("power", 1.0).value, floor)
        case "exp":
            return ExponentialLR(lr, gamma)
    return Constant(lr)


def _facts(keys: Keys, block: Keys) -> dict[str, Setting[Any]]:
    named: dict[str, Setting[Any] | None] = {
        "model": keys.below("model").text("type"),
        "min_lr": block.number("min_lr"),
        "finetune": keys.given("load_from"),
    }
    return {key: setting for key, setting in named.items() if setting is not None}
