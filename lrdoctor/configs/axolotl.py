"""axolotl. Read in 0.19.0: core/builders/base.py, core/trainers/mixins/scheduler.py, utils/schedulers.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.deepspeed import companion_plan
from lrdoctor.configs.hf_schedules import FAMILIES, METRIC_DRIVEN, WITHOUT_WARMUP, hf_schedule
from lrdoctor.configs.keys import Keys
from lrdoctor.configs.shapes import ahead, cycles, ticks, warmed
from lrdoctor.configs.torch_schedules import torch_schedule
from lrdoctor.configs.transformers import refused
from lrdoctor.configs.tree import Document
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Ignored, Misread, Plan, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import Constant, CosineAnnealingLR, LinearLR, Product, Reflected, Sequence

NAME = "axolotl"
PACKING_LOSS = 0.99  # utils/trainer.py: the share of packed samples counted on
DEFAULT_SHARE, DEFAULT_MOST = 0.03, 100  # builders/base.py: the warmup of a config without one
RESTART_WARMUP, RESTART_ANNEAL, RESTART_LEAST = 10.0, 1.0, 0.001  # core/trainers/mixins/scheduler.py
_OWN = ("one_cycle", "rex")
_WRONG_TYPE = "warmup_steps is a whole number to axolotl, which refuses a fraction"


def sniff(document: Document) -> int:
    root = document.root
    if document.kind != "yaml" or root.get("base_model") is None:
        return 0
    signs = sum(root.get(key) is not None for key in ("micro_batch_size", "sequence_len", "adapter", "datasets"))
    return 4 + signs if signs else 0


def plan(document: Document, context: Context) -> Plan:
    keys = Keys(document.root, NAME)
    lr = Keys(document.root, NAME, converts=True).number("learning_rate")
    scheduler = keys.text_or("lr_scheduler", "cosine")
    batch = _batch(keys, context)
    updates, total, length = _length(keys, batch, context)
    ignored: list[Ignored] = []
    misread: list[Misread] = []
    warmup = _warmup(keys, total, misread)
    name = scheduler.value.lower()
    make, unmade = _maker(keys, name, lr.value if lr is not None else None, warmup)
    _unused(keys, name, warmup, ignored)
    made = Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        optimizer=keys.text_or("optimizer", "adamw_torch_fused"),
        scheduler=scheduler,
        lr=lr,
        batch=batch,
        total=total,
        length=length,
        updates_per_epoch=updates,
        family="OneCycleLR" if name == "one_cycle" else FAMILIES.get(name, "Unknown"),
        make=make,
        unmade=unmade,
        warmup=None if name in WITHOUT_WARMUP else warmup,
        facts=_facts(keys),
        ignored=tuple(ignored),
        misread=(*misread, *_strings(document, keys), *_refused(keys, scheduler, name, lr)),
        assumptions=tuple(context.remarks(dataset=not total.known)),
    )
    return companion_plan(made, document, context, keys.text("deepspeed"), own=("lr_scheduler",))


def _batch(keys: Keys, context: Context) -> Batch:
    """`batch_size` without an accumulation gives it: batch_size // micro_batch_size."""
    micro = keys.number_or("micro_batch_size", 1.0)
    accumulation, whole = keys.number("gradient_accumulation_steps"), keys.number("batch_size")
    if accumulation is None and whole is not None:
        accumulation = keys.derived(max(1.0, whole.value // micro.value), whole, "batch_size // micro_batch_size")
    return Batch(micro, accumulation or keys.default("gradient_accumulation_steps", 1.0), context.world())


def _length(keys: Keys, batch: Batch, context: Context) -> tuple[Count, Count, Setting[float] | None]:
    """(updates per epoch, updates, what decides them). Packed samples hold an unknown number of examples."""
    packed = keys.flag("sample_packing") and context.sizes.updates_per_epoch is None
    examples = Count() if packed else context.sizes.dataset or Count()
    updates = context.sizes.updates_per_epoch or examples.over(batch.total)
    steps = keys.number("max_steps")
    if steps is not None and steps.value > 0:
        return updates, Count.exactly(steps.value), steps
    epochs = keys.number_or("num_epochs", 1.0)
    if context.sizes.updates_per_epoch is not None:
        return updates, updates.times(epochs.value), epochs
    return updates, examples.times(epochs.value).over(batch.total), epochs


def _warmup(keys: Keys, total: Count, misread: list[Misread]) -> WarmupPlan | None:
    steps, ratio = keys.number("warmup_steps"), keys.number("warmup_ratio")
    if steps is not None and not float(steps.value).is_integer():
        share = steps.value
        misread.append(Misread(steps, _WRONG_TYPE, f"write `warmup_ratio: {share:g}`", "unit"))
        return WarmupPlan(total.part(share, up=False), steps, share)
    if steps is not None:
        length = 2.0 if steps.value == 1 else steps.value
        return WarmupPlan(Count.exactly(length), steps) if length > 0 else None
    if ratio is not None:
        return WarmupPlan(total.part(ratio.value, up=False), ratio, ratio.value) if ratio.value > 0 else None
    least, most = (min(DEFAULT_MOST, math.floor(DEFAULT_SHARE * min(end, 1e9))) for end in (total.low, total.high))
    return WarmupPlan(Count(least, most))


def _maker(
    keys: Keys, name: str, lr: float | None, warmup: WarmupPlan | None
) -> tuple[Callable[[float], Schedule] | None, str]:
    if lr is None:
        return None, "no learning_rate is set, which axolotl requires"
    if name in METRIC_DRIVEN or (name not in FAMILIES and name not in _OWN):
        return None, f"{name} is no schedule that can be computed"

    def make(total: float) -> Schedule:
        return _restarting(keys, name, _inner(keys, name, lr, total, _steps(warmup, total)), total)

    return make, ""


def _refused(
    keys: Keys, scheduler: Setting[str], name: str, lr: Setting[float] | None
) -> tuple[Misread, ...]:
    options = _scheduler_options(keys)
    return () if name in _OWN or lr is None else refused(scheduler, name, lr.value, options)


def _scheduler_options(keys: Keys) -> dict[str, Any]:
    given = keys.given("lr_scheduler_kwargs")
    return given.value if given is not None and isinstance(given.value, dict) else {}


def _inner(keys: Keys, name: str, lr: float, total: float, steps: float) -> Schedule:
    """create_scheduler's cases, in its order: a quadratic warmup leaves the floor out, a constant end needs one."""
    floor = keys.number_or("cosine_min_lr_ratio", 0.0).value
    hold = keys.number_or("cosine_constant_lr_ratio", 0.0).value
    left = ticks(max(1.0, total - steps))
    options = _scheduler_options(keys)
    if name == "one_cycle":
        return torch_schedule("OneCycleLR", lr, {"total_steps": total, "pct_start": steps / total, **options})
    if name == "rex":  # counts from one
        return ahead(warmed(Reflected(lr, left, lr * floor), steps), 1.0)
    if name == "cosine" and keys.flag("lr_quadratic_warmup"):
        return warmed(CosineAnnealingLR(lr, left), steps, 0.0, "quadratic")
    if name == "cosine" and floor:
        left = ticks(max(1.0, int(hold * total) - steps)) if hold else left
        return warmed(CosineAnnealingLR(lr, left, lr * floor, bool(hold)), steps)
    return hf_schedule(name, lr, options, total, steps)


def _restarting(keys: Keys, name: str, inner: Schedule, total: float) -> Schedule:
    """`inner` times a factor that falls to a small share before each restart and rises from it after; from one on."""
    period = keys.number_or("jagged_restart_steps", 0.0).value
    if period <= 0:
        return inner
    ramp = keys.number_or("jagged_restart_warmup_steps", 0.0).value or RESTART_WARMUP
    anneal = keys.number_or("jagged_restart_anneal_steps", 0.0).value or RESTART_ANNEAL
    least = keys.number_or("cosine_min_lr_ratio", 0.0).value or RESTART_LEAST
    flat = period - anneal
    if ramp > flat:
        raise ValueError("a restart is over before its warmup is")
    if name == "rex":
        raise ValueError("rex counts from one, and so do restarts: the two together are not followed")
    fall = LinearLR(1.0, ticks(anneal), 1.0, least)

    def cycle(number: int) -> Schedule:
        if number == 0:
            return Sequence((Constant(1.0), fall), (flat,))
        return Sequence((LinearLR(1.0, ticks(ramp), least, 1.0), fall), (flat,))

    return ahead(Product(inner, cycles(total + 1.0, lambda number: period, cycle)), 1.0)


def _steps(warmup: WarmupPlan | None, total: float) -> float:
    if warmup is None:
        return 0.0
    if warmup.fraction is not None:
        return float(int(total * warmup.fraction))
    if warmup.asked is None:
        return float(min(int(DEFAULT_SHARE * total), DEFAULT_MOST))
    return warmup.steps.low


def _unused(keys: Keys, name: str, warmup: WarmupPlan | None, ignored: list[Ignored]) -> None:
    if name in WITHOUT_WARMUP and warmup is not None and warmup.asked is not None:
        cure = "write `lr_scheduler: constant_with_warmup`" if name == "constant" else "leave it out"
        ignored.append(Ignored(warmup.asked, f"the scheduler {name} has no warmup", cure))
    for key in ("cosine_min_lr_ratio", "cosine_constant_lr_ratio", "lr_quadratic_warmup"):
        found = keys.given(key)
        if found is not None and found.value and name not in ("cosine", "rex"):
            ignored.append(Ignored(found, f"only the cosine scheduler uses it, not {name}", "leave it out"))
    wrong = keys.given("lr_scheduler_type")
    if wrong is not None and keys.given("lr_scheduler") is None:
        why = "axolotl calls it lr_scheduler; the default, cosine, holds"
        ignored.append(Ignored(wrong, why, "rename it to lr_scheduler"))
    steps, epochs = keys.number("max_steps"), keys.number("num_epochs")
    if steps is not None and steps.value > 0 and epochs is not None:
        why = f"max_steps ({steps.value:g}) decides how long the run is"
        ignored.append(Ignored(epochs, why, "leave one of the two out", instead=steps, severity="info"))


def _facts(keys: Keys) -> dict[str, Setting[Any]]:
    named = {
        "model": keys.text("base_model"),
        "finetune": keys.derived(True, keys.text("base_model"), "base_model has weights"),
        "adapter": keys.text("adapter"),
        "beta2": keys.number("adam_beta2"),
        "method": keys.text("rl"),
        "min_lr_ratio": keys.number("cosine_min_lr_ratio"),
    }
    return {name: setting for name, setting in named.items() if setting is not None}


def _strings(document: Document, keys: Keys) -> tuple[Misread, ...]:
    """Numbers that reach the optimizer as strings: axolotl converts learning_rate alone."""
    nested = keys.below("optim_args")
    for key in tuple(nested.root.value):
        nested.number(key)
    return tuple(item for item in keys.misread if item.setting.key != "learning_rate")
