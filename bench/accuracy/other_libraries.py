"""Schedules of timm and mmengine, stepped by those libraries' own schedulers as their trainers step them."""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
import warnings
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from logs import Floats


def optimizer(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)


def _used(over: torch.optim.Optimizer, updates: int, per_tick: int, step: Callable[[int], None]) -> Floats:
    """The LR of every update; `step(ticks done)` after each tick."""
    ticks = math.ceil(updates / per_tick)
    used = np.empty(ticks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for tick in range(ticks):
            used[tick] = over.param_groups[0]["lr"]
            over.step()
            step(tick + 1)
    return np.repeat(used, per_tick)[:updates]


def by_timm(name: str, lr: float, updates: int, per_tick: int, **given: Any) -> Floats:
    """timm's `name` scheduler, stepped with the number of epochs done as its train.py does."""
    over = optimizer(lr)
    made = getattr(_timm_schedulers(), name)(over, **given)
    return _used(over, updates, per_tick, made.step)


@cache
def _timm_schedulers() -> ModuleType:
    """timm.scheduler, without the models that `import timm` brings and their need of torchvision."""
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.submodule_search_locations is None:
        raise SystemExit("timm is not installed: ./test.sh installs what this script needs")
    bare = ModuleType("timm")
    bare.__path__ = list(spec.submodule_search_locations)
    sys.modules["timm"] = bare
    return importlib.import_module("timm.scheduler")


def by_mmengine(lr: float, updates: int, *described: tuple[str, dict[str, Any]]) -> Floats:
    """mmengine's schedulers, each a class name with its arguments, all stepped at every iteration as its hook does."""
    from mmengine.optim import scheduler

    over = optimizer(lr)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = [getattr(scheduler, name)(over, by_epoch=False, **given) for name, given in described]

    def step(_: int) -> None:
        for one in made:
            one.step()

    return _used(over, updates, 1, step)
