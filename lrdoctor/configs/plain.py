"""A schedule in torch's words (`lrdoctor.yaml`), and configs whose keys a schema maps to the same names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.hf_schedules import FAMILIES as HF_FAMILIES
from lrdoctor.configs.hf_schedules import METRIC_DRIVEN, hf_schedule
from lrdoctor.configs.keys import Keys, interpolated
from lrdoctor.configs.own_spec import no_scheduler, unknown_keys
from lrdoctor.configs.shapes import warmed
from lrdoctor.configs.torch_schedules import HORIZONS, torch_schedule
from lrdoctor.configs.torch_schedules import known as torch_knows
from lrdoctor.configs.tree import Document
from lrdoctor.configs.yaml_tree import as_omegaconf
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Plan, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import Constant

NAME = "plain"
STEM = "lrdoctor"
PATHS: Mapping[str, str] = {
    "lr": "lr",
    "optimizer": "optimizer",
    "batch-size": "batch_size",
    "accumulation": "accumulation",
    "dataset-size": "dataset_size",
    "epochs": "epochs",
    "total-steps": "total_steps",
    "warmup-steps": "warmup.steps",
    "warmup-ratio": "warmup.ratio",
    "scheduler": "scheduler.name",
    "min-lr": "min_lr",
    "model": "model",
}
"""What a schema may map, and where lrdoctor.yaml has it."""


@dataclass(frozen=True, slots=True)
class SchemaMap:
    """`paths` leads from our names to keys of the configs that `match` fits; `scheduler` may be a name itself."""

    match: str
    paths: Mapping[str, str] = field(default_factory=dict)


def sniff(document: Document) -> int:
    named = PurePath(document.path).stem == STEM and document.kind in ("yaml", "json", "toml")
    return 9 if named and document.root.get("lr") is not None else 0


def plan(document: Document, context: Context) -> Plan | None:
    made = mapped_plan(document, context, SchemaMap("", PATHS), NAME)
    if made is None:
        return None
    wrong = *unknown_keys(document.root, PATHS.values()), *no_scheduler(made)
    return replace(made, misread=(*made.misread, *wrong))


def mapped_plan(document: Document, context: Context, schema: SchemaMap, framework: str = "own schema") -> Plan | None:
    """The plan of a config whose keys `schema` names; None where it has no learning rate there."""
    root = interpolated(as_omegaconf(document.root)) if document.kind == "yaml" else document.root
    keys, at = Keys(root, framework, converts=document.kind == "shell"), schema.paths

    def number(name: str) -> Setting[float] | None:
        return keys.number(at[name]) if name in at else None

    lr = number("lr")
    if lr is None:
        return None
    batch = Batch(number("batch-size"), number("accumulation"), context.world())
    size = number("dataset-size")
    updates = context.updates_per_epoch(batch, Count.exactly(size.value) if size is not None else None)
    steps, epochs = number("total-steps"), number("epochs")
    total = Count.exactly(steps.value) if steps is not None else _epochs(epochs, updates)
    warmup = _warmup(number("warmup-steps"), number("warmup-ratio"), total)
    scheduler = _scheduler(keys, at)
    name = scheduler.value if scheduler is not None else ""
    arguments = _arguments(keys, at)
    made = _maker(name, lr.value, arguments, warmup, keys.number("warmup.start_factor"), number("min-lr"))
    floor = number("min-lr") or keys.number("scheduler.eta_min")
    named = {"model": keys.text(at["model"]) if "model" in at else None, "min_lr": floor}
    return Plan(
        path=document.path,
        framework=framework,
        place=Place(document.path),
        optimizer=keys.text(at["optimizer"]) if "optimizer" in at else None,
        scheduler=scheduler,
        lr=lr,
        batch=batch,
        total=total,
        length=steps or epochs,
        updates_per_epoch=updates,
        family=_family(name),
        make=made,
        unmade="" if made is not None else f"{name} is no schedule that can be computed",
        warmup=warmup,
        horizon=_horizon(keys, name, warmup),
        facts={key: setting for key, setting in named.items() if setting is not None},
        misread=tuple(keys.misread),
        assumptions=tuple(context.remarks(dataset=not total.known)),
    )


def _epochs(epochs: Setting[float] | None, updates: Count) -> Count:
    return updates.times(epochs.value) if epochs is not None else Count()


def _warmup(steps: Setting[float] | None, ratio: Setting[float] | None, total: Count) -> WarmupPlan | None:
    if steps is not None and steps.value > 0:
        return WarmupPlan(Count.exactly(steps.value), steps)
    if ratio is None or ratio.value <= 0:
        return None
    return WarmupPlan(total.part(ratio.value), ratio, ratio.value)


def _scheduler(keys: Keys, at: Mapping[str, str]) -> Setting[str] | None:
    """The scheduler's name at its key; a schema may give the name itself."""
    path = at.get("scheduler")
    if path is None:
        return None
    found = keys.text(path)
    literal = path if path != PATHS["scheduler"] else None
    return found or (keys.derived(literal, None, "given by the schema") if literal is not None else None)


def _arguments(keys: Keys, at: Mapping[str, str]) -> Mapping[str, Any]:
    """The scheduler's own arguments: what stands beside its name."""
    path = at.get("scheduler", "")
    node = keys.root.get(path.rpartition(".")[0]) if "." in path else None
    value = node.plain_value() if node is not None and node.is_mapping else {}
    return {key: item for key, item in value.items() if key != path.rpartition(".")[2]}


def _family(name: str) -> str:
    return HF_FAMILIES.get(name, name if torch_knows(name) else "Unknown" if name else "Constant")


def _horizon(keys: Keys, name: str, warmup: WarmupPlan | None) -> Setting[float] | None:
    key = next(iter(HORIZONS.get(name, ())), None)
    given = keys.number(f"scheduler.{key}") if key is not None and name not in ("StepLR", "MultiStepLR") else None
    if given is None:
        return None
    ramp = warmup.steps.value if warmup is not None else 0.0
    return keys.derived(given.value + ramp, given, "behind the warmup") if ramp is not None else None


def _maker(
    name: str,
    lr: float,
    arguments: Mapping[str, Any],
    warmup: WarmupPlan | None,
    start: Setting[float] | None,
    floor: Setting[float] | None,
) -> Callable[[float], Schedule] | None:
    if name and not torch_knows(name) and (name not in HF_FAMILIES or name in METRIC_DRIVEN):
        return None
    if name == "ReduceLROnPlateau":
        return None

    def make(total: float) -> Schedule:
        steps = 0.0
        if warmup is not None:
            steps = math.ceil(total * warmup.fraction) if warmup.fraction is not None else warmup.steps.low
        if name in HF_FAMILIES:
            if name == "cosine" and floor is not None and floor.value > 0:
                return hf_schedule("cosine_with_min_lr", lr, {"min_lr": floor.value}, total, steps)
            return hf_schedule(name, lr, arguments, total, steps)
        main = torch_schedule(name, lr, arguments) if name else Constant(lr)
        return warmed(main, steps, start.value if start is not None else 0.0)

    return make
