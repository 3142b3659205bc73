"""LLaMA-Factory: TrainingArguments with more keys, read through OmegaConf. Read at ff6d4d12: hparams/parser.py."""

from __future__ import annotations

from dataclasses import replace

from lrdoctor.configs.context import Context
from lrdoctor.configs.deepspeed import companion_plan
from lrdoctor.configs.keys import Keys
from lrdoctor.configs.transformers import Release, release, trainer_plan
from lrdoctor.configs.tree import Document
from lrdoctor.configs.yaml_tree import as_omegaconf
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Ignored, Plan

NAME = "llamafactory"
TRANSFORMERS = "5.8"  # the newest Transformers its setup allows (>=4.55,<=5.8)
_FOREIGN = ("extra_args", "training_stage", "model_path", "model_name", "booster", "compute_type")
"""Keys of its web interface and of other tools that its parser refuses."""


def sniff(document: Document) -> int:
    root = document.root
    if root.get("model_class") is not None and root.has("train_dataset", "learning_rate"):
        return 6  # the v1 format
    if root.get("finetuning_type") is None:
        return 0
    return 8 if root.get("stage") is not None or root.get("template") is not None else 0


def plan(document: Document, context: Context) -> Plan:
    loose = document if document.kind == "shell" else replace(document, root=as_omegaconf(document.root))
    keys = Keys(loose.root, NAME, converts=document.kind == "shell")
    if loose.root.get("model_class") is not None:
        return _first_version(loose, keys, context)
    made = trainer_plan(loose, keys, context, NAME, _release(context), _most_examples(keys))
    foreign = [found for key in _FOREIGN if (found := keys.given(key)) is not None]
    names = ", ".join(found.key for found in foreign)
    why, cure = f"LLaMA-Factory stops at keys it does not have: {names}", f"remove {names}"
    ignored = [Ignored(found, why, cure, "removed") for found in foreign[:1]]
    facts = dict(made.facts)
    adapter, model = keys.text("finetuning_type"), keys.text("model_name_or_path", "model_path")
    if adapter is not None and adapter.value != "full":
        facts["adapter"] = adapter
    else:
        facts.pop("adapter", None)
    if model is not None:
        facts |= {"model": model, "finetune": keys.derived(True, model, "the model has weights")}
    made = replace(made, facts=facts, ignored=(*made.ignored, *ignored))
    return companion_plan(made, document, context, keys.text("deepspeed"), own=("lr_scheduler_type",))


def _most_examples(keys: Keys) -> Count | None:
    """`max_samples` of each data set at most, less the share that is held out."""
    most, sets = keys.number("max_samples"), keys.given("dataset")
    if most is None or sets is None or most.value < 1:
        return None
    count = len(sets.value) if isinstance(sets.value, list) else str(sets.value).count(",") + 1
    held_out = keys.number_or("val_size", 0.0).value
    kept = most.value * count * (1.0 - held_out) if 0.0 <= held_out < 1.0 else most.value * count - held_out
    return Count(1.0, max(1.0, kept))


def _release(context: Context) -> Release:
    if context.version("transformers") is not None:
        return release(context, uses_ratio=True)
    told = f"{TRANSFORMERS}, assumed: the newest that LLaMA-Factory allows"
    return Release(TRANSFORMERS, False, told)


def _first_version(document: Document, keys: Keys, context: Context) -> Plan:
    """The v1 format: `optim_config` and `lr_scheduler_config` name what the code decides."""
    steps = keys.number("max_steps")
    epochs = keys.number("num_train_epochs")
    batch = Batch(keys.number_or("micro_batch_size", 1.0), keys.default("accumulation", 1.0), context.world())
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        version="v1",
        optimizer=keys.below("optim_config").text_or("name", "adamw"),
        scheduler=keys.below("lr_scheduler_config").text("name"),
        lr=keys.number("learning_rate"),
        batch=batch,
        total=Count.exactly(steps.value) if steps is not None else Count(),
        length=steps or epochs,
        unmade="the schedule of LLaMA-Factory's v1 format is not known here",
        facts={"model": model} if (model := keys.text("model")) is not None else {},
        misread=tuple(keys.misread),
        assumptions=tuple(context.remarks(dataset=steps is None)),
    )
