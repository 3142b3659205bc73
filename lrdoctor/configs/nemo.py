"""NeMo 1. Read in nemo-toolkit 3.0.0: core/optim/lr_scheduler.py, core/classes/modelPT.py (setup_optimization)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.keys import Keys, interpolated
from lrdoctor.configs.shapes import ahead, ticks, warmed
from lrdoctor.configs.tree import Document
from lrdoctor.configs.yaml_tree import as_omegaconf
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Ignored, Plan, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    Floored,
    InverseSqrt,
    LinearLR,
    PolynomialLR,
    Sequence,
    WarmupStableDecay,
)

NAME = "nemo"
_FAMILIES = {
    "CosineAnnealing": "CosineAnnealingLR",
    "WarmupPolicy": "Constant",
    "WarmupHoldPolicy": "Constant",
    "WarmupAnnealing": "LinearLR",
    "PolynomialDecayAnnealing": "PolynomialLR",
    "InverseSquareRootAnnealing": "InverseSqrt",
    "NoamAnnealing": "InverseSqrt",
    "NoamHoldAnnealing": "InverseSqrt",
    "SquareAnnealing": "PolynomialLR",
    "SquareRootAnnealing": "PolynomialLR",
    "PolynomialHoldDecayAnnealing": "PolynomialLR",
    "WarmupHoldAnnealLinear": "WarmupStableDecay",
    "WarmupHoldAnnealOneMinusSquareRoot": "WarmupStableDecay",
}
_SQUARE_LEAST = 1e-5  # SquareAnnealing's min_lr


def sniff(document: Document) -> int:
    root = document.root
    if root.get("trainer") is None and root.get("model.global_batch_size") is None:
        return 0
    optim = root.get("model.optim") or root.get("optim")
    if optim is None or optim.get("lr") is None:
        return 0
    return 7 if optim.get("sched") is not None or root.get("exp_manager") is not None else 5


def plan(document: Document, context: Context) -> Plan:
    keys = Keys(interpolated(as_omegaconf(document.root)), NAME)
    model = keys.below("model") if keys.has("model.optim") else keys
    optim, trainer = model.below("optim"), keys.below("trainer")
    block = optim.below("sched")
    name, lr = block.text("name"), optim.number("lr")
    batch = _batch(model, trainer, context)
    updates = context.updates_per_epoch(batch)
    total, length = _length(trainer, updates)
    warmup = _warmup(block, total)
    kind = name.value if name is not None else ""
    unmade = "" if not kind or kind in _FAMILIES else f"{kind} is not computed here"
    if kind == "NoamAnnealing":
        lr, unmade = _noam_peak(block, lr, warmup)
    horizon, ignored = _horizon(block, trainer)
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        optimizer=optim.text("name"),
        scheduler=name,
        lr=lr,
        batch=batch,
        total=total,
        length=length,
        updates_per_epoch=updates,
        family=_FAMILIES.get(kind, "Unknown") if kind else "Constant",
        make=None if unmade or lr is None else _maker(kind, lr.value, block, warmup),
        unmade=unmade,
        warmup=warmup,
        horizon=horizon,
        facts=_facts(keys, model, block),
        ignored=tuple(ignored),
        misread=tuple(keys.misread),
        assumptions=tuple(context.remarks(world=False, dataset=not total.known)),
    )


def _batch(model: Keys, trainer: Keys, context: Context) -> Batch:
    whole = model.number("global_batch_size")
    devices, nodes = trainer.number("devices"), trainer.number("num_nodes")
    world = devices.value * (nodes.value if nodes is not None else 1.0) if devices is not None else None
    return Batch(
        model.number("micro_batch_size", "train_ds.batch_size"),
        trainer.number("accumulate_grad_batches"),
        context.world(world if world and world > 0 else None),
        whole,
    )


def _length(trainer: Keys, updates: Count) -> tuple[Count, Setting[float] | None]:
    steps, epochs = trainer.number("max_steps"), trainer.number("max_epochs")
    if steps is not None and steps.value > 0:
        return Count.exactly(steps.value), steps
    if epochs is not None and epochs.value > 0:
        return updates.times(epochs.value), epochs
    return Count(), None


def _warmup(block: Keys, total: Count) -> WarmupPlan | None:
    steps, ratio = block.number("warmup_steps"), block.number("warmup_ratio")
    if steps is not None and steps.value > 0:
        return WarmupPlan(Count.exactly(steps.value), steps)
    if ratio is not None and ratio.value > 0:
        return WarmupPlan(total.part(ratio.value, up=False), ratio, ratio.value)
    return None


def _horizon(block: Keys, trainer: Keys) -> tuple[Setting[float] | None, list[Ignored]]:
    """sched.max_steps is overwritten where the trainer has a max_steps of its own; custom schedules keep theirs."""
    own, steps = block.number("max_steps"), trainer.number("max_steps")
    other = block.number("max_steps_for_lr_sched")
    if own is None or steps is None or steps.value < 0:
        return own or other, []
    if own.value == steps.value:
        return None, []
    why = "NeMo writes trainer.max_steps over it"
    return other, [Ignored(own, why, "set trainer.max_steps, or leave this one out", instead=steps)]


def _noam_peak(
    block: Keys, factor: Setting[float] | None, warmup: WarmupPlan | None
) -> tuple[Setting[float] | None, str]:
    """(peak, why there is none): Noam's `lr` is a factor of 1 / sqrt(d_model * warmup)."""
    width, steps = block.number("d_model"), warmup.steps.value if warmup is not None else None
    if factor is None or width is None or steps is None or width.value <= 0 or steps <= 0:
        return None, "NoamAnnealing takes its peak from d_model and the warmup, which are not both known"
    note = "lr / sqrt(d_model * warmup_steps)"
    return block.derived(factor.value / math.sqrt(width.value * steps), factor, note), ""


