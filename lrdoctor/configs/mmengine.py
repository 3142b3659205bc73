"""mmengine: Python configs with `_base_` chains, evaluated as syntax trees. Plans are in epochs or iterations.

Read at 25434293: optim/scheduler/param_scheduler.py, runner/runner.py (build_param_scheduler), config/config.py.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence as Seq
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.keys import Keys
from lrdoctor.configs.mmengine_parts import Part, factor_of
from lrdoctor.configs.python_tree import Evaluator, merge
from lrdoctor.configs.tree import Document, Node
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Ignored, Plan, PlanUnit, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    Constant,
    Product,
)
from lrdoctor.schedules.scaled import scaled

NAME = "mmengine"
DEPTH = 12
_OTHER = ("Momentum", "ParamScheduler")
_MAIN = {
    "MultiStepLR": "MultiStepLR",
    "StepLR": "StepLR",
    "CosineAnnealingLR": "CosineAnnealingLR",
    "PolyLR": "PolynomialLR",
    "ExponentialLR": "ExponentialLR",
    "OneCycleLR": "OneCycleLR",
    "CosineRestartLR": "CosineAnnealingWarmRestarts",
    "LinearLR": "LinearLR",
    "ConstantLR": "Constant",
}
_SIGNS = ("param_scheduler", "optim_wrapper")


def sniff(document: Document) -> int:
    if document.kind != "python":
        return 0
    root = document.root
    own = sum(root.get(key) is not None for key in _SIGNS)
    return 4 + own if own else 1 if root.get("_base_") is not None else 0


def plan(document: Document, context: Context) -> Plan | None:
    root, missing, reads = chain(document, context, DEPTH)
    if not any(root.get(key) is not None for key in _SIGNS):
        return None
    keys = Keys(root, NAME)
    lr = keys.below("optim_wrapper").number("optimizer.lr")
    total, length, unit = _length(keys, context)
    updates = context.sizes.updates_per_epoch or Count()
    batch = _batch(keys, context)
    parts = _parts(keys, total, unit)
    peak = _rescaled(lr, keys, batch)
    warmup = _warmup(parts, unit, updates)
    main = next((part for part in reversed(parts) if not part.rises), parts[-1] if parts else None)
    unmade = _unmade(parts, peak)
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        unit=unit,
        optimizer=keys.below("optim_wrapper").text("optimizer.type"),
        scheduler=main.name if main is not None else None,
        lr=peak,
        batch=batch,
        total=total,
        length=length,
        updates_per_epoch=updates,
        family=_MAIN.get(main.name.value, "Unknown") if main is not None else "Constant",
        make=None if unmade or peak is None else _maker(peak.value, parts, unit, updates),
        unmade=unmade,
        warmup=warmup,
        horizon=main.horizon if main is not None else None,
        facts=_facts(keys, parts, total),
        ignored=tuple(_dead_milestones(parts)),
        misread=tuple(keys.misread),
        assumptions=(*((f"base {name}", "not found") for name in missing), *context.remarks(dataset=False)),
        reads=tuple(reads),
    )


def chain(document: Document, context: Context, depth: int) -> tuple[Node, list[str], list[str]]:
    """The config with its `_base_` files merged in; names that were not found; paths that were read."""
    module = ast.parse(document.text)
    base = Node({}, Place(document.path))
    missing: list[str] = []
    reads: list[str] = []
    for name in _bases(document.root):
        other = context.companion(document, name) if depth > 0 else None
        if other is None:
            missing.append(name)
            continue
        inherited, lost, read = chain(other, context, depth - 1)
        base, missing, reads = merge(base, inherited), [*missing, *lost], [*reads, other.path, *read]
    return Evaluator(document.path).module(module, base), missing, reads


def _bases(root: Node) -> list[str]:
    node = root.get("_base_")
    if node is None:
        return []
    items = node.value if node.is_list else [node]
    return [item.value for item in items if isinstance(item.value, str) and item.value.endswith(".py")]


def _length(keys: Keys, context: Context) -> tuple[Count, Setting[float] | None, PlanUnit]:
    loop = keys.below("train_cfg")
    by_epoch = loop.text("type", "by_epoch")
    epochs, iterations = loop.number("max_epochs"), loop.number("max_iters")
    if epochs is not None and (by_epoch is None or "Iter" not in by_epoch.value):
        return Count.exactly(epochs.value), epochs, "epoch"
    if iterations is not None:
        return Count.exactly(iterations.value), iterations, "update"
    return Count(), None, "epoch"


def _batch(keys: Keys, context: Context) -> Batch:
    return Batch(
        keys.below("train_dataloader").number("batch_size"),
        keys.below("optim_wrapper").number("accumulative_counts"),
        context.world(),
    )


def _rescaled(lr: Setting[float] | None, keys: Keys, batch: Batch) -> Setting[float] | None:
    """auto_scale_lr multiplies the learning rate by batch / base_batch_size, where it is switched on."""
    scaling = keys.below("auto_scale_lr")
    base = scaling.number("base_batch_size")
    if lr is None or base is None or not scaling.flag("enable"):
        return lr
    real = batch.total.value
    return keys.derived(lr.value * real / base.value, lr, "scaled by auto_scale_lr") if real is not None else None


def _parts(keys: Keys, total: Count, unit: PlanUnit) -> list[Part]:
    node = keys.root.get("param_scheduler")
    if node is None:
        return []
    items = node.value if node.is_list else [node]
    parts = []
    for index, item in enumerate(items):
        name = f"param_scheduler[{index}]" if node.is_list else "param_scheduler"
        if isinstance(item, Node) and item.is_mapping:
            part = _part(Keys(item, NAME, prefix=f"{name}.", misread=keys.misread), total, unit)
            parts += [part] if part is not None else []
    return parts


def _part(keys: Keys, total: Count, unit: PlanUnit) -> Part | None:
    kind = keys.text("type")
    if kind is None or any(word in kind.value for word in _OTHER):
        return None
    own: PlanUnit = "epoch" if keys.flag("by_epoch", default=True) else "update"
    begin, end = keys.number_or("begin", 0.0).value, keys.number("end")
    length = total.value if own == unit and total.value is not None else float("inf")
    converted = keys.flag("convert_to_iter_based")
    finish = end.value if end is not None else length
    return Part(kind, keys, begin, finish, own, converted or own == "update", converted)


def _warmup(parts: Seq[Part], unit: PlanUnit, updates: Count) -> WarmupPlan | None:
    part = next((one for one in parts if one.rises), None)
    if part is None:
        return None
    asked = part.keys.number("end") or part.keys.default("end", part.end)
    return WarmupPlan(_converted(part.end, part.unit, unit, updates), asked)


def _converted(steps: float, own: PlanUnit, unit: PlanUnit, updates: Count) -> Count:
    """Steps of one unit as steps of the plan's."""
    if own == unit:
        return Count.exactly(steps)
    if own == "update":
        return Count(steps / updates.high if updates.known else 0.0, steps / updates.low)
    return Count(steps * updates.low, steps * updates.high)


