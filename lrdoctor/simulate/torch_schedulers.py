"""A lrdoctor schedule -> the torch.optim.lr_scheduler object that a training script would build for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    Overlaid,
    PolynomialLR,
    RangeTest,
    ReduceLROnPlateau,
    Sequence,
    StepLR,
    Stepped,
    Warmup,
    WarmupStableDecay,
)
from lrdoctor.schedules.beyond_torch import beyond_torch
from lrdoctor.simulate.device import import_torch

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

_LEAST_FACTOR = 1e-8  # torch refuses a factor of 0 at the start of a LinearLR
_FOREVER = 2**62  # ticks


class NoTorchClassError(Exception):
    """torch has no scheduler class for this schedule, or refuses its parameters."""


def base_lr(schedule: Schedule) -> float:
    """The lr the optimizer is constructed with, which torch's schedulers scale."""
    match schedule:
        case Warmup(main=inner) | Overlaid(main=inner) | Stepped(schedule=inner):
            return base_lr(inner)
        case Sequence(parts=parts):
            return base_lr(parts[0])
        case OneCycleLR():
            return schedule.initial_lr
        case CyclicLR():
            return schedule.base_lr
        case RangeTest(step_mode="exp"):
            return schedule.start_lr
        case _:
            return schedule.peak_lr


def build(schedule: Schedule, optimizer: Optimizer) -> LRScheduler:
    """torch's own scheduler, one `step()` a tick, for an optimizer whose lr is `base_lr(schedule)`.

    Raises `NoTorchClassError` where torch has none; `build_lambda` takes every schedule.
    """
    try:
        scheduler: LRScheduler = _build(schedule, optimizer)
        return scheduler
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise NoTorchClassError(str(error)) from error


def build_lambda(schedule: Schedule, optimizer: Optimizer) -> LRScheduler:
    """A LambdaLR over the closed form: what is left where torch has no class, and no check of the closed form."""
    peak = base_lr(schedule) or 1.0
    scheduler: LRScheduler = _torch().LambdaLR(optimizer, lambda tick: float(schedule.lr_at([tick])[0]) / peak)
    return scheduler


def cycles_momentum(schedule: Schedule) -> bool:
    """Whether torch's scheduler of this schedule moves the momentum too: a OneCycleLR or CyclicLR anywhere inside."""
    match schedule:
        case OneCycleLR() | CyclicLR():
            return True
        case Warmup(main=inner) | Stepped(schedule=inner):
            return cycles_momentum(inner)
        case Sequence(parts=parts):
            return any(cycles_momentum(part) for part in parts)
        case _:
            return False


def _torch() -> Any:
    """The module of torch's schedulers; torch is optional, so its classes have no types here."""
    return import_torch().optim.lr_scheduler


def _build(schedule: Schedule, optimizer: Optimizer) -> Any:
    if isinstance(schedule, Sequence) and len({base_lr(part) for part in schedule.parts}) > 1:
        raise NoTorchClassError("a SequentialLR has one base lr")
    pieces = _pieces(schedule, optimizer)
    if len(pieces) == 1:
        return pieces[0].scheduler
    if any(isinstance(piece.scheduler, _ToldWhenToCut) for piece in pieces):
        raise NoTorchClassError("a SequentialLR takes no ReduceLROnPlateau")
    # torch compares its tick with a milestone by ==, so a broken one is moved to the next whole tick
    milestones = [math.ceil(piece.start - 1e-9) for piece in pieces[1:]]
    return _torch().SequentialLR(optimizer, [piece.scheduler for piece in pieces], milestones=milestones)


class _Piece(NamedTuple):
    """One of torch's schedulers, in force from tick `start` on."""

    start: float
    scheduler: Any


def _pieces(schedule: Schedule, optimizer: Optimizer) -> list[_Piece]:
    """The schedule as torch classes one after another, flat: a SequentialLR cannot be part of a SequentialLR."""
    refusal = beyond_torch(schedule)
    if refusal:
        raise NoTorchClassError(refusal)
    match schedule:
        case Warmup(main=main, steps=steps):
            if not math.isclose(float(main.lr_at([0.0])[0]), base_lr(main)):
                raise NoTorchClassError("the ramp of a SequentialLR aims at the base lr")
            ramp = _ramp(schedule, optimizer)  # first of all: a OneCycleLR overwrites the initial lr when it is built
            return [_Piece(0.0, ramp), *_shifted(_pieces(main, optimizer), steps)]
        case CosineAnnealingLR(clamped=True):
            low = schedule.eta_min / schedule.lr
            return [_Piece(0.0, _plain(schedule, optimizer)), _held(float(schedule.T_max), low, optimizer)]
        case WarmupStableDecay():
            return _stable_decay(schedule, optimizer)
        case Sequence():
            return _sequence(schedule, optimizer)
    builder = _BUILDERS.get(type(schedule))
    if builder is None:
        raise NoTorchClassError(f"no torch scheduler for {type(schedule).__name__}")
    return [_Piece(0.0, builder(schedule, optimizer))]


