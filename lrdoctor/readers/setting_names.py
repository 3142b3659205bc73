"""Settings as frameworks spell them -> hints under lrdoctor's names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lrdoctor.model.run import Hint, Scalar

_MAX_DEPTH = 5
_MAX_SETTINGS = 20_000
# lrdoctor's name <- the keys it goes by, lower case. Of several keys in one file the first of this list counts.
_SPELLINGS: dict[str, tuple[str, ...]] = {
    "lr": ("learning_rate", "lr", "lr0", "base_lr", "peak_lr", "max_lr", "lr_peak", "initial_lr", "init_lr"),
    "min_lr": ("min_lr", "eta_min", "lr_min", "lr_end", "base_lr_end", "min_learning_rate", "lrf", "min_lr_ratio"),
    "batch_size": (
        "global_train_batch_size", "global_batch_size", "total_batch_size", "effective_batch_size", "ims_per_batch",
        "per_device_train_batch_size", "micro_batch_size", "train_micro_batch_size_per_gpu", "micro_batch_size_per_gpu",
        "batch_size_per_gpu", "samples_per_gpu", "batch_size_per_device", "train_batch_size", "batch_size", "batch",
        "batchsize",
    ),
    "grad_accum": (
        "gradient_accumulation_steps", "accumulate_grad_batches", "accum_iter", "grad_accum_steps", "grad_accum",
        "update_freq", "accumulative_counts", "accumulation_steps", "acc_steps", "grad_accumulation_steps",
    ),
    "world_size": ("world_size", "num_gpus", "n_gpus", "n_gpu", "num_devices", "num_processes", "ngpu", "devices"),
    "epochs": ("num_train_epochs", "max_epochs", "num_epochs", "epochs", "n_epochs", "total_epochs", "max_epoch"),
    "max_steps": (
        "max_steps", "max_train_steps", "num_train_steps", "num_training_steps", "total_steps", "max_iters", "max_iter",
        "train_iters", "max_update", "max_updates", "train_steps", "total_num_steps", "total_iters", "iterations",
        "num_iterations", "total_timesteps",
    ),
    "steps_per_epoch": ("steps_per_epoch", "iters_per_epoch", "num_batches_per_epoch", "train_steps_per_epoch"),
    "warmup_steps": (
        "warmup_steps", "num_warmup_steps", "lr_warmup_steps", "warmup_num_steps", "warmup_iters", "lr_warmup_iters",
        "warmup_updates", "warmup_iterations",
    ),
    "warmup_ratio": ("warmup_ratio", "warmup_fraction", "lr_warmup_fraction", "warmup_proportion", "pct_start"),
    "warmup_epochs": ("warmup_epochs", "num_warmup_epochs", "warmup_epoch"),
    "weight_decay": ("weight_decay", "wd"),
    "beta2": ("adam_beta2", "beta2", "beta_2", "adam_b2"),
    "dataset_size": ("dataset_size", "num_train_samples", "num_train_examples", "train_samples"),
    "optimizer": ("optim", "opt", "optimizer", "optimizer_name", "optimizer_type"),
    "scheduler": (
        "lr_scheduler_type", "lr_scheduler", "sched", "scheduler", "lr_schedule", "learning_rate_schedule",
        "lr_scheduler_name", "lr_decay_style", "lr_policy", "scheduler_name", "scheduler_type",
    ),
    "model": (
        "model_name_or_path", "base_model_name_or_path", "base_model", "model_name", "arch", "_name_or_path", "model",
        "architecture", "weights", "model_type",
    ),
    "task": ("task", "task_type", "stage"),
    "max_tokens": ("max_tokens",),
    "framework_version": ("transformers_version", "mlagents_version", "lightning_version"),
}  # fmt: skip
_PER_DEVICE = frozenset(
    {
        "per_device_train_batch_size", "micro_batch_size", "train_micro_batch_size_per_gpu", "micro_batch_size_per_gpu",
        "batch_size_per_gpu", "samples_per_gpu", "batch_size_per_device",
    }
)  # fmt: skip
_PER_UPDATE = frozenset(_SPELLINGS["batch_size"][:5])
_FRACTIONS = frozenset({"lrf", "min_lr_ratio"})
_WORDS = frozenset({"optimizer", "scheduler", "model", "task", "framework_version"})
_BETAS = frozenset({"betas", "adam_betas", "opt_betas"})
# Sections of nested settings that speak of the training as a whole.
_SECTIONS = frozenset(
    {
        "optimizer", "optim", "optimization", "optimizer_config", "optim_wrapper", "solver", "trainer", "train",
        "training", "training_args", "train_cfg", "data", "dataset", "datamodule", "dataloader", "train_dataloader",
        "hyperparameters", "hyper_parameters", "hparams", "params", "init_args", "args", "arguments", "lr_scheduler",
        "scheduler", "sched", "common", "model", "lr_config", "runner", "hyp", "opt", "config", "pipeline",
        "train_config", "dataset_config",
    }
)  # fmt: skip
# What names the class inside a section: {"optimizer": {"type": "AdamW", "params": {...}}}.
_CLASS_KEYS = ("type", "name", "_target_", "class_path", "_name", "_component_", "class_name")
_NOT_SET = frozenset({"", "none", "null", "auto", "default", "false", "true", "???"})
_ON = True  # TensorBoard stores it as the number 1
_Path = tuple[str, ...]
_Settings = Mapping[_Path, Scalar]


def hints_from(settings: Mapping[str, object], path: str) -> Iterator[Hint]:
    """The settings lrdoctor has a name for; nested sections are looked into, values that mean "not set" left out."""
    flat = dict(_flat(_unwrapped(settings)))
    for name, spellings in _SPELLINGS.items():
        found = _first(flat, name, spellings)
        if found is not None:
            key, value = found
            yield _hint(name, value, path, key, flat)
    yield from _further(flat, path)


def _first(flat: _Settings, name: str, spellings: Sequence[str]) -> tuple[_Path, Scalar] | None:
    """The first spelling that is set; of one spelling the least nested."""
    for spelling in spellings:
        for key in sorted((key for key in flat if key[-1].lower() == spelling), key=len):
            value = _usable(name, spelling, flat[key])
            if value is not None:
                return key, value
    return None


def _usable(name: str, spelling: str, value: Scalar) -> Scalar:
    if name in _WORDS:
        return _word(value)
    number = as_number(value)
    if number is None or number != number or number < 0:
        return None
    if number == 0 and name in ("max_steps", "epochs", "batch_size", "world_size", "grad_accum", "lr", "max_tokens"):
        return None
    if name == "batch_size" and number < 1:  # Ultralytics: a share of the memory
        return None
    return number


def _word(value: Scalar) -> str | None:
    """A name; of a class path its last part."""
    if not isinstance(value, str) or value.strip().lower() in _NOT_SET:
        return None
    return value.strip()


def as_number(value: Scalar) -> int | float | None:
    """A number, also one that YAML 1.1 reads as text ("1e-4")."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
        return int(value) if value.is_integer() and abs(value) < 1 << 53 else value
    return value


