"""What a checkpoint states about the run: saved hyper-parameters, arguments, a pickled TrainingArguments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.model.run import Hint, Scalar
from lrdoctor.readers.plain import Number, mapping, scalar
from lrdoctor.readers.storage import content_of, head_of, is_dir, size_of
from lrdoctor.readers.torch_file import opened

# Where settings lie in a checkpoint, by framework: Lightning, timm and MAE, Ultralytics, YOLOv5, nanoGPT, fairseq.
_PLACES = ("hyper_parameters", "args", "train_args", "opt", "config", "hparams", "hyp")
# lrdoctor's name <- the names settings go by; the first that is there counts.
_NAMES: dict[str, tuple[str, ...]] = {
    "lr": ("learning_rate", "lr", "lr0", "base_lr", "max_lr"),
    "min_lr": ("min_lr", "eta_min"),
    "batch_size": (
        "total_batch_size", "global_batch_size", "per_device_train_batch_size", "train_batch_size",
        "batch_size", "batch",
    ),
    "grad_accum": ("gradient_accumulation_steps", "accumulate_grad_batches", "accum_iter", "update_freq"),
    "world_size": ("world_size",),
    "epochs": ("num_train_epochs", "max_epochs", "epochs", "num_epochs"),
    "max_steps": ("max_steps", "max_iters", "max_update", "total_steps"),
    "warmup_steps": ("warmup_steps", "num_warmup_steps", "warmup_iters", "warmup_updates"),
    "warmup_ratio": ("warmup_ratio",),
    "warmup_epochs": ("warmup_epochs",),
    "weight_decay": ("weight_decay",),
    "beta2": ("adam_beta2", "beta2"),
    "optimizer": ("optim", "opt", "optimizer", "optimizer_name"),
    "scheduler": ("lr_scheduler_type", "sched", "lr_scheduler", "scheduler"),
    "model": ("model_name_or_path", "model_name", "arch", "model"),
    "dataset_size": ("dataset_size",),
}  # fmt: skip
_PER_DEVICE = frozenset({"per_device_train_batch_size"})
_NUMERIC = frozenset(_NAMES) - {"optimizer", "scheduler", "model"}


def checkpoint_hints(path: str) -> Iterator[Hint]:
    """Hints from one checkpoint file; none, silently, where it cannot be read (`read_checkpoint` says why)."""
    if is_dir(path):
        return
    try:
        with opened(path) as file:
            root = mapping(file.root) or {}
            for place in _PLACES:
                settings = mapping(root.get(place))
                if settings is not None:
                    yield from hints_from(settings, path, file.number, prefix=place)
    except ReadError:
        return


def training_arguments(path: str) -> Iterator[Hint]:
    """Hints from training_args.bin: a pickled Hugging Face TrainingArguments, or JSON text (old LLaMA-Factory)."""
    if head_of(path, 1) == b"{":
        yield from _from_json(path)
        return
    with opened(path) as file:
        settings = mapping(file.root)
        if settings is None:
            raise ReadError("The training arguments cannot be read.", where=path, why="no settings in it")
        yield from hints_from(settings, path, file.number)


def _from_json(path: str) -> Iterator[Hint]:
    if size_of(path) > limits().settings_bytes:
        raise ReadError("The training arguments are too large.", where=path, why=raised_by("settings_bytes"))
    try:
        settings = json.loads(content_of(path))
    except (ValueError, RecursionError) as error:
        raise ReadError("The training arguments cannot be read.", where=path, why="malformed JSON") from error
    if isinstance(settings, dict):
        yield from hints_from(settings, path, lambda tensor: None)


def hints_from(settings: Mapping[object, object], path: str, read: Number, prefix: str = "") -> Iterator[Hint]:
    """The settings lrdoctor has a name for. Values that mean "not set" (-1 steps, warmup 0 of a pair) are left out."""
    for name, spellings in _NAMES.items():
        for spelling in spellings:
            value = _usable(name, scalar(settings.get(spelling), read))
            if value is not None:
                key = f"{prefix}.{spelling}" if prefix else spelling
                yield Hint(name, value, path, key, "per device" if spelling in _PER_DEVICE else None)
                break


def _usable(name: str, value: Scalar) -> Scalar:
    if value is None or isinstance(value, bool):
        return None
    if name not in _NUMERIC:
        return value if isinstance(value, str) and value else None
    if isinstance(value, str):
        return None
    unset = value < 0 or (name == "max_steps" and value == 0)
    return None if unset or value != value else value
