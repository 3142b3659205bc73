"""Schedules as the libraries build them: each function returns the (T,) LR of every tick, from the library itself
where it installs and else from its published formula. Nothing here knows of lrdoctor.
"""

from __future__ import annotations

import importlib
import math
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch


def optimizer_of(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)


@contextmanager
def silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def torch_lr(make: Callable[[torch.optim.Optimizer], Any], ticks: int, lr: float = 0.1) -> np.ndarray:
    """torch.optim.lr_scheduler, stepped."""
    optimizer = optimizer_of(lr)
    used = np.empty(ticks)
    with silent():
        scheduler = make(optimizer)
        for tick in range(ticks):
            used[tick] = optimizer.param_groups[0]["lr"]
            optimizer.step()
            if tick + 1 < ticks:
                scheduler.step()
    return used


def plateau_lr(make: Callable[[torch.optim.Optimizer], Any], metric: np.ndarray, lr: float = 0.1) -> np.ndarray:
    """ReduceLROnPlateau, shown `metric` (T,) at the end of each tick."""
    optimizer = optimizer_of(lr)
    scheduler = make(optimizer)
    used = np.empty(len(metric))
    for tick, value in enumerate(metric.tolist()):
        used[tick] = optimizer.param_groups[0]["lr"]
        scheduler.step(value)
    return used


def transformers_lr(name: str, ticks: int, warmup: int, total: int, lr: float = 1e-3, **given: Any) -> np.ndarray:
    """transformers.get_scheduler."""
    optimization = pytest.importorskip("transformers.optimization")
    return torch_lr(
        lambda o: optimization.get_scheduler(
            name, o, num_warmup_steps=warmup, num_training_steps=total, scheduler_specific_kwargs=given
        ),
        ticks,
        lr,
    )


def timm_scheduler(module: str) -> Any:
    """A module of timm.scheduler; timm itself is not imported, it would ask for torchvision."""
    folder = next((Path(one, "timm") for one in sys.path if Path(one, "timm", "scheduler").is_dir()), None)
    if folder is None:
        pytest.skip("timm is not installed")
    for name in ("timm", "timm.scheduler"):
        if name not in sys.modules:
            package = types.ModuleType(name)
            package.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
            sys.modules[name] = package
    return importlib.import_module(f"timm.scheduler.{module}")


def timm_lr(module: str, name: str, ticks: int, lr: float = 1e-3, **given: Any) -> np.ndarray:
    """timm.scheduler, stepped with the number of the tick, as timm's train.py does."""
    optimizer = optimizer_of(lr)
    used = np.empty(ticks)
    with silent():
        scheduler = getattr(timm_scheduler(module), name)(optimizer, **given)
        for tick in range(ticks):
            scheduler.step(tick, None)
            used[tick] = optimizer.param_groups[0]["lr"]
    return used


def mmengine_lr(parts: list[tuple[str, dict[str, Any]]], epochs: int, per_epoch: int, lr: float = 0.01) -> np.ndarray:
    """mmengine's param schedulers, by epoch and by iteration together, as its runner steps them."""
    module = pytest.importorskip("mmengine.optim.scheduler.lr_scheduler")
    optimizer = optimizer_of(lr)
    used = np.empty(epochs * per_epoch)
    with silent():
        made = []
        for name, given in parts:
            cls = getattr(module, name)
            if given.pop("convert_to_iter_based", False):
                made.append(cls.build_iter_from_epoch(optimizer=optimizer, epoch_length=per_epoch, **given))
            else:
                made.append(cls(optimizer, **given))
        for update in range(len(used)):
            used[update] = optimizer.param_groups[0]["lr"]
            optimizer.step()
            for scheduler in made:
                if not scheduler.by_epoch or (update + 1) % per_epoch == 0:
                    scheduler.step()
    return used


def of_steps(formula: Callable[[int], float], ticks: int) -> np.ndarray:
    return np.array([formula(k) for k in range(ticks)])


def fairseq_inverse_sqrt(n: int, lr: float, warmup: int, init: float = 0.0) -> float:
    """fairseq/optim/lr_scheduler/inverse_square_root_schedule.py."""
    return init + n * (lr - init) / warmup if n < warmup else lr * warmup**0.5 * n**-0.5


def fairseq_polynomial(n: int, lr: float, warmup: int, total: int, end: float = 0.0, power: float = 1.0) -> float:
    """fairseq/optim/lr_scheduler/polynomial_decay_schedule.py."""
    if warmup > 0 and n <= warmup:
        return max(n, 1) / warmup * lr if n else lr / warmup
    if n >= total:
        return end
    return (lr - end) * (1 - (n - warmup) / (total - warmup)) ** power + end


def fairseq_tri_stage(
    n: int, lr: float, stages: tuple[int, int, int], init: float = 0.01, final: float = 0.01
) -> float:
    """fairseq/optim/lr_scheduler/tri_stage_lr_scheduler.py."""
    warmup, hold, decay = stages
    if n < warmup:
        return lr * init + (lr - lr * init) / warmup * n
    if n < warmup + hold:
        return lr
    if n <= warmup + hold + decay:
        return lr * math.exp(math.log(final) / decay * (n - warmup - hold))
    return lr * final


