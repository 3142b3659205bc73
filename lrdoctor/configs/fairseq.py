"""fairseq's Hydra configs. Read in 0.12.2: optim/lr_scheduler/*.py, dataclass/configs.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.keys import OPEN, Keys, interpolated
from lrdoctor.configs.shapes import ahead, cycles, ticks, warmed
from lrdoctor.configs.tree import Document
from lrdoctor.configs.yaml_tree import as_omegaconf
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Ignored, Plan, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    CyclicLR,
    ExponentialLR,
    Floored,
    InverseSqrt,
    PolynomialLR,
    Sequence,
    StepLR,
)

NAME = "fairseq"
_FAMILIES = {
    "inverse_sqrt": "InverseSqrt",
    "cosine": "CosineAnnealingLR",
    "polynomial_decay": "PolynomialLR",
    "tri_stage": "ExponentialLR",
    "fixed": "Constant",
    "step": "StepLR",
    "triangular": "CyclicLR",
}
STEP_PERIOD, STEP_DECAY, TRIANGLE, SHRINK = 25_000.0, 0.5, 5000.0, 0.1  # the defaults of step, triangular and cosine
STAGES = 3


def sniff(document: Document) -> int:
    root = document.root
    if root.get("optimization") is None:
        return 0
    return 7 if root.get("lr_scheduler") is not None or root.get("optimization.max_update") is not None else 0


def plan(document: Document, context: Context) -> Plan:
    keys = Keys(interpolated(as_omegaconf(document.root)), NAME)
    optimization = keys.below("optimization")
    length, epochs = optimization.number("max_update"), optimization.number("max_epoch")
    block, name, lr, ignored = _leading(keys, optimization)
    total = Count.exactly(length.value) if length is not None and length.value > 0 else Count()
    if epochs is not None and epochs.value > 0 and total.known:
        total = Count(min(1.0, total.high), total.high)  # whichever comes first
    kind = name.value if name is not None else "fixed"
    stages = _stages(block, length) if kind == "tri_stage" else None
    ramp = block.number("warmup_updates", "warmup_steps")
    steps = stages[0] if stages is not None else ramp.value if ramp is not None else _default_warmup(kind)
    low = lr.value if lr is not None else 0.0
    asked: Setting[Any] | None = ramp or block.given("phase_ratio")
    unmade = _unmade(kind, optimization, block)
    if kind == "triangular":
        lr = block.number("max_lr") or lr
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        optimizer=keys.below("optimizer").text("_name"),
        scheduler=name,
        lr=lr,
        batch=_batch(keys, optimization, context),
        total=total,
        length=length or epochs,
        family=_FAMILIES.get(kind, "Unknown"),
        make=_maker(kind, lr.value, block, steps, stages, low) if lr is not None and not unmade else None,
        unmade=unmade,
        warmup=WarmupPlan(Count.exactly(steps), asked) if steps > 0 else None,
        horizon=_horizon(block, stages),
        facts=_facts(keys, block),
        ignored=tuple(ignored),
        misread=tuple(keys.misread),
        assumptions=tuple(context.remarks(dataset=False)),
    )


def _leading(keys: Keys, optimization: Keys) -> tuple[Keys, Setting[str] | None, Setting[float] | None, list[Ignored]]:
    """(scheduler block, its name, learning rate, unused keys); a composite optimizer's first group has its own."""
    top = _first(optimization.numbers("lr"))
    groups = keys.below("optimizer").below("groups")
    if keys.below("optimizer").text_or("_name", "").value != "composite" or not groups.root.value:
        named = keys.below("lr_scheduler")
        return named, named.text("_name") or keys.text("lr_scheduler"), top, []
    group = groups.below(next(iter(groups.root.keys())))
    lr = group.number("lr_float") or _first(group.numbers("lr"))
    ignored = []
    if top is not None and lr is not None and top.value != lr.value:
        ignored.append(Ignored(top, "the groups of the composite optimizer have their own", "remove it", instead=lr))
    return group.below("lr_scheduler"), group.text("lr_scheduler._name"), lr, ignored


def _first(values: Setting[tuple[float, ...]] | None) -> Setting[float] | None:
    return Setting(values.value[0], values.origin) if values is not None and values.value else None


def _unmade(kind: str, optimization: Keys, block: Keys) -> str:
    if kind not in _FAMILIES:
        return f"{kind} is not computed here"
    rates = optimization.numbers("lr")
    by_epoch = (rates is not None and len(rates.value) > 1) or block.has("force_anneal")
    if kind in ("fixed", "polynomial_decay") and by_epoch:
        return "the learning rate changes with the epoch, and how long one is, is unknown"
    return ""


def _default_warmup(kind: str) -> float:
    return 4000.0 if kind == "inverse_sqrt" else 0.0


def _batch(keys: Keys, optimization: Keys, context: Context) -> Batch:
    world = keys.below("distributed_training").number("distributed_world_size")
    examples = keys.below("dataset").number("batch_size")
    return Batch(examples, _first(optimization.numbers("update_freq")), context.world(world.value if world else None))


