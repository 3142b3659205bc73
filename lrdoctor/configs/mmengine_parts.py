"""mmengine's parameter schedulers, each as a factor of the learning rate. Read at 25434293: optim/scheduler."""

from __future__ import annotations

from dataclasses import dataclass

from lrdoctor.configs.keys import Keys
from lrdoctor.configs.shapes import cycles, ticks
from lrdoctor.configs.torch_schedules import torch_schedule
from lrdoctor.model.plan import PlanUnit, Setting
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    ExponentialLR,
    Held,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    Sequence,
    StepLR,
    Stepped,
)


@dataclass(frozen=True, slots=True)
class Part:
    """One scheduler: in force from `begin` to `end` of its own unit, counting from `begin`."""

    name: Setting[str]
    keys: Keys
    begin: float
    end: float
    unit: PlanUnit
    continuous: bool
    per_update: bool

    @property
    def rises(self) -> bool:
        """Whether it is a warmup: a rise to the full learning rate, or a flat stretch below it, at the beginning."""
        if self.begin > 0:
            return False
        if self.name.value == "LinearLR":
            return self.keys.number_or("start_factor", 1 / 3).value < self.keys.number_or("end_factor", 1.0).value
        return self.name.value == "ConstantLR"

    @property
    def horizon(self) -> Setting[float] | None:
        """The length it was given itself, where that is not its window."""
        given = self.keys.number("T_max", "total_steps", "total_iters")
        if given is None:
            return None
        return self.keys.derived(given.value + self.begin, given, "its own length after its begin")


def factor_of(part: Part, lr: float, clock: tuple[float, float], total: float) -> Schedule:
    """The scheduler as a factor around 1 over the plan's steps: 1 before its begin, its last value after its end.

    `clock` is how many of the plan's steps one of its own units takes, and one call of its `step()`.
    """
    scale, tick = clock
    begin, end = part.begin * scale, min(part.end * scale, total)
    inner = _shape(part, lr, clock, max(end - begin, tick))
    held: Schedule = inner if part.continuous else Held(inner)
    pieces: list[Schedule] = [held]
    marks: list[float] = []
    if begin > 0:
        pieces, marks = [Constant(1.0), *pieces], [begin]
    if end < total:
        last = float(inner.lr_at([max(end - begin - tick, 0.0)])[0])
        pieces, marks = [*pieces, Constant(1.0 if part.name.value == "ConstantLR" else last)], [*marks, end]
    return Sequence(tuple(pieces), tuple(marks)) if marks else held


def _shape(part: Part, lr: float, clock: tuple[float, float], length: float) -> Schedule:
    scale, tick = clock
    keys, steps = part.keys, max(length - tick, tick, 1e-9)
    match part.name.value:
        case "LinearLR":
            start, end = keys.number_or("start_factor", 1 / 3).value, keys.number_or("end_factor", 1.0).value
            return LinearLR(1.0, ticks(steps), start, end)
        case "ConstantLR":
            factor = keys.number_or("factor", 1 / 3).value
            return Sequence((Constant(factor), Constant(1.0)), (steps,))
        case "MultiStepLR":
            given = keys.numbers("milestones")
            marks = sorted(m * scale for m in (given.value if given is not None else ()) if m * scale < length)
            return MultiStepLR(1.0, tuple(ticks(m) for m in marks), keys.number_or("gamma", 0.1).value)
        case "StepLR":
            size = keys.number_or("step_size", 1.0).value * scale
            return StepLR(1.0, ticks(size), keys.number_or("gamma", 0.1).value)
        case "ExponentialLR":
            return ExponentialLR(1.0, keys.number_or("gamma", 1.0).value ** (1.0 / scale))
        case "PolyLR":
            power, floor = keys.number_or("power", 1.0).value, keys.number_or("eta_min", 0.0).value / lr
            return PolynomialLR(1.0, ticks(steps), power, floor)
        case "OneCycleLR":
            return _one_cycle(keys, lr, clock, length)
        case "CosineRestartLR":
            return _restarts(keys, lr, scale, length)
        case _:
            horizon = keys.number("T_max")
            floor = keys.number_or("eta_min", 0.0).value / lr
            ratio = keys.number("eta_min_ratio")
            return CosineAnnealingLR(
                1.0, ticks(horizon.value * scale if horizon is not None else length), ratio.value if ratio else floor
            )


def _one_cycle(keys: Keys, lr: float, clock: tuple[float, float], length: float) -> Schedule:
    """It turns a tick before the ends of its phases, so that it is computed in its own ticks."""
    scale, tick = clock
    given = keys.number("total_steps")
    total = given.value * scale if given is not None else length
    arguments = {
        **keys.root.plain_value(),
        "max_lr": keys.number_or("eta_max", lr).value / lr,
        "total_steps": float(round(total / tick)) if tick > 0 else total,
    }
    cycle = torch_schedule("OneCycleLR", 1.0, arguments)
    return Stepped(cycle, updates_per_tick=tick) if tick > 0 else cycle


def _restarts(keys: Keys, lr: float, scale: float, length: float) -> Schedule:
    """Cosines of the given lengths, each from its own share of the learning rate."""
    periods, weights, ratio = keys.numbers("periods"), keys.numbers("restart_weights"), keys.number("eta_min_ratio")
    lengths = [one * scale for one in periods.value] if periods is not None else []
    tops = weights.value if weights is not None else (1.0,) * len(lengths)
    if sum(lengths) < length or len(tops) != len(lengths):
        raise ValueError("the periods of CosineRestartLR do not fill its time")
    floor = ratio.value if ratio is not None else keys.number_or("eta_min", 0.0).value / lr
    return cycles(length, lengths.__getitem__, lambda one: CosineAnnealingLR(tops[one], ticks(lengths[one]), floor))
