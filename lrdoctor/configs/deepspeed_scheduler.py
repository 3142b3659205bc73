"""The `scheduler` block of a DeepSpeed file. Read in deepspeed 0.18.9: runtime/lr_schedules.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lrdoctor.configs.keys import OPEN, Keys
from lrdoctor.configs.shapes import ahead, ticks, warmed
from lrdoctor.configs.torch_schedules import known as torch_knows
from lrdoctor.configs.torch_schedules import torch_schedule
from lrdoctor.model.count import Count
from lrdoctor.model.plan import Ignored, Setting, WarmupPlan
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    CyclicLR,
    InverseSqrt,
    LinearLR,
    RangeTest,
    Sequence,
    Stepped,
)

DEFAULT_PEAK = 0.001  # warmup_max_lr of WarmupDecayLR
DEFAULT_WARMUP = 1000.0
DEFAULT_HALF = 2000.0  # cycle_first_step_size, lr_range_test_step_size
FIRST_TICK = -1.0  # the first two updates run at the least LR: the one set at the start, then that of iteration 0


@dataclass(frozen=True, slots=True)
class Scheduler:
    """What the `scheduler` block makes of the learning rate."""

    name: Setting[str]
    family: str
    lr: Setting[float] | None
    make: Callable[[float], Schedule] | None
    unmade: str
    warmup: WarmupPlan | None
    horizon: Setting[float] | None
    ignored: tuple[Ignored, ...] = ()


def scheduler_of(keys: Keys, lr: Setting[float] | None) -> Scheduler | None:
    """The scheduler block, where there is one. `lr` is the optimizer's."""
    block = keys.below("scheduler")
    name = block.text("type")
    if name is None:
        return None
    params = block.below("params")
    match name.value:
        case "WarmupLR" | "WarmupDecayLR":
            return _warmup_lr(name, params, lr)
        case "WarmupCosineLR":
            return _warmup_cosine(name, params, lr)
        case "OneCycle":
            return _one_cycle(name, params, lr)
        case "LRRangeTest":
            return _range_test(name, params)
    if torch_knows(name.value) and lr is not None:
        arguments = params.root.plain_value()
        peak = lr.value
        horizon = params.number("T_max", "total_steps", "total_iters")
        return Scheduler(
            name, name.value, lr, lambda total: torch_schedule(name.value, peak, arguments), "", None, horizon
        )
    return Scheduler(name, "Unknown", lr, None, f"DeepSpeed has no scheduler {name.value}", None, None)


def _is_open(params: Keys, key: str) -> bool:
    found = params.given(key)
    return found is not None and found.value in OPEN


def _warmup_lr(name: Setting[str], params: Keys, lr: Setting[float] | None) -> Scheduler:
    """A ramp (log-shaped unless told otherwise), then flat, or straight down to 0 at total_num_steps."""
    decays = name.value == "WarmupDecayLR"
    low = params.number_or("warmup_min_lr", 0.0)
    given = params.number("warmup_max_lr")
    peak: Setting[float] | None = given
    if given is None and not _is_open(params, "warmup_max_lr"):
        peak = params.default("warmup_max_lr", DEFAULT_PEAK) if decays or lr is None else lr
    steps = params.number("warmup_num_steps")
    if steps is None and not _is_open(params, "warmup_num_steps"):
        steps = params.default("warmup_num_steps", DEFAULT_WARMUP)
    horizon = params.number("total_num_steps")
    kind = params.text_or("warmup_type", "log").value
    ignored = _other_peak(lr, peak) if peak is not None else ()
    if peak is None or steps is None or (decays and horizon is None):
        return Scheduler(name, "LinearLR" if decays else "Constant", peak, None, "`auto` leaves it open", None, horizon)
    top, ramp = peak.value, max(2.0, steps.value)
    main = LinearLR(top, ticks(max(1.0, horizon.value - ramp))) if decays and horizon is not None else Constant(top)
    shape = "log" if kind == "log" else "linear"

    def make(total: float) -> Schedule:
        return ahead(warmed(main, ramp, low.value / top, shape), FIRST_TICK)

    return Scheduler(name, main.family, peak, make, "", WarmupPlan(Count.exactly(ramp), steps), horizon, tuple(ignored))


