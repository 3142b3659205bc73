"""LightningCLI: `trainer:` with `optimizer:` and `lr_scheduler:`, read through jsonargparse. Plans are in epochs.

LightningCLI steps a scheduler once per epoch unless the module says otherwise (pytorch_lightning 2.6.6, cli.py:
configure_optimizers returns the pair, utilities/types.py: interval "epoch"). A learning rate inside `model:` is the
module's own business; the names ClimaX and lightning-bolts gave to it are understood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.keys import Keys, interpolated
from lrdoctor.configs.milestones import late
from lrdoctor.configs.shapes import ticks, warmed
from lrdoctor.configs.torch_schedules import HORIZONS, METRIC_DRIVEN, PLATEAU_PATIENCE, known, torch_schedule
from lrdoctor.configs.tree import Document, Node
from lrdoctor.configs.yaml_tree import as_omegaconf
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Plan, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import CosineAnnealingLR, Held

NAME = "lightning"
DEFAULT_EPOCHS = 1000.0  # trainer.py, where neither max_epochs nor max_steps is set
_OPTIMIZER_SIGNS = ("optimizer", "lr_scheduler")


def sniff(document: Document) -> int:
    root = document.root
    if root.get("trainer") is None or root.get("defaults") is not None or root.get("model.optim") is not None:
        return 0
    if root.get("optimizer.class_path") is not None or root.get("lr_scheduler.class_path") is not None:
        return 6
    in_model = _in_model(Keys(root, NAME))
    return 4 if in_model is not None and root.get("data") is not None else 0


def _in_model(keys: Keys) -> Keys | None:
    """Where a learning rate stands inside `model:`."""
    for place in ("model", "model.init_args"):
        inner = keys.below(place)
        if inner.has("lr", "learning_rate"):
            return inner
    return None


def plan(document: Document, context: Context) -> Plan:
    loose = replace(document, root=interpolated(as_omegaconf(document.root)))
    keys = Keys(loose.root, NAME)
    inner = _in_model(keys)
    if keys.root.get("optimizer") is None and keys.root.get("lr_scheduler") is None and inner is not None:
        return _module_plan(document, keys, inner, context)
    optimizer = arguments_of(keys.below("optimizer"), "class_path")
    scheduler = arguments_of(keys.below("lr_scheduler"), "class_path")
    return scheduled_plan(document, NAME, keys, optimizer, scheduler, context, interval="epoch")


def arguments_of(block: Keys, name_key: str) -> tuple[Setting[str] | None, Keys]:
    """(class name without its module, its arguments) of `{class_path, init_args}` or `{_target_, ...}`."""
    path = block.text(name_key)
    inner = block.below("init_args") if block.has("init_args") else block
    return (None if path is None else Setting(path.value.rsplit(".", 1)[-1], path.origin)), inner


def scheduled_plan(
    document: Document,
    framework: str,
    keys: Keys,
    optimizer: tuple[Setting[str] | None, Keys],
    scheduler: tuple[Setting[str] | None, Keys],
    context: Context,
    *,
    interval: str,
) -> Plan:
    """The plan of a torch optimizer and a torch scheduler that a Lightning trainer steps once per `interval`."""
    trainer = keys.below("trainer")
    batch = trainer_batch(keys, trainer, context)
    updates = context.updates_per_epoch(batch)
    total, length = _length(trainer, updates, interval)
    lr = optimizer[1].number("lr")
    name, arguments = scheduler
    kind = name.value if name is not None else ""
    given: Mapping[str, Any] = arguments.root.plain_value() if name is not None else {}
    peak = arguments.number("max_lr") if kind in ("OneCycleLR", "CyclicLR") else lr
    return Plan(
        path=document.path,
        framework=framework,
        place=Place(document.path),
        unit="epoch" if interval == "epoch" else "update",
        optimizer=optimizer[0],
        scheduler=name,
        lr=peak or lr,
        batch=batch,
        total=total,
        length=length,
        updates_per_epoch=updates,
        family=kind if known(kind) else "Unknown" if kind else "Constant",
        make=_maker(kind, lr, given, interval),
        unmade=_unmade(kind, lr),
        horizon=_horizon(kind, arguments),
        facts=_facts(keys, trainer, kind, arguments, lr),
        ignored=tuple(late(arguments.numbers("milestones"), total, interval, length)),
        misread=tuple(keys.misread),
        assumptions=(("stepped", f"once per {interval}, as {framework} does by default"), *context.remarks()),
    )


def trainer_batch(keys: Keys, trainer: Keys, context: Context) -> Batch:
    devices, nodes = trainer.number("devices", "gpus"), trainer.number("num_nodes")
    world = devices.value * (nodes.value if nodes is not None else 1.0) if devices is not None else None
    data = keys.below("data")
    return Batch(
        data.number("init_args.batch_size", "batch_size", "init_args.train_batch_size"),
        trainer.number("accumulate_grad_batches"),
        context.world(world if world and world > 0 else None),
    )


def _length(trainer: Keys, updates: Count, interval: str) -> tuple[Count, Setting[float] | None]:
    """The run's length in epochs, or in updates: max_epochs and max_steps, whichever ends it first."""
    epochs, steps = trainer.number("max_epochs"), trainer.number("max_steps")
    has_epochs = epochs is not None and epochs.value > 0
    has_steps = steps is not None and steps.value > 0
    if not has_epochs and not has_steps:
        epochs, has_epochs = trainer.default("max_epochs", DEFAULT_EPOCHS), True
    by_epochs = Count.exactly(epochs.value) if epochs is not None and has_epochs else None
    by_steps = Count.exactly(steps.value) if steps is not None and has_steps else None
    if interval == "epoch":
        total = by_epochs or (by_steps or Count()).over(updates)
        return (total.at_most(by_steps.over(updates)) if by_steps and by_epochs else total), epochs or steps
    total = by_steps or updates.times(by_epochs or Count())
    return (total.at_most(updates.times(by_epochs)) if by_epochs and by_steps else total), steps or epochs