def _hint(name: str, value: Scalar, path: str, key: _Path, flat: _Settings) -> Hint:
    spelling, shown = key[-1].lower(), ".".join(key)
    if name == "warmup_steps" and isinstance(value, float) and 0 < value < 1:  # Transformers 5: a share of all steps
        return Hint("warmup_ratio", value, path, shown)
    if name in ("optimizer", "scheduler") and isinstance(value, str):
        value = value.rpartition(".")[2] if "/" not in value else value
    detail = "fraction" if spelling in _FRACTIONS else None
    if name == "batch_size":
        detail = _batch_detail(spelling, flat)
    return Hint(name, value, path, shown, detail)


def _batch_detail(spelling: str, flat: _Settings) -> str | None:
    """A plain `batch_size` is per device where the file also has accumulation (nanoGPT), and in timm."""
    keys = {key[-1].lower() for key in flat}
    if spelling in _PER_UPDATE or (spelling == "train_batch_size" and "train_micro_batch_size_per_gpu" in keys):
        return "per update"
    if spelling in _PER_DEVICE or (keys & set(_SPELLINGS["grad_accum"])) or {"sched", "warmup_lr"} <= keys:
        return "per device"
    return None


def _further(flat: _Settings, path: str) -> Iterator[Hint]:
    """Facts that lie in other than one key's value."""
    for tell in (_framework, _precision, _finetune):
        found = tell(flat)
        if found is not None:
            key, name, value = found
            yield Hint(name, value, path, key)


