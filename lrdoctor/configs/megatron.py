"""Megatron-LM flags in shell scripts, and gpt-neox YAML, which has the same keys.

Read in megatron-core 0.16.1 (core/optimizer_param_scheduler.py; training/training.py at 00caa53a) and in gpt-neox at
e431ff54 (megatron/learning_rates.py, training.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.keys import Keys
from lrdoctor.configs.shapes import ticks, warmed
from lrdoctor.configs.tree import Document, Node
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Ignored, Plan, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    ExponentialLR,
    Floored,
    InverseSqrt,
    LinearLR,
    Sequence,
    WarmupStableDecay,
)

NAME = "megatron"
NEOX_HALF = 0.693  # its exponent of half the rate
NEOX_WARMUP = 0.01  # gpt-neox, neox_args/training.py: warmup, a share of the decay
_FAMILIES = {
    "linear": "LinearLR",
    "cosine": "CosineAnnealingLR",
    "constant": "Constant",
    "inverse_square_root": "InverseSqrt",
    "inverse-square-root": "InverseSqrt",
    "WSD": "WarmupStableDecay",
    "exponential": "ExponentialLR",
}
_NEOX_STYLES = ("linear", "cosine", "exponential", "constant")
_DECAYS = {"minus_sqrt": "1-sqrt", "exponential": "exponential", "linear": "linear", "cosine": "cosine"}
_UNKNOWN_TO_NEOX = {"warmup_iters": "warmup (a share of lr_decay_iters)", "decay_lr_to": "min_lr"}


def dashless(root: Node) -> Node:
    """gpt-neox takes dashes and underscores alike."""
    values = {key.replace("-", "_"): node for key, node in root.value.items()}
    return replace(
        root, value=values, key_places={key.replace("-", "_"): place for key, place in root.key_places.items()}
    )


def sniff(document: Document) -> int:
    root = dashless(document.root)
    if document.kind == "shell":
        return 7 if root.get("lr_decay_style") is not None and root.get("lr") is not None else 0
    return 9 if root.get("train_iters") is not None and root.get("optimizer.params.lr") is not None else 0


def plan(document: Document, context: Context) -> Plan:
    root = dashless(document.root)
    if document.kind == "shell":
        return _flags_plan(document, Keys(root, NAME, converts=True), context)
    return _neox_plan(document, Keys(root, "gpt-neox"), context)


def _neox_plan(document: Document, keys: Keys, context: Context) -> Plan:
    lr = keys.below("optimizer").number("params.lr")
    length = keys.number_or("train_iters", 0.0)
    style, horizon = keys.text_or("lr_decay_style", "linear"), keys.number("lr_decay_iters")
    share, floor = keys.number_or("warmup", NEOX_WARMUP), keys.number_or("min_lr", 0.0)
    part = keys.number("lr_decay_fraction")
    if horizon is None and part is not None:
        horizon = keys.derived(float(math.floor(length.value * part.value)), part, "a share of train_iters")
    steps = share.value * (horizon.value if horizon is not None else length.value)
    ignored = _unused_when_constant(style, (keys.number("min_lr"), horizon))
    for wrong, right in _UNKNOWN_TO_NEOX.items():
        given = keys.given(wrong)
        if given is not None:
            ignored.append(Ignored(given, f"gpt-neox has no such key; it has {right}", f"use {right}"))
    made = _plan(document, keys, context, lr, style, length, horizon, floor, steps, share)
    known = style.value in _NEOX_STYLES and lr is not None
    return replace(
        made,
        framework="gpt-neox",
        make=_neox_maker(style.value, lr.value, horizon, floor.value, steps) if known and lr is not None else None,
        unmade="" if known else made.unmade,
        optimizer=keys.below("optimizer").text("type"),
        batch=Batch(
            keys.number("train_micro_batch_size_per_gpu", "batch_size"),
            keys.number("gradient_accumulation_steps", "gas"),
            context.world(),
            keys.number("train_batch_size"),
        ),
        warmup=WarmupPlan(Count.exactly(steps), share, share.value) if share.value > 0 else None,
        ignored=tuple(ignored),
    )


def _flags_plan(document: Document, keys: Keys, context: Context) -> Plan:
    whole = keys.number("global_batch_size")
    length = keys.number("train_iters") or _in_updates(keys, "train_samples", whole)
    end = length or keys.default("train_iters", 0.0)
    horizon = keys.number("lr_decay_iters") or _in_updates(keys, "lr_decay_samples", whole)
    fraction = keys.number("lr_warmup_fraction")
    iterations = keys.number("lr_warmup_iters") or _in_updates(keys, "lr_warmup_samples", whole)
    asked = fraction or iterations
    decay = horizon.value if horizon is not None else end.value
    steps = fraction.value * decay if fraction is not None else iterations.value if iterations is not None else 0.0
    style = keys.text_or("lr_decay_style", "linear")
    made = _plan(
        document, keys, context, keys.number("lr"), style, end, horizon, keys.number_or("min_lr", 0.0), steps, asked
    )
    micro = keys.number("micro_batch_size")
    told = ("batch", "grows while training (rampup_batch_size), which is not followed")
    return replace(
        made,
        batch=Batch(micro, None, context.world(), whole),
        optimizer=keys.text_or("optimizer", "adam"),
        assumptions=(*made.assumptions, *([told] if keys.given("rampup_batch_size") is not None else [])),
    )


def _in_updates(keys: Keys, name: str, whole: Setting[float] | None) -> Setting[float] | None:
    """A number of samples as updates of the whole batch."""
    samples = keys.number(name)
    if samples is None or whole is None or whole.value <= 0:
        return None
    return keys.derived(samples.value / whole.value, samples, f"{name} / global_batch_size")


def _plan(
    document: Document,
    keys: Keys,
    context: Context,
    lr: Setting[float] | None,
    style: Setting[str],
    length: Setting[float],
    horizon: Setting[float] | None,
    floor: Setting[float],
    steps: float,
    asked: Setting[Any] | None,
) -> Plan:
    known = style.value in _FAMILIES and style.value != "exponential"
    facts: dict[str, Setting[Any]] = {"model": keys.default("model", "gpt")}
    if floor.explicit:
        facts["min_lr"] = floor
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        scheduler=style,
        lr=lr,
        total=Count.exactly(length.value) if length.value > 0 else Count(),
        length=length,
        family=_FAMILIES.get(style.value, "Unknown"),
        make=_maker(keys, style.value, lr.value, horizon, floor.value, steps) if lr is not None and known else None,
        unmade="" if known else f"{style.value} is not computed here",
        warmup=WarmupPlan(Count.exactly(steps), asked) if steps > 0 else None,
        horizon=horizon,
        facts=facts,
        misread=tuple(keys.misread),
        assumptions=tuple(context.remarks(dataset=False)),
    )


def _maker(
    keys: Keys, style: str, lr: float, horizon: Setting[float] | None, floor: float, steps: float
) -> Callable[[float], Schedule]:
    """After the end of the decay the LR is min_lr, whatever the style."""
    def make(total: float) -> Schedule:
        start = keys.number_or("lr_warmup_init", 0.0).value / lr
        end = horizon.value if horizon is not None else total
        left = ticks(max(1.0, end - steps))
        main: Schedule
        match style:
            case "constant":
                main = Constant(lr)
            case "linear":
                main = LinearLR(lr, left, 1.0, floor / lr)
            case "WSD":
                tail = keys.number("lr_wsd_decay_iters")
                decay = tail.value if tail is not None else float(left)
                kind = _DECAYS.get(keys.text_or("lr_wsd_decay_style", "exponential").value, "exponential")
                main = WarmupStableDecay(lr, ticks(max(0.0, left - decay)), ticks(decay), kind, floor / lr)
            case "cosine":
                main = CosineAnnealingLR(lr, left, floor, True)
            case _:
                main = _inverse_sqrt(keys, lr, steps, floor, left)
        return warmed(main, steps, start)

    return make


def _inverse_sqrt(keys: Keys, lr: float, steps: float, floor: float, left: float) -> Schedule:
    """lr * sqrt(W / n) down to min_lr, which holds after the decay. n counts samples; without a warmup W is 1."""
    if steps > 0:
        return Sequence((Floored(InverseSqrt(lr, steps), floor), Constant(floor)), (left + 1.0,))
    whole = keys.number("global_batch_size")
    if whole is None:
        raise ValueError("the inverse square root counts samples, and global_batch_size is unknown")
    fall = Floored(InverseSqrt(lr / math.sqrt(whole.value), 1.0), floor)
    return Sequence((Constant(lr), fall, Constant(floor)), (1.0, left + 1.0))


def _neox_maker(
    style: str, lr: float, horizon: Setting[float] | None, floor: float, steps: float
) -> Callable[[float], Schedule]:
    """gpt-neox's own: min_lr cuts everything off but is the aim of the cosine alone, which climbs past its end."""

    def make(total: float) -> Schedule:
        left = ticks(max(1.0, (horizon.value if horizon is not None else total) - steps))
        main: Schedule
        match style:
            case "cosine":
                return warmed(CosineAnnealingLR(lr, left, floor), steps)
            case "linear":
                main = LinearLR(lr, left)
            case "exponential":
                main = ExponentialLR(lr, math.exp(-NEOX_HALF / left))
            case _:
                main = Constant(lr)
        return warmed(Floored(main, floor), steps)

    return make


def _unused_when_constant(style: Setting[str], settings: tuple[Setting[float] | None, ...]) -> list[Ignored]:
    if style.value != "constant":
        return []
    why = "lr_decay_style is constant: nothing decays"
    return [Ignored(one, why, "choose a decay style, or leave it out", instead=style) for one in settings if one]
