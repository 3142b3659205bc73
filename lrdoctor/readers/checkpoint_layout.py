"""Which framework wrote a checkpoint, and its own counters, by the names it uses at the top level.

After the sources of the frameworks; `recomputes` marks those that save no scheduler state by design, because they work
the LR out from the epoch or iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lrdoctor.readers.plain import Number, mapping, nested, number, whole
from lrdoctor.readers.skeleton import Tensor

Root = Mapping[object, object]
_STEP_KEYS = (
    "global_step", "global_steps", "num_updates", "iteration", "iter", "iter_num", "step", "steps", "n_iter", "it",
    "current_iter", "train_step",
)  # fmt: skip
_EPOCH_KEYS = ("epoch", "epochs", "epochs_run", "current_epoch", "start_epoch")


@dataclass(frozen=True, slots=True)
class Layout:
    """`framework`, its counters g and e, and whether it keeps no scheduler state by design."""

    framework: str | None = None
    global_step: int | None = None
    epoch: float | None = None
    recomputes: bool = False


def layout_of(root: object, read: Number) -> Layout:
    """The layout of a checkpoint's root object; an unknown one still gives its counters."""
    held = mapping(root)
    if held is None or _is_weights(held):
        return Layout()
    framework, recomputes, counters = next(
        (kind[1:] for kind in _FRAMEWORKS if kind[0](held)), (None, False, _usual_counters)
    )
    step, epoch = counters(held, read)
    return Layout(framework, step, epoch, recomputes)


def _is_weights(held: Root) -> bool:
    """A bare state dict: the names are those of parameters, not of counters."""
    return bool(held) and all(isinstance(value, Tensor) for value in held.values())


def _usual_counters(held: Root, read: Number) -> tuple[int | None, float | None]:
    return _first_whole(held, _STEP_KEYS, read), _first(held, _EPOCH_KEYS, read)


def _first(held: Root, names: tuple[str, ...], read: Number) -> float | None:
    return next((found for name in names if (found := number(held.get(name), read)) is not None), None)


def _first_whole(held: Root, names: tuple[str, ...], read: Number) -> int | None:
    return next((found for name in names if (found := whole(held.get(name), read)) is not None), None)


def _mmengine_counters(held: Root, read: Number) -> tuple[int | None, float | None]:
    return whole(nested(held, "meta", "iter"), read), number(nested(held, "meta", "epoch"), read)


def _fairseq_counters(held: Root, read: Number) -> tuple[int | None, float | None]:
    history = held.get("optimizer_history")
    last = history[-1] if isinstance(history, list) and history else None
    epoch = nested(held, "extra_state", "train_iterator", "epoch")
    return whole(nested(last, "num_updates"), read), number(epoch, read)


def _ultralytics_counters(held: Root, read: Number) -> tuple[int | None, float | None]:
    """`updates` counts the updates of the averaged weights: one per optimizer update."""
    return whole(held.get("updates"), read), number(held.get("epoch"), read)


def _ml_agents_counters(held: Root, read: Number) -> tuple[int | None, float | None]:
    inside = mapping(held.get("global_step")) or {}
    return next((found for value in inside.values() if (found := whole(value, read)) is not None), None), None


def _torchtitan_counters(held: Root, read: Number) -> tuple[int | None, float | None]:
    return whole(nested(held, "train_state", "step"), read), None


def _has(*names: str) -> Callable[[Root], bool]:
    return lambda held: all(name in held for name in names)


def _is_mmcv(held: Root) -> bool:
    meta = mapping(held.get("meta"))
    return meta is not None and ("mmcv_version" in meta or {"epoch", "iter"} <= meta.keys())


def _is_deepspeed(held: Root) -> bool:
    return "module" in held and not {"global_steps", "skipped_steps", "ds_config", "ds_version"}.isdisjoint(held.keys())


def _is_ultralytics(held: Root) -> bool:
    return "ema" in held and ("train_args" in held or "best_fitness" in held)


def _is_detectron2(held: Root) -> bool:
    return {"model", "iteration"} <= held.keys() and not {"optimizer", "scheduler"}.isdisjoint(held.keys())


def _is_mae(held: Root) -> bool:
    args = mapping(held.get("args"))
    return args is not None and "blr" in args and "model" in held


def _is_torchtitan(held: Root) -> bool:
    return "step" in (mapping(held.get("train_state")) or {}) and not {"optimizer", "lr_scheduler"}.isdisjoint(held)


def _is_megatron(held: Root) -> bool:
    """`lr_scheduler` was the name before 2022; of a distributed checkpoint common.pt has all but the tensors."""
    return "checkpoint_version" in held and "args" in held and "iteration" in held


def _is_ml_agents(held: Root) -> bool:
    return "Policy" in held and any(isinstance(name, str) and name.startswith("Optimizer:") for name in held)


def _is_torchtune(held: Root) -> bool:
    return "epochs_run" in held and not {"total_epochs", "max_steps_per_epoch"}.isdisjoint(held.keys())


_Counters = Callable[[Root, Number], tuple[int | None, float | None]]
_FRAMEWORKS: tuple[tuple[Callable[[Root], bool], str, bool, _Counters], ...] = (
    (_has("pytorch-lightning_version"), "lightning", False, _usual_counters),
    (_is_megatron, "megatron", False, _usual_counters),
    (_is_torchtitan, "torchtitan", False, _torchtitan_counters),
    (_has("optimizer_history"), "fairseq", True, _fairseq_counters),
    (_is_torchtune, "torchtune", True, _usual_counters),
    (_is_ultralytics, "ultralytics", True, _ultralytics_counters),
    (_has("message_hub"), "mmengine", False, _mmengine_counters),
    (_has("param_schedulers"), "mmengine", False, _mmengine_counters),
    (_is_mmcv, "mmcv", True, _mmengine_counters),
    (_is_deepspeed, "deepspeed", False, _usual_counters),
    (_has("arch", "state_dict", "version"), "timm", True, _usual_counters),
    (_has("iter_num", "model_args"), "nanogpt", True, _usual_counters),
    (_has("model_state", "optimizer_state", "it"), "openpcdet", True, _usual_counters),
    (_has("start_epoch", "model", "best_ap"), "yolox", True, _usual_counters),
    (_is_mae, "mae", True, _usual_counters),
    (_is_ml_agents, "ml-agents", True, _ml_agents_counters),
    (_is_detectron2, "detectron2", False, _usual_counters),
)
