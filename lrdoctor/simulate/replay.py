"""A schedule stepped through torch's own scheduler and optimizer, update by update: the ground truth for its LR."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lrdoctor.model.arrays import FloatArray, IntArray
from lrdoctor.model.diagnosis import TorchReplay
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import Constant, Sequence, Stepped, Warmup
from lrdoctor.simulate.device import import_torch
from lrdoctor.simulate.torch_schedulers import NoTorchClassError, base_lr, build, build_lambda, cycles_momentum

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

MAX_STEPPED = 200_000
"""Updates that are stepped at most: some 20 us each, so a few seconds. The first so many of a longer run are, and the
rest is the closed form where it was torch's own LR so far."""

MAX_CONTINUED = 10_000_000
"""Updates of a run up to which the closed form goes on: they are held one by one."""

PROVEN = 1e-9
"""Largest difference, in peaks, between the closed form and torch over the stepped updates that lets it go on alone."""

MAX_RECORDED = 2_000
"""Points kept of a longer replay, jumps on top."""

_JUMPS = 200
_CLASSES = ("AdamW", "NAdam", "RAdam", "Adamax", "Adam", "RMSprop", "Adagrad", "Adadelta", "ASGD", "SGD")


@dataclass(frozen=True, slots=True)
class _Stage:
    """Updates `first` to `stop` - 1 under one scheduler; `clock` maps updates since `first` to ticks (None: 1 to 1)."""

    first: int
    stop: int
    schedule: Schedule
    clock: Stepped | None = None

    def ticks(self) -> IntArray:
        """(stop - first,) calls of `step()` before each update."""
        updates = np.arange(self.stop - self.first, dtype=np.float64)
        ticks = updates if self.clock is None else self.clock.ticks(updates)
        return np.maximum(np.floor(ticks + 1e-9), 0.0).astype(np.int64)


def step_through_torch(schedule: Schedule, steps: int, *, optimizer: str | None = None) -> TorchReplay:
    """Step `schedule` (over optimizer updates) for `steps` updates: `optimizer.step()`, then `scheduler.step()`.

    `optimizer` is any name of it ("adamw_torch_fused"); torch's class of that kind is used, SGD where it is not known.
    After MAX_STEPPED updates the closed form goes on, without a cost an update, where it has been PROVEN by torch's own
    classes until then. The record ends early where it was not, where momentum is scheduled, and where torch refuses to
    go on (OneCycleLR past its end); the replay's `optimizer` says so. All errors of the closed form are taken over the
    stepped updates, before thinning. Raises `MissingExtraError` without torch and `ValueError` for `steps` below 1.
    """
    if steps < 1:
        raise ValueError(f"a replay needs at least one update, got {steps}")
    torch = import_torch()
    name = _class_of(optimizer)
    lr, momentum, own = _record(schedule, min(steps, MAX_STEPPED), name)
    stepped = len(lr)
    closed = schedule.lr_at(np.arange(stepped, dtype=np.float64))
    peak = float(np.max(np.abs(closed)))
    error = float(np.max(np.abs(closed - lr))) / peak if peak > 0.0 else 0.0
    goes_on = own and momentum is None and stepped == MAX_STEPPED and error <= PROVEN and steps <= MAX_CONTINUED
    if goes_on and stepped < steps:
        lr = np.concatenate([lr, schedule.lr_at(np.arange(stepped, steps, dtype=np.float64))])
    kept = _thinned(lr)
    return TorchReplay(
        steps=kept.astype(np.float64),
        lr=lr[kept],
        momentum=momentum[kept] if momentum is not None else None,
        closed_form_error=error,
        torch_version=str(torch.__version__),
        optimizer=_told(name, own, stepped, steps, goes_on),
    )


def _told(name: str, own: bool, stepped: int, steps: int, goes_on: bool) -> str:
    """The optimizer, and what else a reader of the replay has to know."""
    text = name if own else f"{name} and a LambdaLR, torch having no class of this shape"
    if stepped == steps:
        return text
    if goes_on:
        return f"{text}, the first {stepped} of {steps} updates, then its closed form, equal to torch so far"
    why = f"a replay stops at {MAX_STEPPED}" if stepped == MAX_STEPPED else "torch's scheduler ends there"
    return f"{text}, the first {stepped} of {steps} updates ({why})"


def _class_of(optimizer: str | None) -> str:
    """The torch class behind a name such as "adamw_bnb_8bit"; SGD where there is none."""
    plain = re.sub(r"[^a-z]", "", (optimizer or "").lower())
    found = next((name for name in _CLASSES if name.lower() in plain), None)
    return found or ("AdamW" if re.search(r"lamb|lion|adafactor", plain) else "SGD")


