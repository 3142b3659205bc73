"""Ultralytics: args.yaml, a `yolo train` command, and YOLOv5's hyp.yaml keys. Plans are in epochs.

Read in ultralytics 8.3.100 and 8.4.190: engine/trainer.py (_setup_scheduler, _do_train, build_optimizer).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from lrdoctor.configs.context import Context
from lrdoctor.configs.keys import Keys
from lrdoctor.configs.shapes import ticks
from lrdoctor.configs.tree import Document
from lrdoctor.configs.versions import key as version_key
from lrdoctor.model.count import Count
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Batch, Ignored, Misread, Plan, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import CosineAnnealingLR, Held, LinearLR, Product

NAME = "ultralytics"
VERSIONS = ("8.4.190", "8.4.102", "8.3.100")
WITHOUT_FLOOR = (8, 4, 103)  # the first version whose warmup has no least number of batches
WITH_MUON = (8, 4)  # from here on `auto` takes MuSGD for long runs
FLOOR = 100
NOMINAL = 64.0
DATASETS = {
    "coco8": (4, 80), "coco128": (128, 80), "coco": (118_287, 80), "voc": (16_551, 20), "visdrone": (6_471, 10),
    "xview": (847, 60), "argoverse": (39_384, 8), "globalwheat2020": (3_422, 1), "objects365": (1_742_289, 365),
    "coco8-seg": (4, 80), "coco128-seg": (128, 80), "coco8-pose": (4, 1),
}  # fmt: skip
"""Training images and classes of the data sets that come with Ultralytics, as its cfg/datasets state them."""


def sniff(document: Document) -> int:
    root = document.root
    program = root.get("@program")
    if program is not None:
        return 6 if program.value == "yolo" and root.get("epochs") is not None else 0
    return 6 if root.has("lr0", "lrf", "warmup_epochs") else 0


def plan(document: Document, context: Context) -> Plan:
    release, told, floors = _release(context)
    keys = Keys(document.root, f"ultralytics {release}", converts=document.kind == "shell")
    epochs = keys.number_or("epochs", 100.0)
    batch = keys.number_or("batch", 16.0)
    whole = batch if batch.value >= 1 else None
    listed, classes, data_told = _data(document, keys, context)
    examples = context.sizes.dataset or listed
    batches = _batches(context, examples, whole)
    warmup = _warmup(keys, batches, epochs.value, floors)
    sgd = "MuSGD" if version_key(release) >= WITH_MUON else "SGD"
    optimizer, lr, ignored = _optimizer(keys, examples, whole, epochs.value, classes, sgd)
    lrf = keys.number_or("lrf", 0.01)
    asked = keys.number_or("lr0", 0.01)
    return Plan(
        path=document.path,
        framework=NAME,
        place=Place(document.path),
        version=release,
        unit="epoch",
        optimizer=optimizer,
        scheduler=keys.derived("cosine" if keys.flag("cos_lr") else "linear", keys.given("cos_lr"), "cos_lr"),
        lr=lr,
        batch=Batch(whole=whole),
        total=Count.exactly(epochs.value),
        length=epochs,
        updates_per_epoch=batches,
        family="CosineAnnealingLR" if keys.flag("cos_lr") else "LinearLR",
        make=_maker(lr.value, lrf.value, keys.flag("cos_lr"), warmup) if lr is not None else None,
        unmade=""
        if lr is not None
        else "optimizer: auto derives the learning rate from the data set, which is unknown",
        warmup=warmup,
        facts={"asked_lr": asked, "final_factor": lrf, **_misused(keys, lrf)},
        ignored=tuple(ignored),
        misread=tuple(keys.misread) + _absolute_floor(lrf),
        assumptions=(("ultralytics", told), *data_told, *context.remarks(world=False)),
    )


def _release(context: Context) -> tuple[str, str, tuple[bool, ...]]:
    """The version, how it is known, and whether its warmup has a least length (both, where it may have)."""
    found = context.version("ultralytics")
    chosen = found.choose(VERSIONS) if found is not None else None
    if found is not None and found.exact is not None:
        floor = version_key(found.exact) < WITHOUT_FLOOR
        return found.exact, f"{found.exact} ({found.source})", (floor,)
    return chosen or VERSIONS[0], f"{chosen or VERSIONS[0]}, assumed: no version is pinned", (False, True)


def _data(document: Document, keys: Keys, context: Context) -> tuple[Count | None, float | None, list[tuple[str, str]]]:
    """(training images, classes) from the data set's name or its own YAML, as far as they tell."""
    named = keys.text("data")
    if named is None:
        return None, None, []
    stem = named.value.replace("\\", "/").rsplit("/", 1)[-1].lower().removesuffix(".yaml")
    if stem in DATASETS:
        images, classes = DATASETS[stem]
        fraction = keys.number_or("fraction", 1.0).value
        told = ("data", f"{stem} has {images:,} training images and {classes} classes")
        return Count.exactly(max(1, round(images * fraction))), float(classes), [told]
    other = context.companion(document, named.value) if not Path(named.value).is_absolute() else None
    if other is None:
        return None, None, []
    names, count = other.root.get("names"), Keys(other.root, NAME).number("nc")
    if count is not None:
        return None, count.value, []
    return None, float(len(names.value)) if names is not None and isinstance(names.value, dict | list) else None, []


