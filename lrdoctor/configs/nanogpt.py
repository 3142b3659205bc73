"""nanoGPT's Python configs, which train.py runs over its own globals. Read at 3adf61e1: train.py."""

from __future__ import annotations

from collections.abc import Callable

from lrdoctor.configs.context import Context
from lrdoctor.configs.keys import Keys
from lrdoctor.configs.shapes import ahead, ticks
from lrdoctor.configs.tree import Document
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Ignored, Plan, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import Constant, CosineAnnealingLR, LinearLR, Sequence

NAME = "nanogpt"
_STRONG = ("lr_decay_iters", "decay_lr", "warmup_iters")
_ALL = ("max_iters", "learning_rate", "min_lr", "gradient_accumulation_steps", "block_size", *_STRONG)


def sniff(document: Document) -> int:
    if document.kind != "python" or document.root.get("model") is not None:
        return 0
    found = sum(document.root.get(key) is not None for key in _ALL)
    return found if found >= 3 and document.root.get("max_iters") is not None else 0


def plan(document: Document, context: Context) -> Plan:
    keys = Keys(document.root, NAME)
    lr, length = keys.number_or("learning_rate", 6e-4), keys.number_or("max_iters", 600_000.0)
    decays = keys.flag("decay_lr", default=True)
    ramp, horizon = keys.number_or("warmup_iters", 2000.0), keys.number_or("lr_decay_iters", 600_000.0)
    floor = keys.number_or("min_lr", 6e-5)
    ignored = []
    if not decays:
        unused = [keys.number(key) for key in ("warmup_iters", "lr_decay_iters", "min_lr")]
        ignored = [
            Ignored(
                one, "decay_lr is False: the learning rate is constant from the first update", "set decay_lr = True"
            )
            for one in unused
            if one is not None
        ]
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        optimizer=keys.default("optimizer", "AdamW"),
        scheduler=keys.derived("cosine" if decays else "constant", keys.given("decay_lr"), "decay_lr"),
        lr=lr,
        batch=Batch(
            keys.number_or("batch_size", 12.0), keys.number_or("gradient_accumulation_steps", 40.0), Count.exactly(1)
        ),
        total=Count.exactly(length.value),
        length=length,
        family="CosineAnnealingLR" if decays else "Constant",
        make=_maker(lr.value, ramp.value, horizon.value, floor.value, decays),
        warmup=WarmupPlan(Count.exactly(ramp.value), ramp) if decays and ramp.value > 0 else None,
        horizon=horizon if decays else None,
        facts={"min_lr": floor, "model": keys.default("model", "gpt"), "beta2": keys.number_or("beta2", 0.95)},
        ignored=tuple(ignored),
        misread=tuple(keys.misread),
        assumptions=(("gradient_accumulation_steps", "divided by the number of processes, so that the batch stays"),),
    )


def _maker(lr: float, ramp: float, horizon: float, floor: float, decays: bool) -> Callable[[float], Schedule]:
    def make(total: float) -> Schedule:
        """lr * (it + 1) / (W + 1), a cosine to lr_decay_iters, and min_lr from there on."""
        if not decays:
            return Constant(lr)
        rise = LinearLR(lr, ticks(ramp + 1.0), 1.0 / (ramp + 1.0), 1.0 + 1.0 / (ramp + 1.0))
        fall = CosineAnnealingLR(lr, ticks(max(1.0, horizon - ramp)), floor, True)
        return Sequence((rise, fall), (ramp,)) if ramp > 0 else ahead(fall, 0.0)

    return make
