"""mmcv 1.x configs (`lr_config`, `runner`), Python with `_base_` chains. Plans are in epochs or iterations.

Read in mmcv 1.7.2: runner/hooks/lr_updater.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.keys import Keys
from lrdoctor.configs.mmengine import DEPTH, chain
from lrdoctor.configs.shapes import cycles, ticks
from lrdoctor.configs.torch_schedules import torch_schedule
from lrdoctor.configs.tree import Document
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Plan, PlanUnit, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    ExponentialLR,
    Floored,
    Held,
    InverseSqrt,
    LinearLR,
    MultiStepLR,
    Overlaid,
    PolynomialLR,
    Sequence,
    StepLR,
    Stepped,
    WarmupStableDecay,
)

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
CYCLE_TOP, CYCLE_LEAST, CYCLE_UP = 10.0, 1e-4, 0.4  # cyclic's target_ratio and step_ratio_up
FLAT = 0.75  # FlatCosineAnnealing's start_percent


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
        main = _main(kind, lr, block, total * (each or 1.0))
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


def _main(kind: str, lr: float, block: Keys, total: float) -> Schedule:
    gamma, ratio = block.number_or("gamma", 0.1).value, block.number("min_lr_ratio")
    floor = lr * ratio.value if ratio is not None else block.number_or("min_lr", 0.0).value
    power = block.number_or("power", 1.0).value
    match kind:
        case "step":
            return Floored(_steps(lr, block, gamma), floor) if floor else _steps(lr, block, gamma)
        case "cosineannealing":
            return CosineAnnealingLR(lr, ticks(total), floor)
        case "flatcosineannealing":
            flat = float(round(total * block.number_or("start_percent", FLAT).value))
            return WarmupStableDecay(lr, ticks(flat), ticks(total - flat), "cosine", floor / lr)
        case "linearannealing":
            return LinearLR(lr, ticks(total), 1.0, floor / lr)
        case "cosinerestart":
            return _restarts(lr, block, floor, total)
        case "poly":
            return PolynomialLR(lr, ticks(total), power, floor)
        case "exp":
            return ExponentialLR(lr, gamma)
        case "inv":
            return InverseSqrt(lr, 1.0 / gamma, power)
        case "onecycle":
            given = {"total_steps": total, **block.root.plain_value()}
            return torch_schedule("OneCycleLR", lr, given)
        case "cyclic":
            return _cyclic(lr, block, total)
    return Constant(lr)


def _steps(lr: float, block: Keys, gamma: float) -> Schedule:
    """One number is an interval, a list are milestones."""
    node, marks = block.root.get("step"), block.numbers("step")
    values = marks.value if marks is not None else ()
    if node is not None and not node.is_list and len(values) == 1:
        return StepLR(lr, ticks(values[0]), gamma)
    return MultiStepLR(lr, tuple(ticks(one) for one in values), gamma)


def _restarts(lr: float, block: Keys, floor: float, total: float) -> Schedule:
    """Cosines of the given lengths, each from its own share of the learning rate."""
    periods, weights = block.numbers("periods"), block.numbers("restart_weights")
    if periods is None or sum(periods.value) < total:
        raise ValueError("the periods of CosineRestart do not fill the run, on which mmcv raises")
    shares = weights.value if weights is not None else (1.0,)

    def cosine(number: int) -> Schedule:
        top = floor + (lr - floor) * shares[number]
        return CosineAnnealingLR(top, ticks(periods.value[number]), floor)

    return cycles(total, lambda number: periods.value[number], cosine)


def _cyclic(lr: float, block: Keys, total: float) -> Schedule:
    """Cosines up from lr to target_ratio[0] * lr and down to target_ratio[1] * lr, cyclic_times in the run."""
    ratios = block.numbers("target_ratio")
    values = ratios.value if ratios is not None else (CYCLE_TOP, CYCLE_LEAST)
    top, least = values if len(values) == 2 else (values[0], values[0] / 1e5)
    length = float(int(total // block.number_or("cyclic_times", 1.0).value))
    up = float(int(block.number_or("step_ratio_up", CYCLE_UP).value * length))
    shrink, straight = block.number_or("gamma", 1.0).value, block.text_or("anneal_strategy", "cos").value == "linear"

    def phase(start: float, end: float, steps: float) -> Schedule:
        if straight:
            return LinearLR(lr, ticks(steps), start, end)
        return CosineAnnealingLR(lr * start, ticks(steps), lr * end)

    def cycle(number: int) -> Schedule:
        peak = 1.0 + (top - 1.0) * shrink**number
        down = phase(peak, least, length - up)
        return Sequence((phase(1.0, peak, up), down), (up,)) if up > 0 else down

    return cycles(total, lambda number: length, cycle)


def _facts(keys: Keys, block: Keys) -> dict[str, Setting[Any]]:
    named: dict[str, Setting[Any] | None] = {
        "model": keys.below("model").text("type"),
        "min_lr": block.number("min_lr"),
        "finetune": keys.given("load_from"),
    }
    return {key: setting for key, setting in named.items() if setting is not None}
