"""Hugging Face TrainingArguments: a YAML or JSON file, or the flags of a command in a shell script.

Read in transformers 4.57.1, 5.0.0, 5.14 and 5.23.0: training_args.py (defaults, get_warmup_steps), trainer.py
(set_initial_training_values), optimization.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.deepspeed import companion_plan
from lrdoctor.configs.hf_schedules import FAMILIES, METRIC_DRIVEN, WITHOUT_WARMUP, floor_of, hf_schedule, refusal
from lrdoctor.configs.keys import Keys
from lrdoctor.configs.tree import Document
from lrdoctor.configs.versions import key as version_key
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Ignored, Misread, Plan, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule

NAME = "transformers"
PACKAGE = "transformers"
VERSIONS = ("5.23", "5.14", "4.57")
READ = (5, 24)  # the newest version whose schedulers were read
RATIO_GONE = (5, 15)  # the first version whose TrainingArguments has no warmup_ratio
SHARES = (5, 0)  # the first version in which a warmup_steps below 1 is a share of the run
_STRONG = ("per_device_train_batch_size", "lr_scheduler_type", "num_train_epochs")
_WEAK = (
    "learning_rate", "gradient_accumulation_steps", "warmup_ratio", "warmup_steps", "output_dir", "evaluation_strategy",
    "eval_strategy", "save_total_limit", "logging_steps", "per_device_eval_batch_size", "save_strategy", "max_steps",
    "optim",
)  # fmt: skip
_TRL = ("dataset_mixture", "dataset_mixer", "dataset_name")
_MISSPELT = {
    "lr_scheduler": "lr_scheduler_type",
    "scheduler": "lr_scheduler_type",
    "lr_schedule": "lr_scheduler_type",
    "scheduler_type": "lr_scheduler_type",
    "lr": "learning_rate",
    "max_lr": "learning_rate",
    "epochs": "num_train_epochs",
    "num_epochs": "num_train_epochs",
    "num_warmup_steps": "warmup_steps",
    "warmup": "warmup_ratio",
    "min_lr": "lr_scheduler_kwargs: {min_lr: ...} with lr_scheduler_type: cosine_with_min_lr",
    "batch_size": "per_device_train_batch_size",
    "train_batch_size": "per_device_train_batch_size",
    "micro_batch_size": "per_device_train_batch_size",
    "grad_accum_steps": "gradient_accumulation_steps",
}
"""Keys other trainers have, and what TrainingArguments calls them."""


def sniff(document: Document) -> int:
    root = document.root
    strong = sum(root.get(key) is not None for key in _STRONG)
    weak = sum(root.get(key) is not None for key in _WEAK)
    return 2 * strong + min(weak, 2) if strong >= 2 or (strong and weak >= 2) else 0


def plan(document: Document, context: Context) -> Plan:
    keys = Keys(document.root, NAME, _converts(document))
    made = trainer_plan(document, keys, context, NAME)
    return companion_plan(made, document, context, keys.text("deepspeed"), own=("lr_scheduler_type",))


def _converts(document: Document) -> bool:
    """Whether strings become numbers: on a command line, and in TRL's recipes, which become argparse's defaults."""
    recipe = document.root.get("model_name_or_path") is not None and any(document.root.get(key) for key in _TRL)
    return document.kind == "shell" or recipe


@dataclass(frozen=True, slots=True)
class Release:
    """The version whose rules hold, and how it is known."""

    version: str
    known: bool
    told: str

    def since(self, bound: tuple[int, ...]) -> bool:
        return version_key(self.version) >= bound


def release(context: Context, *, uses_ratio: bool, package: str = PACKAGE) -> Release:
    """The pinned version, else the newest one the file fits: a `warmup_ratio` is itself a sign of the older kind."""
    found = context.version(package)
    chosen = found.choose(VERSIONS) if found is not None else None
    if found is not None and found.exact is not None:
        return Release(found.exact, True, f"{found.exact} ({found.source})")
    if chosen is not None and found is not None and (found.least or found.below):
        return Release(chosen, False, f"{chosen}, assumed within the bounds of {found.source}")
    version = VERSIONS[-1] if uses_ratio else VERSIONS[0]
    return Release(version, False, f"{version}, assumed: no version is pinned")


def trainer_plan(
    document: Document,
    keys: Keys,
    context: Context,
    framework: str,
    known: Release | None = None,
    dataset: Count | None = None,
) -> Plan:
    """The plan of a Trainer with these arguments. `dataset` bounds the number of examples, where the config does."""
    version = known or release(context, uses_ratio=_asks(keys, "warmup_ratio"))
    keys.framework = f"transformers {version.version}"
    lr = keys.number_or("learning_rate", 5e-5)
    scheduler = keys.text_or("lr_scheduler_type", "linear")
    batch = _batch(keys, context)
    updates = context.updates_per_epoch(batch, dataset)
    total, length = _length(keys, updates)
    ignored: list[Ignored] = []
    warmup = _warmup(keys, version, total, ignored)
    name = scheduler.value.removeprefix("SchedulerType.").lower()
    options = _options(keys)
    _unused(keys, name, warmup, version, ignored)
    return Plan(
        path=document.path,
        framework=framework,
        place=Place(document.path),
        version=version.version,
        optimizer=keys.text_or("optim", "adamw_torch"),
        scheduler=scheduler,
        lr=lr,
        batch=batch,
        total=total,
        length=length,
        updates_per_epoch=updates,
        family=FAMILIES.get(name, "Unknown"),
        make=None if name in METRIC_DRIVEN or name not in FAMILIES else _maker(name, lr.value, options, warmup),
        unmade=_unmade(name),
        warmup=None if name in WITHOUT_WARMUP else warmup,
        facts=_facts(keys, name, lr, options),
        ignored=tuple(ignored),
        misread=(
            *keys.misread,
            *_share_as_steps(keys, version),
            *_refused(scheduler, name, lr.value, options, version),
        ),
        assumptions=(("transformers", version.told), *context.remarks(dataset=length is None or not _fixed(keys))),
    )


def refused(scheduler: Setting[str], name: str, lr: float, options: Mapping[str, Any]) -> tuple[Misread, ...]:
    """A scheduler at which Transformers stops, where the config names it."""
    why, cure = refusal(name, lr, options) if scheduler.explicit else ("", "")
    return (Misread(scheduler, why, cure, "refused"),) if why else ()


def _refused(
    scheduler: Setting[str], name: str, lr: float, options: Mapping[str, Any], version: Release
) -> tuple[Misread, ...]:
    """None for a name that a version newer than those we read may have."""
    newer = version_key(version.version)[:2] > READ
    return () if newer and name not in FAMILIES else refused(scheduler, name, lr, options)


def _asks(keys: Keys, key: str) -> bool:
    found = keys.number(key)
    return found is not None and found.value > 0


def _fixed(keys: Keys) -> bool:
    return _asks(keys, "max_steps")


def _batch(keys: Keys, context: Context) -> Batch:
    launcher = keys.below("@launcher")
    devices = launcher.number("nproc_per_node", "num_gpus", "num_processes")
    nodes = launcher.number("nnodes", "num_nodes")
    world = devices.value * (nodes.value if nodes else 1.0) if devices else None
    return Batch(
        keys.number_or("per_device_train_batch_size", 8.0),
        keys.number_or("gradient_accumulation_steps", 1.0),
        context.world(world),
    )


def _length(keys: Keys, updates: Count) -> tuple[Count, Setting[float] | None]:
    steps = keys.number("max_steps")
    if steps is not None and steps.value > 0:
        return Count.exactly(steps.value), steps
    epochs = keys.number_or("num_train_epochs", 3.0)
    return updates.part(max(0.0, epochs.value)), epochs


def _warmup(keys: Keys, version: Release, total: Count, ignored: list[Ignored]) -> WarmupPlan | None:
    steps, ratio = keys.number("warmup_steps"), keys.number("warmup_ratio")
    if ratio is not None and ratio.value > 0 and version.since(RATIO_GONE):
        ignored.append(_removed_ratio(ratio, version))
        ratio = None
    asked = steps if steps is not None and steps.value > 0 else None
    if ratio is not None and ratio.value > 0 and (asked is None or version.since(SHARES)):
        return WarmupPlan(total.part(ratio.value), ratio, ratio.value)
    if asked is None:
        return None
    if ratio is not None and ratio.value > 0:
        why = f"warmup_steps ({asked.value:g}) wins over it in transformers {version.version}"
        ignored.append(Ignored(ratio, why, "leave one of the two out", instead=asked))
    if asked.value >= 1:
        return WarmupPlan(Count.exactly(float(int(asked.value))), asked)
    if version.since(SHARES):
        return WarmupPlan(total.part(asked.value), asked, asked.value)
    return WarmupPlan(Count.exactly(0.0), asked)


def _removed_ratio(ratio: Setting[float], version: Release) -> Ignored:
    return Ignored(
        ratio,
        f"transformers {version.version} has no warmup_ratio (gone since 5.15)",
        f"write `warmup_steps: {ratio.value:g}`: below 1 it is a share of the run",
        about="removed",
    )


def _share_as_steps(keys: Keys, version: Release) -> tuple[Misread, ...]:
    steps = keys.number("warmup_steps")
    if steps is None or not 0 < steps.value < 1 or version.since(SHARES):
        return ()
    why = f"transformers {version.version} takes warmup_steps as a number of updates; below 1 there is no warmup"
    return (Misread(steps, why, f"write `warmup_ratio: {steps.value:g}`", "unit"),)


def _options(keys: Keys) -> Mapping[str, Any]:
    given = keys.given("lr_scheduler_kwargs")
    value = given.value if given is not None else {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = {}
    return value if isinstance(value, dict) else {}


def _maker(name: str, lr: float, options: Mapping[str, Any], warmup: WarmupPlan | None) -> Callable[[float], Schedule]:
    def make(total: float) -> Schedule:
        if warmup is None:
            steps = 0.0
        elif warmup.fraction is not None:
            steps = float(math.ceil(total * warmup.fraction))
        else:
            steps = warmup.steps.low
        return hf_schedule(name, lr, options, total, steps)

    return make


def _unmade(name: str) -> str:
    if name in METRIC_DRIVEN:
        return f"{name} follows a metric of the run"
    return "" if name in FAMILIES else f"no scheduler of Transformers is called {name}"


def _unused(keys: Keys, name: str, warmup: WarmupPlan | None, version: Release, ignored: list[Ignored]) -> None:
    if name in WITHOUT_WARMUP and warmup is not None and warmup.asked is not None:
        better = "write constant_with_warmup" if name == "constant" else "leave it out"
        ignored.append(Ignored(warmup.asked, f"the scheduler {name} has no warmup", better))
    steps, epochs = keys.number("max_steps"), keys.number("num_train_epochs")
    if steps is not None and steps.value > 0 and epochs is not None and epochs.explicit:
        why = f"max_steps ({steps.value:g}) decides how long the run is"
        ignored.append(Ignored(epochs, why, "leave one of the two out", instead=steps, severity="info"))
    for wrong, right in _MISSPELT.items():
        given = keys.given(wrong)
        if given is not None and keys.given(right) is None:
            why = f"TrainingArguments calls it {right}; the default holds"
            ignored.append(Ignored(given, why, f"rename it to {right}"))


def _facts(keys: Keys, name: str, lr: Setting[float], options: Mapping[str, Any]) -> dict[str, Setting[Any]]:
    model = keys.text("model_name_or_path", "model_name", "model_path")
    adapter = keys.given("use_peft", "lora_r", "lora_rank", "peft_config")
    beta2, trains = keys.number("adam_beta2"), keys.text("stage", "trainer_type")
    facts: dict[str, Setting[Any] | None] = {"model": model, "adapter": adapter, "beta2": beta2, "method": trains}
    if model is not None:
        facts["finetune"] = Setting(True, model.origin)
    kwargs = keys.given("lr_scheduler_kwargs")
    if name == "cosine_with_min_lr" and kwargs is not None:
        try:
            facts["min_lr"] = Setting(floor_of(lr.value, options), kwargs.origin)
        except (ValueError, TypeError):
            facts["bad_floor"] = kwargs
    return {key: value for key, value in facts.items() if value is not None}