def _unmade(parts: Seq[Part], lr: Setting[float] | None) -> str:
    if lr is None:
        return "the learning rate depends on what the config does not say"
    strange = next((part.name.value for part in parts if part.name.value not in _MAIN), None)
    return f"{strange} is not computed here" if strange is not None else ""


def _maker(lr: float, parts: Seq[Part], unit: PlanUnit, updates: Count) -> Any:
    def make(total: float) -> Schedule:
        scales = [(part, _converted(1.0, part.unit, unit, updates).value) for part in parts]
        # a warmup in updates whose share of an epoch is unknown is left out of the curve
        each = 1.0 / updates.low if updates.known else 0.0
        factors = [
            (part, factor_of(part, lr, (scale, each if part.per_update else scale), total))
            for part, scale in scales
            if scale is not None
        ]
        factors.sort(key=lambda pair: pair[0].rises)
        whole = scaled(factors[0][1], lr) if factors else Constant(lr)
        for _, factor in factors[1:]:
            whole = Product(whole, factor)
        return whole

    return make


def _facts(keys: Keys, parts: Seq[Part], total: Count) -> dict[str, Setting[Any]]:
    model = keys.below("model").text("type")
    facts: dict[str, Setting[Any]] = {"model": model} if model is not None else {}
    if (start := keys.text("load_from")) is not None:
        facts["finetune"] = Setting(True, start.origin)
    for part in parts:
        floor = part.keys.number("eta_min")
        if floor is not None:
            facts["min_lr"] = floor
    return facts


def _dead_milestones(parts: Seq[Part]) -> list[Ignored]:
    """Milestones at or behind the scheduler's own end: nothing happens there."""
    dead = []
    for part in parts:
        given = part.keys.numbers("milestones")
        late = [mark for mark in (given.value if given is not None else ()) if part.begin + mark >= part.end]
        if given is not None and late:
            told = ", ".join(f"{mark:g}" for mark in late)
            why = (
                f"the scheduler is over at {part.end:g}, before {'it' if len(late) == 1 else 'they'} would act: {told}"
            )
            end = part.keys.number("end")
            dead.append(Ignored(given, why, "set `end` to the length of the run", "unused", end))
    return dead
