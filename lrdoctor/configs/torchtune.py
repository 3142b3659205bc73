"""torchtune recipes, read through OmegaConf. Read at bd2a0fc7: training/lr_schedulers.py, the finetune recipes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.hf_schedules import hf_schedule
from lrdoctor.configs.keys import Keys, interpolated
from lrdoctor.configs.tree import Document
from lrdoctor.configs.yaml_tree import as_omegaconf
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Plan, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import Constant

NAME = "torchtune"
_COSINE = "get_cosine_schedule_with_warmup"


def sniff(document: Document) -> int:
    root = document.root
    component = root.get("model._component_") or root.get("tokenizer._component_")
    ours = component is not None and "torchtune" in str(component.value)
    return 8 if ours and root.get("optimizer") is not None else 0


def plan(document: Document, context: Context) -> Plan:
    loose = replace(document, root=interpolated(as_omegaconf(document.root)))
    keys = Keys(loose.root, NAME)
    batch = Batch(
        keys.number_or("batch_size", 1.0), keys.number_or("gradient_accumulation_steps", 1.0), context.world()
    )
    lr = keys.below("optimizer").number("lr")
    block = keys.below("lr_scheduler")
    component = block.text("_component_")
    name = component.value.rsplit(".", 1)[-1] if component is not None else ""
    updates, total, length = _length(keys, batch, context)
    ramp = block.number("num_warmup_steps")
    warmup = WarmupPlan(Count.exactly(ramp.value), ramp) if ramp is not None and ramp.value > 0 else None
    unmade = "" if name in ("", _COSINE) else f"{name} is no schedule of torchtune"
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        optimizer=_short(keys.below("optimizer").text("_component_")),
        scheduler=Setting("cosine", component.origin) if component is not None and name == _COSINE else component,
        lr=lr,
        batch=batch,
        total=total,
        length=length,
        updates_per_epoch=updates,
        family="CosineAnnealingLR" if name == _COSINE else "Unknown" if name else "Constant",
        make=None if unmade or lr is None else _maker(name, lr.value, block, ramp.value if ramp is not None else 0.0),
        unmade=unmade,
        warmup=warmup,
        facts=_facts(keys),
        misread=tuple(keys.misread),
        assumptions=tuple(context.remarks(dataset=not total.known)),
    )


def _short(path: Setting[str] | None) -> Setting[str] | None:
    return None if path is None else Setting(path.value.rsplit(".", 1)[-1], path.origin)


def _length(keys: Keys, batch: Batch, context: Context) -> tuple[Count, Count, Setting[float]]:
    """epochs x min(batches // accumulation, max_steps_per_epoch): what does not fill an update is dropped."""
    epochs, most = keys.number_or("epochs", 1.0), keys.number("max_steps_per_epoch")
    updates = context.updates_per_epoch(batch, last_part=False)
    if most is None:
        return updates, updates.times(epochs.value), epochs
    each = Count.exactly(most.value)
    known = context.sizes.dataset is not None or context.sizes.updates_per_epoch is not None
    updates = updates.at_most(each) if known else each
    return updates, updates.times(epochs.value), most


def _maker(name: str, lr: float, block: Keys, ramp: float) -> Callable[[float], Schedule]:
    options = {"num_cycles": block.number_or("num_cycles", 0.5).value}

    def make(total: float) -> Schedule:
        return hf_schedule("cosine", lr, options, total, ramp) if name else Constant(lr)

    return make


def _facts(keys: Keys) -> dict[str, Setting[Any]]:
    model = keys.text("model._component_")
    if model is None:
        return {}
    short = Setting(model.value.rsplit(".", 1)[-1], model.origin)
    facts: dict[str, Setting[Any]] = {"model": short, "finetune": Setting(True, model.origin)}
    if "lora" in short.value:
        facts["adapter"] = short
    loss = keys.text("loss._component_")
    if loss is not None:
        facts["method"] = loss
    return facts