def _maker(kind: str, lr: float, block: Keys, warmup: WarmupPlan | None) -> Callable[[float], Schedule]:
    def make(total: float) -> Schedule:
        if warmup is None:
            steps = 0.0
        else:
            steps = float(int(total * warmup.fraction)) if warmup.fraction is not None else warmup.steps.low
        if not kind:
            return Constant(lr)
        floor, tail = block.number_or("min_lr", 0.0).value, _length_of(block, "constant", total)
        if kind == "CosineAnnealing" and tail:
            left = total - steps - tail
            if left <= 0:
                raise ValueError("no step is left for the decay")
            return warmed(CosineAnnealingLR(lr, ticks(left), floor, True), steps)
        if kind == "NoamAnnealing":
            return _noam(lr, steps, floor)
        main = _main(kind, lr, block, floor, steps, total)
        if steps <= 0:
            return main
        rise = LinearLR(lr, ticks(steps + 1.0), 1.0 / (steps + 1.0), 1.0 + 1.0 / (steps + 1.0))  # (k + 1) / (W + 1)
        return Sequence((rise, ahead(main, 1.0)), (steps + 1.0,))

    return make


def _length_of(block: Keys, name: str, total: float) -> float:
    """`NAME_steps`, or `NAME_ratio` of the run."""
    ratio = block.number(f"{name}_ratio")
    return float(int(ratio.value * total)) if ratio is not None else block.number_or(f"{name}_steps", 0.0).value


def _noam(peak: float, steps: float, floor: float) -> Schedule:
    """Both sides meet at the warmup's end; the first update is counted as the second."""
    fall = Floored(InverseSqrt(peak, steps), floor)
    rise = LinearLR(peak, ticks(steps), 0.0, 1.0)
    return Sequence((Constant(peak / steps), ahead(rise, 1.0), fall), (1.0, steps))


def _main(kind: str, lr: float, block: Keys, floor: float, steps: float, total: float) -> Schedule:
    """What follows the warmup. A hold lasts from its end; the decays of those without one are over the whole run."""
    hold, left = _length_of(block, "hold", total), max(1.0, total - steps)
    rest = max(1.0, left - hold)
    power = block.number_or("power", 1.0).value
    match kind:
        case "CosineAnnealing":
            return CosineAnnealingLR(lr, ticks(left), floor, True)
        case "WarmupAnnealing":
            return LinearLR(lr, ticks(left), 1.0, floor / lr)
        case "PolynomialDecayAnnealing":
            return PolynomialLR(lr, ticks(left), power, floor)
        case "PolynomialHoldDecayAnnealing":
            return Sequence((Constant(lr), PolynomialLR(lr, ticks(rest), power, floor)), (hold,))
        case "SquareAnnealing":
            return Floored(PolynomialLR(lr, ticks(left), 2.0), block.number_or("min_lr", _SQUARE_LEAST).value)
        case "SquareRootAnnealing":
            return Floored(ahead(PolynomialLR(lr, ticks(total), 0.5), steps), floor)
        case "InverseSquareRootAnnealing":
            return InverseSqrt(lr, steps + 1.0)
        case "NoamHoldAnnealing":
            fall = InverseSqrt(lr, max(1.0, steps), block.number_or("decay_rate", 0.5).value)
            return Sequence((Constant(lr), Floored(fall, floor)), (hold,))
        case "WarmupHoldAnnealLinear" if hold:
            return WarmupStableDecay(lr, ticks(hold), ticks(rest), "linear", floor / lr)
        case "WarmupHoldAnnealOneMinusSquareRoot" if hold:
            return Floored(WarmupStableDecay(lr, ticks(hold), ticks(rest), "1-sqrt"), floor)
        case "WarmupHoldAnnealLinear" | "WarmupHoldAnnealOneMinusSquareRoot":
            raise ValueError(f"{kind} jumps where it has no hold")
    return Constant(lr)


def _facts(keys: Keys, model: Keys, block: Keys) -> dict[str, Setting[Any]]:
    named: dict[str, Setting[Any] | None] = {
        "min_lr": block.number("min_lr"),
        "constant_steps": block.number("constant_steps"),
        "hold_steps": block.number("hold_steps"),
        "model": model.text("name") or keys.below("run").text("name"),
        "finetune": model.given("restore_from_path"),
    }
    return {key: setting for key, setting in named.items() if setting is not None}
