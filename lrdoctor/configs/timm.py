"""timm's train.py: args.yaml or its flags. Plans are in epochs, or in updates with --sched-on-updates.

Read at aa4b5850: train.py, scheduler/scheduler_factory.py, cosine_lr.py, step_lr.py, multistep_lr.py, poly_lr.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.keys import Keys
from lrdoctor.configs.shapes import MOST_CYCLES, ahead, ticks
from lrdoctor.configs.tree import Document
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Ignored, Plan, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import Constant, CosineAnnealingLR, Held, LinearLR, MultiStepLR, PolynomialLR, Sequence, StepLR

NAME = "timm"
LR_BASE, LR_BASE_SIZE = 0.1, 256.0
_IN_CYCLES = ("cosine", "poly")
_FAMILIES = {
    "cosine": "CosineAnnealingLR",
    "step": "StepLR",
    "multistep": "MultiStepLR",
    "poly": "PolynomialLR",
    "plateau": "ReduceLROnPlateau",
}
_WITHOUT_FLOOR = ("step", "multistep")


def sniff(document: Document) -> int:
    root = document.root
    named = root.has("sched", "warmup_lr", "opt") or (document.kind == "shell" and root.has("sched", "opt"))
    return 6 if named else 0


def plan(document: Document, context: Context) -> Plan:
    keys = Keys(document.root, NAME, converts=True)  # args.yaml becomes argparse's defaults, which converts strings
    optimizer = keys.text_or("opt", "sgd")
    launcher = keys.below("@launcher")
    devices = launcher.number("nproc_per_node")
    batch = Batch(
        keys.number("batch_size", "b") or keys.default("batch_size", 128.0),
        keys.number("grad_accum_steps"),
        context.world(devices.value if devices is not None else None),
    )
    updates = context.updates_per_epoch(batch)
    lr, lr_told = _lr(keys, optimizer.value, batch)
    sched = keys.text_or("sched", "cosine")
    epochs, cooldown = keys.number_or("epochs", 300.0), keys.number_or("cooldown_epochs", 0.0).value
    ramp = keys.number_or("warmup_epochs", 5.0)
    prefix = keys.flag("warmup_prefix")
    total = _length(keys, sched.value, epochs.value, cooldown) + (ramp.value if prefix else 0.0)
    unmade = "" if sched.value in _FAMILIES and sched.value != "plateau" else f"{sched.value} is not computed here"
    if lr is None:
        unmade = "the learning rate follows the batch, and the number of processes is unknown"
    floor = keys.number_or("min_lr", 0.0)
    ignored = []
    if sched.value in _WITHOUT_FLOOR and floor.explicit and floor.value > 0:
        ignored.append(Ignored(floor, f"the scheduler {sched.value} has no least learning rate", "leave it out"))
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        unit="epoch",
        optimizer=optimizer,
        scheduler=sched,
        lr=lr,
        batch=batch,
        total=Count.exactly(total),
        length=epochs,
        updates_per_epoch=updates,
        family=_FAMILIES.get(sched.value, "Unknown"),
        make=None if unmade or lr is None else _maker(keys, sched.value, lr.value, ramp.value, updates.value),
        unmade=unmade,
        warmup=WarmupPlan(Count.exactly(ramp.value), ramp) if ramp.value > 0 else None,
        facts=_facts(keys, floor, lr_told),
        ignored=tuple(ignored),
        misread=tuple(keys.misread),
        assumptions=tuple(context.remarks()),
    )


def _lr(keys: Keys, optimizer: str, batch: Batch) -> tuple[Setting[float] | None, str]:
    """lr, else lr_base scaled with the batch: in proportion, by the square root for Adam's and LAMB's kin."""
    given = keys.number("lr")
    if given is not None:
        return given, ""
    whole = batch.total.value
    if whole is None:
        return None, ""
    base, size = keys.number_or("lr_base", LR_BASE), keys.number_or("lr_base_size", LR_BASE_SIZE).value
    scale = keys.text("lr_base_scale")
    root = scale.value == "sqrt" if scale is not None else any(word in optimizer.lower() for word in ("ada", "lamb"))
    ratio = whole / size
    told = f"lr_base x {'sqrt of ' if root else ''}batch / {size:g}"
    return keys.derived(base.value * (math.sqrt(ratio) if root else ratio), base, told), told


def _length(keys: Keys, name: str, epochs: float, cooldown: float) -> float:
    """Epochs the run takes: `epochs` are those of one cycle, of which there may be several."""
    if name not in _IN_CYCLES:
        return epochs
    limit, growth = _cycles(keys)
    return float(math.floor(sum(epochs * growth**number for number in range(limit)))) + cooldown


def _cycles(keys: Keys) -> tuple[int, float]:
    """(how many cycles, by how much each is longer than the one before)."""
    limit = keys.number_or("lr_cycle_limit", 1.0).value
    return int(min(max(limit, 1.0), MOST_CYCLES)), keys.number_or("lr_cycle_mul", 1.0).value


def _maker(keys: Keys, name: str, lr: float, ramp: float, updates: float | None) -> Callable[[float], Schedule]:
    start = keys.number_or("warmup_lr", 1e-5).value
    prefix = keys.flag("warmup_prefix")
    held = not keys.flag("sched_on_updates")

    def make(total: float) -> Schedule:
        main = whole = _main(keys, name, lr, early=1.0 if held else 1.0 / updates if updates else 0.0)
        if ramp > 0:
            rise = LinearLR(lr, ticks(ramp), start / lr, 1.0)
            whole = Sequence((rise, main if prefix else ahead(main, ramp)), (ramp,))
        return Held(whole) if held else whole

    return make


def _main(keys: Keys, name: str, lr: float, *, early: float) -> Schedule:
    """The main curve. Without warmup_prefix it counts from epoch 0, beneath the warmup.

    `early` is the part of an epoch by which a milestone comes too soon: one call of the scheduler's step.
    """
    epochs, floor = keys.number_or("epochs", 300.0).value, keys.number_or("min_lr", 0.0).value
    rate, every = keys.number_or("decay_rate", 0.1).value, keys.number_or("decay_epochs", 90.0).value
    if name == "step":
        return StepLR(lr, ticks(every), rate)
    if name == "multistep":
        marks = keys.numbers("decay_milestones", "decay_epochs")
        given = marks.value if marks is not None else (90.0, 180.0, 270.0)
        return MultiStepLR(lr, tuple(ticks(max(0.0, mark - early)) for mark in sorted(given)), rate)
    limit, growth = _cycles(keys)
    shrink, k_decay = keys.number_or("lr_cycle_decay", 0.5).value, keys.number_or("lr_k_decay", 1.0).value
    if name == "poly" and k_decay != 1.0:
        raise ValueError("lr_k_decay is not followed under poly")

    def cycle(number: int) -> Schedule:
        top, length = lr * shrink**number, ticks(epochs * growth**number)
        if name == "poly":
            return PolynomialLR(top, length, rate, floor)
        return CosineAnnealingLR(top, length, floor, True, k_decay)

    if limit == 1:
        return cycle(0)
    ends = [sum(epochs * growth**one for one in range(number + 1)) for number in range(limit)]
    return Sequence((*(cycle(number) for number in range(limit)), Constant(floor)), tuple(ends))


def _facts(keys: Keys, floor: Setting[float], told: str) -> dict[str, Setting[Any]]:
    facts: dict[str, Setting[Any]] = {"min_lr": floor} if floor.explicit else {}
    model = keys.text("model")
    if model is not None:
        facts["model"] = model
    pretrained = keys.given("pretrained")
    facts["finetune"] = pretrained if pretrained is not None else keys.default("pretrained", False)
    if told:
        facts["scaled_lr"] = keys.default("lr_base", told)
    patience = keys.number("patience_epochs")
    if patience is not None:
        facts["patience"] = patience
    return facts