def _held(start: float, factor: float, optimizer: Optimizer) -> _Piece:
    """The base lr times `factor` from tick `start` on."""
    return _Piece(start, _torch().ConstantLR(optimizer, factor=factor, total_iters=_FOREVER))


def _stable_decay(schedule: WarmupStableDecay, optimizer: Optimizer) -> list[_Piece]:
    stable, length, low = float(schedule.num_stable_steps), schedule.num_decay_steps, schedule.min_lr_ratio
    flat = [_Piece(0.0, _torch().ConstantLR(optimizer, factor=1.0, total_iters=0))] if stable else []
    if schedule.decay_type == "linear":
        fall = _torch().LinearLR(optimizer, start_factor=1.0, end_factor=low, total_iters=length)
        return [*flat, _Piece(stable, fall)]
    fall = _torch().CosineAnnealingLR(optimizer, T_max=length, eta_min=low * schedule.lr)
    return [*flat, _Piece(stable, fall), _held(stable + length, low, optimizer)]


def _sequence(schedule: Sequence, optimizer: Optimizer) -> list[_Piece]:
    starts = (0.0, *schedule.milestones)
    ends = (*schedule.milestones, math.inf)
    pieces: list[_Piece] = []
    for part, start, end in zip(schedule.parts, starts, ends, strict=True):
        if start < end:
            pieces += [piece for piece in _shifted(_pieces(part, optimizer), start) if piece.start < end]
    return pieces


def _shifted(pieces: list[_Piece], ticks: float) -> list[_Piece]:
    return [piece._replace(start=piece.start + ticks) for piece in pieces]


def _ramp(schedule: Warmup, optimizer: Optimizer) -> Any:
    if schedule.kind == "constant":
        return _torch().ConstantLR(optimizer, factor=schedule.start_factor, total_iters=schedule.steps)
    factor = max(schedule.start_factor, _LEAST_FACTOR)
    return _torch().LinearLR(optimizer, start_factor=factor, total_iters=schedule.steps)


def _constant(schedule: Constant, optimizer: Optimizer) -> Any:
    return _torch().ConstantLR(optimizer, factor=1.0, total_iters=0)


def _plain(schedule: Schedule, optimizer: Optimizer) -> Any:
    """The families whose `params` are torch's arguments, and whose torch class has the family's name."""
    return getattr(_torch(), schedule.family)(optimizer, **schedule.params())


def _linear(schedule: LinearLR, optimizer: Optimizer) -> Any:
    top = max(schedule.start_factor, schedule.end_factor)
    return _torch().LinearLR(
        optimizer,
        start_factor=max(schedule.start_factor / top, _LEAST_FACTOR),
        end_factor=schedule.end_factor / top,
        total_iters=schedule.total_iters,
    )


def _one_cycle(schedule: OneCycleLR, optimizer: Optimizer) -> Any:
    moves = "momentum" in optimizer.defaults or "betas" in optimizer.defaults
    return _torch().OneCycleLR(optimizer, cycle_momentum=moves, **schedule.params())


def _cyclic(schedule: CyclicLR, optimizer: Optimizer) -> Any:
    moves = "momentum" in optimizer.defaults or "betas" in optimizer.defaults
    return _torch().CyclicLR(optimizer, cycle_momentum=moves, **schedule.params())


def _range_test(schedule: RangeTest, optimizer: Optimizer) -> Any:
    if schedule.step_mode == "exp":
        gamma = (schedule.end_lr / schedule.start_lr) ** (1.0 / schedule.num_iter)
        return _torch().ExponentialLR(optimizer, gamma=gamma)
    low = max(schedule.start_lr / schedule.end_lr, _LEAST_FACTOR)
    return _torch().LinearLR(optimizer, start_factor=low, total_iters=schedule.num_iter)


class _ToldWhenToCut:
    """torch's ReduceLROnPlateau, shown a metric that gets better at every tick but those at which the LR was cut."""

    def __init__(self, schedule: ReduceLROnPlateau, optimizer: Optimizer) -> None:
        self._cuts = frozenset(math.ceil(cut) for cut in schedule.cuts)
        self._tick = 0
        self._plateau = _torch().ReduceLROnPlateau(
            optimizer, factor=schedule.factor, min_lr=schedule.min_lr, patience=0, eps=0.0
        )

    def step(self) -> None:
        self._tick += 1
        self._plateau.step(math.inf if self._tick in self._cuts else -self._tick)


def _plateau(schedule: ReduceLROnPlateau, optimizer: Optimizer) -> Any:
    return _ToldWhenToCut(schedule, optimizer)


_BUILDERS: dict[type[Schedule], Callable[[Any, Optimizer], Any]] = {
    Constant: _constant,
    StepLR: _plain,
    MultiStepLR: _plain,
    ExponentialLR: _plain,
    LinearLR: _linear,
    PolynomialLR: _plain,
    CosineAnnealingLR: _plain,
    CosineAnnealingWarmRestarts: _plain,
    OneCycleLR: _one_cycle,
    CyclicLR: _cyclic,
    ReduceLROnPlateau: _plateau,
    RangeTest: _range_test,
}
