"""DeepSpeed's JSON, alone or beside the config of a trainer that names it.

Read in deepspeed 0.18.9: runtime/lr_schedules.py, runtime/engine.py; integrations/deepspeed.py of transformers 5.23.
"""

from __future__ import annotations

from dataclasses import replace

from lrdoctor.configs.context import Context
from lrdoctor.configs.deepspeed_scheduler import filled_in, scheduler_of
from lrdoctor.configs.keys import Keys
from lrdoctor.configs.tree import Document
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Ignored, Plan, Setting

NAME = "deepspeed"
_SIGNS = ("train_micro_batch_size_per_gpu", "train_batch_size", "zero_optimization")
_MISPLACED = {"max_grad_norm": "gradient_clipping", "clip_grad_norm": "gradient_clipping", "lr": "optimizer.params.lr"}


def sniff(document: Document) -> int:
    root = document.root
    if not any(root.get(key) is not None for key in _SIGNS) or root.get("train_iters") is not None:
        return 0
    return 5 if root.get("optimizer.params.lr") is not None or root.get("scheduler.type") is not None else 0


def plan(document: Document, context: Context) -> Plan:
    keys = Keys(document.root, NAME)
    optimizer = keys.below("optimizer")
    lr = optimizer.number("params.lr")
    found = scheduler_of(keys, lr)
    ignored = [*found.ignored] if found is not None else []
    for wrong, right in _MISPLACED.items():
        given = keys.given(wrong)
        if given is not None and keys.given(right) is None:
            ignored.append(Ignored(given, f"DeepSpeed reads {right} and not this", f"write {right}"))
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        optimizer=optimizer.text("type"),
        scheduler=found.name if found is not None else None,
        lr=found.lr if found is not None else lr,
        batch=_batch(keys, context),
        family=found.family if found is not None else "Unknown",
        make=found.make if found is not None else None,
        unmade=found.unmade if found is not None else "there is no scheduler here; the training script may bring one",
        warmup=found.warmup if found is not None else None,
        horizon=found.horizon if found is not None else None,
        facts={"beta2": beta} if (beta := _beta2(optimizer)) is not None else {},
        ignored=tuple(ignored),
        misread=tuple(keys.misread),
        assumptions=(("length", "unknown: the training script decides it"), *context.remarks(dataset=False)),
    )


def _batch(keys: Keys, context: Context) -> Batch:
    return Batch(
        keys.number("train_micro_batch_size_per_gpu"),
        keys.number("gradient_accumulation_steps"),
        context.world(),
        keys.number("train_batch_size"),
    )


def _beta2(optimizer: Keys) -> Setting[float] | None:
    betas = optimizer.numbers("params.betas")
    return Setting(betas.value[1], betas.origin) if betas is not None and len(betas.value) > 1 else None


def companion_plan(
    plan: Plan, document: Document, context: Context, named: Setting[str] | None, *, own: tuple[str, ...]
) -> Plan:
    """`plan` of a Trainer, as the DeepSpeed file it names changes it: a scheduler there wins over the trainer's.

    `own` are the trainer's keys of a scheduler. The plan stays as it is where the file cannot be read.
    """
    other = context.companion(document, named.value) if named is not None else None
    if other is None or not other.root.is_mapping:
        return plan
    keys = Keys(other.root, NAME)
    theirs = keys.below("optimizer").number("params.lr")
    found = scheduler_of(keys, theirs or plan.lr)
    reads = (*plan.reads, other.path)
    ignored = list(plan.ignored)
    if theirs is not None and plan.lr is not None and plan.lr.explicit and theirs.value != plan.lr.value:
        why = f"{other.path} sets another learning rate, and Transformers stops where the two differ"
        ignored.append(Ignored(plan.lr, why, 'write "auto" in the DeepSpeed file', "override", theirs))
    if found is None:
        return replace(plan, reads=reads, ignored=tuple(ignored))
    filled = filled_in(found, plan.warmup, plan.lr, keys) if found.make is None else None
    if plan.scheduler is not None and plan.scheduler.key in own and plan.scheduler.explicit:
        why = f"the scheduler of {other.path} ({found.name.value}) is used"
        cure = "delete the scheduler block of the DeepSpeed file"
        ignored.append(Ignored(plan.scheduler, why, cure, "unused", found.name))
    return replace(
        plan,
        scheduler=found.name,
        family=found.family,
        lr=found.lr or plan.lr,
        make=found.make or filled,
        unmade="" if filled is not None else found.unmade,
        warmup=found.warmup or plan.warmup,
        horizon=found.horizon,
        reads=reads,
        ignored=(*ignored, *found.ignored),
    )