def _batches(context: Context, examples: Count | None, batch: Setting[float] | None) -> Count:
    """Batches per epoch; the last one may be smaller."""
    if context.sizes.updates_per_epoch is not None:
        return context.sizes.updates_per_epoch
    return examples.over(batch.value) if examples is not None and batch is not None else Count()


def _warmup(keys: Keys, batches: Count, epochs: float, floors: tuple[bool, ...]) -> WarmupPlan | None:
    """Its length in epochs. Older versions warm up for 100 batches at least, however few an epoch has.

    `floors` says whether such a least number holds; both where the version is not known.
    """
    asked = keys.number_or("warmup_epochs", 3.0)
    if asked.value <= 0:
        return None

    def length(each: float, floor: bool) -> float:
        if floor:
            return max(round(asked.value * each), FLOOR) / each
        return round(min(asked.value, epochs - 1) * each) / each if epochs > 1 else 0.0

    lengths = [length(each, floor) for floor in floors for each in batches.ends if each > 0]
    if not batches.known:
        lengths.append(asked.value)
    return WarmupPlan(Count(min(lengths), max(lengths)), asked)


def _optimizer(
    keys: Keys, examples: Count | None, batch: Setting[float] | None, epochs: float, classes: float | None, sgd: str
) -> tuple[Setting[str], Setting[float] | None, list[Ignored]]:
    """The optimizer and its learning rate. `auto` chooses both and leaves lr0 unused; `sgd` is what long runs get."""
    optimizer, asked = keys.text_or("optimizer", "auto"), keys.number_or("lr0", 0.01)
    if optimizer.value.lower() != "auto":
        return optimizer, asked, []
    ignored = []
    chosen, lr = _automatic(examples, batch, epochs, classes, sgd)
    if asked.explicit and asked.value != 0.01:
        why = "`optimizer: auto` chooses the learning rate and the momentum itself"
        instead = keys.derived(lr, optimizer, "chosen by optimizer: auto") if lr is not None else optimizer
        ignored.append(Ignored(asked, why, "name the optimizer, such as `optimizer: AdamW`", "override", instead))
    if lr is None:
        return optimizer, None, ignored
    note = f"optimizer: auto takes {chosen} with {lr:g}"
    return keys.derived(chosen, optimizer, note), keys.derived(lr, optimizer, note), ignored


def _automatic(
    examples: Count | None, batch: Setting[float] | None, epochs: float, classes: float | None, sgd: str
) -> tuple[str, float | None]:
    """AdamW with round(0.002 * 5 / (4 + classes), 6) up to 10,000 iterations, a kind of SGD with 0.01 beyond."""
    by_classes = round(0.002 * 5 / (4 + classes), 6) if classes is not None else None
    if examples is None or not examples.known or batch is None:
        return "AdamW", None
    iterations = math.ceil(examples.low / max(batch.value, NOMINAL)) * epochs
    return (sgd, 0.01) if iterations > 10_000 else ("AdamW", by_classes)


def _maker(lr: float, lrf: float, cosine: bool, warmup: WarmupPlan | None) -> Any:
    def make(total: float) -> Schedule:
        end = ticks(total)
        main: Schedule = CosineAnnealingLR(lr, end, lr * lrf) if cosine else LinearLR(lr, end, 1.0, lrf)
        length = warmup.steps.value if warmup is not None else 0.0
        if length is None:
            length = warmup.asked.value if warmup is not None and warmup.asked is not None else 0.0
        return Product(Held(main), LinearLR(1.0, ticks(length), 0.0, 1.0)) if length > 0 else Held(main)

    return make


def _misused(keys: Keys, lrf: Setting[float]) -> dict[str, Setting[Any]]:
    patience = keys.number("patience")
    return {"early_stop": patience} if patience is not None else {}


def _absolute_floor(lrf: Setting[float]) -> tuple[Misread, ...]:
    """lrf is a factor of lr0; a value above 1 would make the learning rate rise."""
    if lrf.value <= 1.0:
        return ()
    why = "lrf is the final learning rate as a share of lr0, so the learning rate would rise"
    return (Misread(lrf, why, "write a share below 1, such as `lrf: 0.01`", "lr"),)