def _warmup_cosine(name: Setting[str], params: Keys, lr: Setting[float] | None) -> Scheduler:
    """Ratios of the optimizer's LR; the first update runs at 0, and the cosine one tick ahead of the ramp's clock."""
    steps, horizon = params.number("warmup_num_steps"), params.number("total_num_steps")
    if lr is None or horizon is None:
        return Scheduler(name, "CosineAnnealingLR", lr, None, "`auto` leaves it open", None, horizon)
    ramp = max(2.0, (steps or params.default("warmup_num_steps", DEFAULT_WARMUP)).value)
    low, floor = params.number_or("warmup_min_ratio", 0.0), params.number_or("cos_min_ratio", 0.0001)
    shape = "log" if params.text_or("warmup_type", "log").value == "log" else "linear"
    length = ticks(max(1.0, horizon.value - ramp))
    main = CosineAnnealingLR(lr.value, length, lr.value * floor.value)
    rise = warmed(Constant(lr.value), ramp, low.value, shape)
    whole = Sequence((Constant(0.0), rise, ahead(main, 1.0)), (1.0, 1.0 + ramp))
    return Scheduler(name, main.family, lr, lambda total: whole, "", WarmupPlan(Count.exactly(ramp), steps), horizon)


def _one_cycle(name: Setting[str], params: Keys, lr: Setting[float] | None) -> Scheduler:
    """Up and down along straight lines, then flat, or down with the inverse of time."""
    low, top = params.number("cycle_min_lr"), params.number("cycle_max_lr")
    if low is None or top is None:
        return Scheduler(name, "CyclicLR", top, None, "OneCycle needs cycle_min_lr and cycle_max_lr", None, None)
    up = params.number_or("cycle_first_step_size", DEFAULT_HALF)
    down = params.number("cycle_second_step_size") or up
    rate, size = params.number_or("decay_lr_rate", 0.0).value, params.number_or("decay_step_size", 0.0).value
    length = up.value + down.value

    def make(total: float) -> Schedule:
        tail = InverseSqrt(low.value, size / rate, power=1.0) if rate > 0 and size > 0 else Constant(low.value)
        return Sequence((CyclicLR(low.value, top.value, ticks(up.value), ticks(down.value)), tail), (length,))

    horizon = params.derived(length, up, "cycle_first_step_size + cycle_second_step_size")
    return Scheduler(name, "CyclicLR", top, make, "", None, horizon, _other_peak(lr, top))


def _range_test(name: Setting[str], params: Keys) -> Scheduler:
    """min_lr * (1 + step_rate * t / step_size), in stairs where asked."""
    low = params.number_or("lr_range_test_min_lr", 1e-3)
    size = params.number_or("lr_range_test_step_size", DEFAULT_HALF).value
    rate = params.number_or("lr_range_test_step_rate", 1.0).value
    stairs = params.flag("lr_range_test_staircase")

    def make(total: float) -> Schedule:
        length = total / size if stairs else total
        rising = RangeTest(low.value, low.value * (1.0 + rate * total / size), ticks(length), "linear")
        return Stepped(rising, updates_per_tick=size) if stairs else rising

    return Scheduler(name, "RangeTest", low, make, "", None, None)


def _other_peak(lr: Setting[float] | None, peak: Setting[float]) -> tuple[Ignored, ...]:
    """The optimizer's LR is not used where the scheduler brings its own."""
    if lr is None or lr.value == peak.value:
        return ()
    why = f"the scheduler sets the learning rate by its own {peak.key.rsplit('.', 1)[-1]}"
    return (Ignored(lr, why, f"write {lr.value:g} in both places, or the one that is meant", "override", peak),)


def filled_in(
    found: Scheduler, warmup: WarmupPlan | None, trainer_lr: Setting[float] | None, keys: Keys
) -> Callable[[float], Schedule] | None:
    """The schedule of a block whose values are "auto": Transformers fills in its own peak, warmup and length."""
    lr = found.lr or trainer_lr
    if lr is None or found.name.value not in ("WarmupLR", "WarmupDecayLR"):
        return None
    params = keys.below("scheduler").below("params")
    shape = "log" if params.text_or("warmup_type", "log").value == "log" else "linear"
    decays = found.name.value == "WarmupDecayLR"

    def make(total: float) -> Schedule:
        steps = 0.0
        if warmup is not None:
            steps = math.ceil(total * warmup.fraction) if warmup.fraction is not None else warmup.steps.low
        ramp = max(2.0, steps)
        main = LinearLR(lr.value, ticks(max(1.0, total - ramp))) if decays else Constant(lr.value)
        return ahead(warmed(main, ramp, 0.0, shape), FIRST_TICK)

    return make
