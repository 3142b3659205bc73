"""torchtitan's TOML files (until early 2026). Read at 238fa995: components/lr_scheduler.py, config/job_config.py."""

from __future__ import annotations

from collections.abc import Callable

from lrdoctor.configs.context import Context
from lrdoctor.configs.keys import Keys
from lrdoctor.configs.shapes import ahead, ticks, warmed
from lrdoctor.configs.tree import Document
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Plan, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import Constant, WarmupStableDecay

NAME = "torchtitan"
_DECAYS = {"linear": "linear", "sqrt": "1-sqrt", "cosine": "cosine"}


def sniff(document: Document) -> int:
    root = document.root
    if document.kind != "toml" or root.get("training") is None:
        return 0
    return 6 if root.get("lr_scheduler") is not None or root.get("optimizer.lr") is not None else 0


def plan(document: Document, context: Context) -> Plan:
    keys = Keys(document.root, NAME)
    training, block = keys.below("training"), keys.below("lr_scheduler")
    lr, steps = keys.below("optimizer").number_or("lr", 8e-4), training.number_or("steps", 10_000.0)
    ramp = block.number("warmup_steps") or training.number("warmup_steps") or block.default("warmup_steps", 200.0)
    ratio, floor = block.number("decay_ratio"), block.number("min_lr_factor", "lr_min")
    horizon = block.number("total_steps")
    whole = training.number("global_batch_size")
    given = whole if whole is not None and whole.value > 0 else None
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        optimizer=keys.below("optimizer").text_or("name", "AdamW"),
        scheduler=keys.derived("constant", ratio, "decay_ratio")
        if ratio is not None and ratio.value == 0
        else block.text_or("decay_type", "linear"),
        lr=lr,
        batch=Batch(training.number_or("local_batch_size", 8.0), None, context.world(), given),
        total=Count.exactly(steps.value),
        length=steps,
        family="Constant" if ratio is not None and ratio.value == 0 else "WarmupStableDecay",
        make=_maker(block, lr.value, ramp.value, ratio, floor.value if floor is not None else 0.0, horizon),
        warmup=WarmupPlan(Count.exactly(min(ramp.value, steps.value)), ramp) if ramp.value > 0 else None,
        horizon=horizon,
        facts={"model": model} if (model := keys.below("model").text("name")) is not None else {},
        misread=tuple(keys.misread),
        assumptions=tuple(context.remarks(dataset=False)),
    )


def _maker(
    block: Keys,
    lr: float,
    ramp: float,
    ratio: Setting[float] | None,
    floor: float,
    horizon: Setting[float] | None,
) -> Callable[[float], Schedule]:
    decay_type = _DECAYS.get(block.text_or("decay_type", "linear").value, "linear")

    def make(steps: float) -> Schedule:
        """Counted from one; a virtual last step keeps the LR above the floor."""
        total = horizon.value if horizon is not None else steps
        warmup = min(ramp, total)
        decay = total - warmup if ratio is None else min(float(round(total * ratio.value)), total - warmup)
        if decay <= 0:
            return ahead(warmed(Constant(lr), warmup), 1.0)
        stable = total + 1 - warmup - decay
        return ahead(warmed(WarmupStableDecay(lr, ticks(stable), ticks(decay), decay_type, floor), warmup), 1.0)

    return make