def torchtitan(k: int, lr: float, warmup: int, total: int, ratio: float | None, kind: str, low: float = 0.0) -> float:
    """torchtitan/components/lr_scheduler.py: a virtual last step keeps the LR above its floor."""
    decay = total - warmup if ratio is None else min(round(total * ratio), total - warmup)
    stable = total + 1 - warmup - decay
    if k < warmup:
        return lr * (k + 1) / warmup
    if k < warmup + stable:
        return lr
    q = (k + 1 - warmup - stable) / decay
    left = {"linear": 1 - q, "sqrt": 1 - math.sqrt(q), "cosine": 0.5 * (1 + math.cos(math.pi * q))}[kind]
    return lr * (low + (1 - low) * left)


def deepspeed_warmup(k: int, lr: float, warmup: int, kind: str = "log", low: float = 0.0) -> float:
    """deepspeed/runtime/lr_schedules.py, WarmupLR, after k calls of step(): its iteration is k - 1."""
    k = max(k - 1, 0)
    part = 1.0 if k >= warmup else math.log(k + 1) / math.log(warmup) if kind == "log" else k / warmup
    return low + (lr - low) * part


def deepspeed_warmup_decay(k: int, lr: float, warmup: int, total: int, kind: str = "log") -> float:
    """WarmupDecayLR."""
    if max(k - 1, 0) < warmup:
        return deepspeed_warmup(k, lr, warmup, kind)
    return lr * max(0.0, (total - (k - 1)) / max(1.0, total - warmup))


def ultralytics(epoch: int, group: str, lr0: float, lrf: float, epochs: int, nb: int, nw: int, cos: bool) -> float:
    """ultralytics/engine/trainer.py: the LR of the last batch of the epoch, as results.csv holds it."""
    if cos:
        factor = max((1 - math.cos(epoch * math.pi / epochs)) / 2, 0) * (lrf - 1) + 1
    else:
        factor = max(1 - epoch / epochs, 0) * (1.0 - lrf) + lrf
    ni = nb * (epoch + 1) - 1
    if ni > nw:
        return lr0 * factor
    return float(np.interp(ni, [0, nw], [0.1 if group == "bias" else 0.0, lr0 * factor]))


def yolov5(epoch: int, group: str, lr0: float, lrf: float, epochs: int, nb: int, nw: int) -> float:
    """yolov5/train.py: the warmup aims at this epoch's LR, the scheduler is one behind; logged at the epoch's end."""

    def factor(e: int) -> float:
        return (1 - math.cos(e * math.pi / epochs)) / 2 * (lrf - 1) + 1

    if nb * epoch > nw:
        return lr0 * factor(max(epoch - 1, 0))
    low = 0.1 if group == "bias" else 0.0
    return float(np.interp(nb * (epoch + 1) - 1, [0, nw], [low, lr0 * factor(epoch)]))


def detectron2_cosine(it: int, lr: float, total: int, warmup: int, factor: float, end: float = 0.0) -> float:
    """detectron2's WarmupCosineLR: fvcore's WarmupParamScheduler over a CosineParamScheduler."""

    def main(where: float) -> float:
        return end + 0.5 * (1 - end) * (1 + math.cos(math.pi * where))

    length, where = warmup / total, it / total
    if where < length:
        return lr * (factor * main(0) + (main(length) - factor * main(0)) * where / length)
    return lr * main(where)


def detectron2_steps(it: int, lr: float, total: int, warmup: int, marks: tuple[int, ...], factor: float) -> float:
    """detectron2's WarmupMultiStepLR."""
    if it < warmup:
        return lr * (factor + (1 - factor) * it / warmup)
    return lr * 0.1 ** sum(mark <= it for mark in marks)


def mmcv_warmup(it: int, regular: float, kind: str, warmup: int, ratio: float) -> float:
    """mmcv 1.x, LrUpdaterHook.get_warmup_lr."""
    if it >= warmup:
        return regular
    if kind == "constant":
        return regular * ratio
    if kind == "linear":
        return regular * (1 - (1 - it / warmup) * (1 - ratio))
    return regular * ratio ** (1 - it / warmup)


def nanogpt(it: int, lr: float, warmup: int, total: int, low: float) -> float:
    if it < warmup:
        return lr * (it + 1) / (warmup + 1)
    if it > total:
        return low
    return low + 0.5 * (1 + math.cos(math.pi * (it - warmup) / (total - warmup))) * (lr - low)


def megatron(
    n: int, lr: float, warmup: int, total: int, low: float, style: str, wsd: int = 0, decay: str = ""
) -> float:
    """Megatron-LM, OptimizerParamScheduler.get_lr."""
    if n <= warmup and warmup:
        return lr * n / warmup
    if n > total:
        return low
    if style == "inverse-square-root":
        return max(low, lr * max(warmup, 1) ** 0.5 / max(n, 1) ** 0.5)
    part = (n - warmup) / (total - warmup)
    if style == "WSD":
        if n <= total - wsd:
            return lr
        q = (n - (total - wsd)) / wsd
        left = {
            "linear": 1 - q,
            "cosine": 0.5 * (math.cos(math.pi * q) + 1),
            "exponential": 2 * 0.5**q - 1,
            "minus_sqrt": 1 - math.sqrt(q),
        }[decay]
    else:
        left = 1 - part if style == "linear" else 0.5 * (math.cos(math.pi * part) + 1)
    return low + left * (lr - low)