def _stages(block: Keys, length: Setting[float] | None) -> tuple[float, float, float]:
    """Updates of warmup, hold and decay: shares of the run, or as given."""
    shares = block.numbers("phase_ratio")
    if shares is not None and len(shares.value) == STAGES and length is not None:
        warmup, hold, decay = (float(int(share * length.value)) for share in shares.value)
        return warmup, hold, decay
    named = (block.number_or(key, 0.0).value for key in ("warmup_steps", "hold_steps", "decay_steps"))
    warmup, hold, decay = named
    return warmup, hold, decay


def _horizon(block: Keys, stages: tuple[float, float, float] | None) -> Setting[float] | None:
    if stages is not None:
        decay = block.number("decay_steps")
        return block.derived(sum(stages), decay, "warmup + hold + decay") if decay is not None else None
    given = block.given("total_num_update")
    if given is not None and given.value not in OPEN:
        return block.number("total_num_update")
    return None


def _maker(
    kind: str, lr: float, block: Keys, ramp: float, stages: tuple[float, float, float] | None, low: float
) -> Callable[[float], Schedule]:
    """`low` is the least LR of the triangles, which `optimization.lr` is to them."""
    horizon = _horizon(block, stages)
    floor = block.number_or("min_lr", 0.0).value

    def make(total: float) -> Schedule:
        match kind:
            case "tri_stage" if stages is not None:
                return _tri_stage(lr, block, stages)
            case "polynomial_decay":
                end = horizon.value if horizon is not None else total
                power, last = block.number_or("power", 1.0).value, block.number_or("end_learning_rate", 0.0).value
                return warmed(PolynomialLR(lr, ticks(max(1.0, end - ramp)), power, last), ramp)
            case "cosine":
                return warmed(_cosines(lr, block, floor, total - ramp), ramp, _start(block, floor) / lr)
            case "inverse_sqrt":
                return warmed(InverseSqrt(lr, ramp), ramp, _start(block, 0.0) / lr)
            case "step":
                period = block.number_or("lr_deacy_period", STEP_PERIOD).value  # spelled like this in fairseq
                steps = StepLR(lr, ticks(period), block.number_or("lr_decay", STEP_DECAY).value)
                return warmed(Floored(steps, floor), ramp, _start(block, floor) / lr)
            case "triangular":
                return _triangles(lr, low, block, total)
        return ahead(warmed(Constant(lr), ramp), 1.0 if ramp else 0.0)

    return make


def _start(block: Keys, default: float) -> float:
    """Where the warmup begins: warmup_init_lr, unless it is negative as by default."""
    given = block.number("warmup_init_lr")
    return given.value if given is not None and given.value >= 0 else default


def _cosines(lr: float, block: Keys, floor: float, left: float) -> Schedule:
    """Cycles that each shrink, peak and floor alike, and may grow in length; one of the whole run by default."""
    asked = block.number("lr_period_updates")
    period = asked.value if asked is not None and asked.value > 0 else max(1.0, left)
    growth, shrink = block.number_or("t_mult", 1.0).value, block.number_or("lr_shrink", SHRINK).value

    def cosine(number: int) -> Schedule:
        scale = shrink**number
        return CosineAnnealingLR(lr * scale, ticks(period * growth**number), floor * scale)

    return cycles(left, lambda number: period * growth**number, cosine)


def _triangles(lr: float, low: float, block: Keys, total: float) -> Schedule:
    half = float(block.number_or("lr_period_updates", TRIANGLE).value // 2)
    shrink, both = block.number_or("lr_shrink", SHRINK).value, block.flag("shrink_min")

    def triangle(number: int) -> Schedule:
        scale = shrink**number
        return CyclicLR(low * scale if both else low, lr * scale, ticks(half), ticks(half))

    return cycles(total, lambda number: 2.0 * half, triangle)


def _tri_stage(lr: float, block: Keys, stages: tuple[float, float, float]) -> Schedule:
    """Linear from init_lr_scale, flat, exponential to final_lr_scale, flat there."""
    warmup, hold, decay = stages
    first, last = block.number_or("init_lr_scale", 0.01).value, block.number_or("final_lr_scale", 0.01).value
    fall = ExponentialLR(lr, last ** (1.0 / decay)) if decay > 0 else Constant(lr)
    main: Schedule = Sequence((fall, Constant(lr * last)), (decay,)) if decay > 0 else fall
    main = Sequence((Constant(lr), main), (hold,)) if hold > 0 else main
    return warmed(main, warmup, first)


def _facts(keys: Keys, block: Keys) -> dict[str, Setting[Any]]:
    betas = keys.below("optimizer").numbers("adam_betas")
    named: dict[str, Setting[Any] | None] = {
        "model": keys.below("model").text("_name"),
        "finetune": keys.below("model").given("w2v_path", "model_path")
        or keys.below("checkpoint").given("restore_file"),
        "min_lr": block.number("min_lr", "end_learning_rate"),
        "beta2": Setting(betas.value[1], betas.origin) if betas is not None and len(betas.value) > 1 else None,
    }
    return {key: setting for key, setting in named.items() if setting is not None}