_Fact = tuple[str, str, Scalar]
_FRAMEWORKS: tuple[tuple[str, frozenset[str]], ...] = (
    ("ml-agents", frozenset({"behaviors"})),
    ("ultralytics", frozenset({"lr0", "lrf"})),
    ("timm", frozenset({"sched", "opt", "warmup_lr"})),
    ("detectron2", frozenset({"ims_per_batch", "base_lr"})),
    ("nanogpt", frozenset({"lr_decay_iters", "decay_lr"})),
    ("transformers", frozenset({"per_device_train_batch_size", "lr_scheduler_type"})),
)


def _framework(flat: _Settings) -> _Fact | None:
    keys = {part.lower() for key in flat for part in key}
    for name, needed in _FRAMEWORKS:
        if needed <= keys:
            return ", ".join(sorted(needed)), "framework", name
    return None


def _precision(flat: _Settings) -> _Fact | None:
    for key, value in flat.items():
        spelling = key[-1].lower()
        if spelling in ("bf16", "fp16", "amp", "native_amp") and value == _ON:
            return ".".join(key), "precision", "amp" if "amp" in spelling else spelling
        if spelling in ("precision", "mixed_precision", "dtype", "torch_dtype"):
            word = _word(value) if isinstance(value, str) else as_number(value)
            if word is not None and word != "no":
                return ".".join(key), "precision", str(word)
    return None


def _finetune(flat: _Settings) -> _Fact | None:
    for key, value in flat.items():
        spelling = key[-1].lower()
        given = isinstance(value, str) and value.strip().lower() not in _NOT_SET
        if spelling in ("finetuning_type", "peft_type", "finetune", "adapter") and (given or value == _ON):
            return ".".join(key), "finetune", True
        if spelling in ("use_lora", "use_peft", "pretrained") and value == _ON:
            return ".".join(key), "finetune", True
        if spelling in ("weights", "model") and given and str(value).endswith(".pt"):
            return ".".join(key), "finetune", True
    return None


def _unwrapped(settings: Mapping[str, object]) -> Mapping[str, object]:
    """W&B's config.yaml holds {key: {desc: ..., value: ...}}; ML-Agents' behaviors lie under names of their own."""
    if "wandb_version" in settings or (settings and all(_is_wrapped(value) for value in settings.values())):
        return {
            key: value.get("value") for key, value in settings.items() if isinstance(value, Mapping) and key[:1] != "_"
        }
    behaviors = settings.get("behaviors")
    if isinstance(behaviors, Mapping) and len(behaviors) == 1:
        (only,) = behaviors.values()
        if isinstance(only, Mapping):
            return {"behaviors": "", **only}
    return settings


def _is_wrapped(value: object) -> bool:
    return isinstance(value, Mapping) and "value" in value and set(value) <= {"value", "desc"}


def _flat(settings: Mapping[str, object]) -> Iterator[tuple[_Path, Scalar]]:
    """The scalars of the settings and of their telling sections, at most `_MAX_SETTINGS` of them."""
    budget = _MAX_SETTINGS
    waiting: list[tuple[_Path, Mapping[str, object]]] = [((), settings)]
    while waiting and budget > 0:
        above, section = waiting.pop(0)
        for key, value in section.items():
            budget -= 1
            here = (*above, str(key))
            if isinstance(value, Mapping):
                yield from _class_of(here, value)
                if len(here) < _MAX_DEPTH and here[-1].lower() in _SECTIONS:
                    waiting.append((here, value))
            else:
                yield from _scalars(here, value)


def _class_of(here: _Path, section: Mapping[str, object]) -> Iterator[tuple[_Path, Scalar]]:
    """{"optimizer": {"type": "AdamW"}} says what {"optimizer": "AdamW"} says."""
    found = next((section[key] for key in _CLASS_KEYS if isinstance(section.get(key), str)), None)
    if isinstance(found, str) and here[-1].lower() in ("optimizer", "optim", "scheduler", "lr_scheduler", "sched"):
        yield here, found


def _scalars(here: _Path, value: object) -> Iterator[tuple[_Path, Scalar]]:
    """A scalar; of a list of one (fairseq's lr) that one, of two betas the second."""
    if value is None or isinstance(value, str | int | float):
        yield here, value
    elif isinstance(value, list | tuple) and len(value) == 2 and here[-1].lower() in _BETAS:
        yield (*here[:-1], "beta2"), _scalar(value[1])
    elif isinstance(value, list | tuple) and len(value) == 1:
        yield here, _scalar(value[0])


def _scalar(value: object) -> Scalar:
    return value if isinstance(value, str | int | float) else None