def _record(schedule: Schedule, steps: int, name: str) -> tuple[FloatArray, FloatArray | None, bool]:
    """(T,) LR and momentum of each update, and whether torch's own classes made them. T < steps where torch stops."""
    lr = np.empty(steps)
    momentum = np.full(steps, np.nan)
    own, done = True, 0
    with warnings.catch_warnings():
        # torch's only: SequentialLR calls its parts' deprecated step(0), a resumed clock ticks before the first update
        warnings.simplefilter("ignore")
        for stage in _stages(schedule, 0, steps):
            optimizer, scheduler, direct = _set_up(stage, name)
            own = own and direct
            for update, (now, moment) in enumerate(_updates(stage, optimizer, scheduler), start=stage.first):
                lr[update], momentum[update], done = now, moment, update + 1
            if done < stage.stop:
                break
    scheduled = cycles_momentum(schedule) and np.isfinite(momentum[:done]).any()
    return lr[:done], momentum[:done] if scheduled else None, own


def _set_up(stage: _Stage, name: str) -> tuple[Optimizer, LRScheduler, bool]:
    """Optimizer and scheduler of a stage, and whether the scheduler is torch's own class."""
    try:
        optimizer = _optimizer(name, base_lr(stage.schedule))
        return optimizer, build(stage.schedule, optimizer), True
    except NoTorchClassError:
        optimizer = _optimizer(name, base_lr(stage.schedule))
        return optimizer, build_lambda(stage.schedule, optimizer), False


def _optimizer(name: str, lr: float) -> Optimizer:
    """An optimizer over one parameter, which never gets a gradient: its lr is all that matters."""
    torch = import_torch()
    arguments = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
    optimizer: Optimizer = getattr(torch.optim, name)([torch.nn.Parameter(torch.zeros(1))], lr=lr, **arguments)
    return optimizer


def _updates(stage: _Stage, optimizer: Optimizer, scheduler: LRScheduler) -> Iterator[tuple[float, float]]:
    """(lr, momentum) in force at each update of the stage; ends where the scheduler refuses another step."""
    group = optimizer.param_groups[0]
    tick = 0
    for wanted in stage.ticks().tolist():
        try:
            for _ in range(wanted - tick):
                scheduler.step()
        except ValueError:
            return
        tick = max(wanted, tick)
        yield float(group["lr"]), _momentum(group)
        optimizer.step()


def _momentum(group: dict[str, object]) -> float:
    betas = group.get("betas")
    value = betas[0] if isinstance(betas, tuple) else group.get("momentum")
    return float(value) if isinstance(value, int | float) else math.nan


def _stages(schedule: Schedule, first: int, stop: int) -> Iterator[_Stage]:
    """The schedulers in force one after another: a single one, unless the clock or the base lr changes on the way."""
    match schedule:
        case Stepped():
            yield _Stage(first, stop, schedule.schedule, schedule)
        case Warmup(main=main) if _has_clock(main):
            ramp = Warmup(Constant(float(main.lr_at([0.0])[0])), schedule.steps, schedule.start_factor, schedule.kind)
            turn = _turn(schedule.steps, first, stop)
            yield _Stage(first, turn, ramp)
            if turn < stop:
                yield from _stages(main, turn, stop)
        case Sequence(parts=parts, milestones=marks) if (
            _has_clock(schedule) or len({base_lr(part) for part in parts}) > 1
        ):
            turns = [first, *(_turn(mark, first, stop) for mark in marks), stop]
            for part, begin, end in zip(parts, turns[:-1], turns[1:], strict=True):
                if begin < end:
                    yield from _stages(part, begin, end)
        case _:
            yield _Stage(first, stop, schedule)


def _turn(steps: float, first: int, stop: int) -> int:
    return min(first + math.ceil(steps - 1e-9), stop)


def _has_clock(schedule: Schedule) -> bool:
    """Whether some part of it is stepped on a clock of its own."""
    match schedule:
        case Stepped():
            return True
        case Warmup(main=main):
            return _has_clock(main)
        case Sequence(parts=parts):
            return any(_has_clock(part) for part in parts)
        case _:
            return False


def _thinned(lr: FloatArray) -> IntArray:
    """Indices to keep: about MAX_RECORDED evenly, and both sides of the largest jumps."""
    last = len(lr) - 1
    if last < MAX_RECORDED:
        return np.arange(last + 1)
    even = np.round(np.linspace(0, last, MAX_RECORDED)).astype(np.int64)
    jumps = np.argsort(np.abs(np.diff(lr)), kind="stable")[-_JUMPS:]
    return np.unique(np.concatenate([even, jumps, jumps + 1]))