def _maker(kind: str, lr: Setting[float] | None, arguments: Mapping[str, Any], interval: str) -> Any:
    if not kind or not known(kind) or kind == METRIC_DRIVEN or lr is None:
        return None if kind or lr is None else _constant(lr.value)

    def make(total: float) -> Schedule:
        schedule = torch_schedule(kind, lr.value, arguments)
        return Held(schedule) if interval == "epoch" else schedule

    return make


def _constant(lr: float) -> Any:
    from lrdoctor.schedules import Constant

    return lambda total: Constant(lr)


def _unmade(kind: str, lr: Setting[float] | None) -> str:
    if kind == METRIC_DRIVEN:
        return f"{kind} follows a metric of the run"
    if kind and not known(kind):
        return f"{kind} is no scheduler of torch"
    return "no learning rate is set in the config" if lr is None else ""


def _horizon(kind: str, arguments: Keys) -> Setting[float] | None:
    key = next(iter(HORIZONS.get(kind, ())), None)
    return arguments.number(key) if key is not None and kind not in ("StepLR", "MultiStepLR") else None


def _facts(keys: Keys, trainer: Keys, kind: str, arguments: Keys, lr: Setting[float] | None) -> dict[str, Setting[Any]]:
    facts: dict[str, Setting[Any] | None] = {"model": _model(keys), "min_lr": arguments.number("eta_min", "min_lr")}
    if kind == METRIC_DRIVEN:
        facts["patience"] = arguments.number_or("patience", PLATEAU_PATIENCE)
        facts["early_stop"] = _early_stop(trainer)
        facts["cooldown"] = arguments.number("cooldown")
    if kind in ("OneCycleLR", "CyclicLR") and lr is not None:
        facts["optimizer_lr"] = lr
    facts["milestones"] = arguments.numbers("milestones")
    facts["step_size"] = arguments.number("step_size")
    return {name: setting for name, setting in facts.items() if setting is not None}


def _model(keys: Keys) -> Setting[str] | None:
    model = keys.below("model")
    return model.below("init_args").below("model_args").text("backbone") or model.text("class_path", "_target_")


def _early_stop(trainer: Keys) -> Setting[float] | None:
    node = trainer.root.get("callbacks")
    items = node.value if node is not None and node.is_list else []
    for index, item in enumerate(items):
        if isinstance(item, Node) and item.is_mapping and "EarlyStopping" in str(item.plain_value()):
            found = Keys(item, NAME, prefix=f"{trainer.prefix}callbacks[{index}].")
            return found.number("init_args.patience", "patience")
    return None


def _module_plan(document: Document, keys: Keys, inner: Keys, context: Context) -> Plan:
    """A schedule inside the module: a linear warmup and a cosine, whose "epochs" count its own scheduler's steps."""
    trainer = keys.below("trainer")
    batch = trainer_batch(keys, trainer, context)
    updates = context.updates_per_epoch(batch)
    lr = inner.number("lr", "learning_rate")
    ramp, horizon = inner.number("warmup_steps", "warmup_epochs"), inner.number("max_steps", "max_epochs")
    total, length = _length(trainer, updates, "update")
    floor, start = inner.number_or("eta_min", 0.0), inner.number_or("warmup_start_lr", 0.0)
    make = None
    if lr is not None and ramp is not None and horizon is not None and horizon.value > ramp.value:
        peak, steps = lr.value, ramp.value
        main = CosineAnnealingLR(peak, ticks(horizon.value - steps), floor.value)

        def make_cosine(total: float) -> Schedule:
            return warmed(main, steps, start.value / peak)

        make = make_cosine
    name = "LinearWarmupCosineAnnealingLR" if make is not None else None
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        scheduler=keys.derived(name, horizon, "inside the model's code") if name is not None else None,
        lr=lr,
        batch=batch,
        total=total,
        length=length,
        updates_per_epoch=updates,
        family="CosineAnnealingLR" if make is not None else "Unknown",
        make=make,
        unmade="" if make is not None else "the schedule is inside the model's code",
        warmup=WarmupPlan(Count.exactly(ramp.value), ramp) if ramp is not None and ramp.value > 0 else None,
        horizon=horizon,
        facts={"min_lr": floor} if floor.explicit else {},
        misread=tuple(keys.misread),
        assumptions=(
            ("schedule", "inside the model's code: a linear warmup and a cosine stepped per update, by its names"),
            *context.remarks(),
        ),
    )
