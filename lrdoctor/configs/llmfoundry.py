"""llm-foundry 0.22.0 on composer 0.32.1. Read there: llmfoundry/optim, composer/optim/scheduler.py."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.keys import Keys, interpolated
from lrdoctor.configs.shapes import ticks, warmed
from lrdoctor.configs.tree import Document
from lrdoctor.configs.yaml_tree import as_omegaconf
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Plan, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import Constant, CosineAnnealingLR, InverseSqrt, LinearLR, Sequence

NAME = "llmfoundry"
_TIME = re.compile(r"([\d_.]+(?:e[+-]?\d+)?)(ba|ep|tok|sp|dur|iter|sec)")
_FAMILIES = {
    "cosine_with_warmup": "CosineAnnealingLR",
    "linear_decay_with_warmup": "LinearLR",
    "constant_with_warmup": "Constant",
    "inv_sqrt_with_warmup": "InverseSqrt",
}


@dataclass(frozen=True, slots=True)
class Time:
    """`100ba`, `2ep`, `0.02dur`."""

    value: float
    unit: str


def parse_time(text: object) -> Time | None:
    match = _TIME.fullmatch(str(text).strip()) if text is not None else None
    return Time(float(match[1].replace("_", "")), match[2]) if match else None


def sniff(document: Document) -> int:
    return 7 if _settings(Keys(document.root, NAME)) is not None else 0


def _settings(keys: Keys) -> Keys | None:
    """The settings of the training: those of the file, or below `parameters:` in an mcli run."""
    for place in (keys, keys.below("parameters")):
        if place.has("max_duration") and place.has("scheduler") and place.has("optimizer"):
            return place
    return None


def plan(document: Document, context: Context) -> Plan | None:
    nested = document.root.get("parameters.max_duration") is not None
    tree = as_omegaconf(document.root)
    base = tree.get("parameters") if nested else tree
    if base is None:
        return None
    keys = Keys(interpolated(base), NAME, prefix="parameters." if nested else "")
    block = keys.below("scheduler")
    name = block.text("name")
    lr = keys.below("optimizer").number("lr")
    whole = keys.number("global_train_batch_size")
    batch = Batch(whole=whole)
    updates = context.updates_per_epoch(batch)
    duration = keys.text("max_duration")
    total, length = _length(duration, updates)
    warmup = _warmup(block.text("t_warmup"), total, updates)
    kind = name.value if name is not None else ""
    family = _FAMILIES.get(kind, "Unknown")
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        optimizer=keys.below("optimizer").text("name"),
        scheduler=name,
        lr=lr,
        batch=batch,
        total=total,
        length=length,
        updates_per_epoch=updates,
        family=family,
        make=None if lr is None or family == "Unknown" else _maker(kind, lr.value, block, warmup),
        unmade="" if family != "Unknown" else f"{kind or 'a missing scheduler'} is not computed here",
        warmup=warmup,
        facts=_facts(keys),
        misread=tuple(keys.misread),
        assumptions=tuple(context.remarks(world=False, dataset=not total.known)),
    )


def _length(duration: Setting[str] | None, updates: Count) -> tuple[Count, Setting[float] | None]:
    time = parse_time(duration.value) if duration is not None else None
    if time is None or duration is None:
        return Count(), None
    length = Setting(time.value, replace(duration.origin, note=time.unit))
    if time.unit == "ba":
        return Count.exactly(time.value), length
    return (updates.times(time.value) if time.unit == "ep" else Count()), length


def _warmup(asked: Setting[str] | None, total: Count, updates: Count) -> WarmupPlan | None:
    time = parse_time(asked.value) if asked is not None else None
    if time is None or time.value == 0:
        return None
    match time.unit:
        case "ba":
            return WarmupPlan(Count.exactly(time.value), asked)
        case "dur":
            return WarmupPlan(total.part(time.value, up=False), asked, time.value)
        case "ep":
            return WarmupPlan(updates.times(time.value), asked)
    return WarmupPlan(Count(), asked)


def _maker(kind: str, lr: float, block: Keys, warmup: WarmupPlan | None) -> Callable[[float], Schedule]:
    def make(total: float) -> Schedule:
        if warmup is None:
            steps = 0.0
        elif warmup.fraction is not None:
            steps = float(int(total * warmup.fraction))
        else:
            steps = warmup.steps.value or 0.0
        if kind == "inv_sqrt_with_warmup":
            return warmed(_inverse_sqrt(lr, block, total, steps), steps)
        floor, left = block.number_or("alpha_f", 0.0).value, ticks(max(1.0, _span(block, "t_max", total) - steps))
        main: Schedule
        match kind:
            case "cosine_with_warmup":
                main = CosineAnnealingLR(lr, left, lr * floor, True)
            case "linear_decay_with_warmup":
                main = LinearLR(lr, left, block.number_or("alpha_i", 1.0).value, floor)
            case _:
                main = Constant(lr * block.number_or("alpha", 1.0).value)
        return warmed(main, steps)

    return make


def _span(block: Keys, key: str, total: float) -> float:
    """A time of the scheduler's in batches; the whole run where it is not given."""
    time = parse_time(block.text_or(key, "1dur").value) or Time(1.0, "dur")
    return float(int(time.value * total)) if time.unit == "dur" else time.value


def _inverse_sqrt(lr: float, block: Keys, total: float, steps: float) -> Schedule:
    """From the end of the warmup: sqrt(t_scale / (t_scale + t)), at last straight down within t_cooldown."""
    scale, cooldown = (parse_time(block.text_or(key, "").value) for key in ("t_scale", "t_cooldown"))
    if scale is None or cooldown is None:
        raise ValueError("inv_sqrt_with_warmup needs t_scale and t_cooldown")
    fall = InverseSqrt(lr, scale.value, eta_min=lr * block.number_or("alpha_f_decay", 0.0).value)
    turn = max(0.0, _span(block, "t_max", total) - cooldown.value - steps)
    top = float(fall.lr_at([turn])[0])
    if cooldown.value <= 0:
        return Sequence((fall, Constant(top)), (turn,))
    end = lr * block.number_or("alpha_f_cooldown", 0.0).value
    return Sequence((fall, LinearLR(top, ticks(cooldown.value), 1.0, end / top)), (turn,))


def _facts(keys: Keys) -> dict[str, Setting[Any]]:
    model = keys.below("model")
    name, weights = model.text("pretrained_model_name_or_path", "name"), model.given("pretrained")
    betas = keys.below("optimizer").numbers("betas")
    named = {
        "model": name,
        "finetune": weights,
        "adapter": model.given("peft_config"),
        "beta2": Setting(betas.value[1], betas.origin) if betas is not None and len(betas.value) > 1 else None,
    }
    return {key: setting for key, setting in named.items() if setting is not None}
