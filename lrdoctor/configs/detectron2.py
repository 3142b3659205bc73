"""detectron2's YAML (yacs) with its `_BASE_` chain.

Read at 02b5c4e2: solver/build.py, config/defaults.py, data of fvcore 0.1.5 (common/param_scheduler.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.keys import Keys
from lrdoctor.configs.python_tree import merge
from lrdoctor.configs.shapes import ahead, ticks
from lrdoctor.configs.tree import Document, Node
from lrdoctor.configs.yaml_tree import as_yacs
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Ignored, Plan, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import CosineAnnealingLR, LinearLR, MultiStepLR, PolynomialLR, Sequence, StepLR

NAME = "detectron2"
DEPTH = 12
_FAMILIES = {
    "WarmupMultiStepLR": "MultiStepLR",
    "WarmupCosineLR": "CosineAnnealingLR",
    "WarmupStepWithFixedGammaLR": "StepLR",
    "WarmupPolyLR": "PolynomialLR",
}
_POLY_POWER = 0.9  # projects/DeepLab/deeplab/config.py
_PROJECT = ("WarmupPolyLR",)


def sniff(document: Document) -> int:
    root = document.root
    if document.kind != "yaml":
        return 0
    return 6 if root.get("SOLVER") is not None else 2 if root.get("_BASE_") is not None else 0


def plan(document: Document, context: Context) -> Plan | None:
    root, missing, reads = _chain(document, context, DEPTH)
    if root.get("SOLVER") is None:
        return None
    keys = Keys(as_yacs(root), NAME).below("SOLVER")
    lr, length, batch = keys.number("BASE_LR"), keys.number("MAX_ITER"), keys.number("IMS_PER_BATCH")
    if not missing:  # a base that was not found may set any of these
        lr = lr or keys.default("BASE_LR", 0.001)
        length = length or keys.default("MAX_ITER", 40_000.0)
        batch = batch or keys.default("IMS_PER_BATCH", 16.0)
    scheduler = keys.text_or("LR_SCHEDULER_NAME", "WarmupMultiStepLR")
    ramp = keys.number_or("WARMUP_ITERS", 1000.0)
    family = _FAMILIES.get(scheduler.value, "Unknown")
    unmade = _unmade(keys, scheduler.value, lr)
    assumptions = [(f"base {name}", "not found") for name in missing]
    if scheduler.value in _PROJECT:
        assumptions.append(("scheduler", f"{scheduler.value} as the project DeepLab defines it"))
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        optimizer=keys.default("optimizer", "SGD"),
        scheduler=scheduler,
        lr=lr,
        batch=Batch(whole=batch),
        total=Count.exactly(length.value) if length is not None else Count(),
        length=length,
        family=family,
        make=_maker(keys, scheduler.value, lr.value, ramp.value) if lr is not None and not unmade else None,
        unmade=unmade,
        warmup=WarmupPlan(Count.exactly(ramp.value), ramp) if ramp.value > 0 else None,
        facts=_facts(Keys(root, NAME), keys),
        ignored=tuple(_late_steps(keys, length))
        if scheduler.value == "WarmupMultiStepLR" and length is not None
        else (),
        misread=(),
        assumptions=tuple(assumptions),
        reads=tuple(reads),
    )


def _unmade(keys: Keys, name: str, lr: Setting[float] | None) -> str:
    if name not in _FAMILIES:
        return f"{name} is no scheduler of detectron2 itself"
    if keys.flag("RESCALE_INTERVAL"):
        return "RESCALE_INTERVAL squeezes the schedule behind the warmup, in ways that differ between versions"
    return "" if lr is not None else "BASE_LR stands in a base that was not found"


def _chain(document: Document, context: Context, depth: int) -> tuple[Node, list[str], list[str]]:
    """The config merged into its base, the bases that were not found, the files that were read."""
    node = document.root.get("_BASE_")
    own = replace(document.root, value={k: v for k, v in document.root.value.items() if k != "_BASE_"})
    if node is None or not isinstance(node.value, str) or depth <= 0:
        return own, [], []
    other = context.companion(document, node.value)
    if other is None:
        return own, [node.value], []
    base, missing, reads = _chain(other, context, depth - 1)
    return merge(base, own), missing, [other.path, *reads]


def _maker(keys: Keys, name: str, lr: float, ramp: float) -> Callable[[float], Schedule]:
    factor = keys.number_or("WARMUP_FACTOR", 1.0 / 1000).value
    method = keys.text_or("WARMUP_METHOD", "linear").value

    def make(total: float) -> Schedule:
        main = _main(keys, name, lr, total)
        length = min(ramp, total)
        if length <= 0:
            return main
        end = float(main.lr_at([length])[0]) / lr
        start = factor * float(main.lr_at([0.0])[0]) / lr
        rise = LinearLR(lr, ticks(length), start, start if method == "constant" else end)
        return Sequence((rise, ahead(main, length)), (length,)) if length < total else rise

    return make


def _main(keys: Keys, name: str, lr: float, total: float) -> Schedule:
    end = keys.number_or("BASE_LR_END", 0.0).value
    if name == "WarmupCosineLR":
        return CosineAnnealingLR(lr, ticks(total), end)
    if name == "WarmupPolyLR":
        power = keys.number_or("POLY_LR_POWER", _POLY_POWER).value
        return PolynomialLR(lr, ticks(total), power, keys.number_or("POLY_LR_CONSTANT_ENDING", 0.0).value * lr)
    gamma = keys.number_or("GAMMA", 0.1).value
    if name == "WarmupStepWithFixedGammaLR":
        return StepLR(lr, ticks(total / (keys.number_or("NUM_DECAYS", 3.0).value + 1.0)), gamma)
    given = keys.numbers("STEPS")
    marks = sorted(mark for mark in (given.value if given is not None else (30_000.0,)) if mark <= total)
    return MultiStepLR(lr, tuple(ticks(mark) for mark in marks), gamma)


def _late_steps(keys: Keys, length: Setting[float]) -> list[Ignored]:
    given = keys.numbers("STEPS") or keys.default("STEPS", (30_000.0,))
    late = [mark for mark in given.value if mark > length.value]
    if not late or not given.explicit:
        return []
    told = ", ".join(f"{mark:g}" for mark in late)
    why = f"the run ends at {length.value:g}, before {told}, which detectron2 drops"
    return [Ignored(given, why, "set STEPS within MAX_ITER", instead=length)]


def _facts(root: Keys, keys: Keys) -> dict[str, Setting[Any]]:
    facts: dict[str, Setting[Any]] = {}
    model = root.text("MODEL.META_ARCHITECTURE")
    weights = root.text("MODEL.WEIGHTS")
    if model is not None:
        facts["model"] = model
    if weights is not None and weights.value:
        facts["finetune"] = Setting(True, weights.origin)
    reference = keys.number("REFERENCE_WORLD_SIZE")
    if reference is not None and reference.value > 0:
        facts["scaled_lr"] = reference
    return facts
