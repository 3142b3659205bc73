"""Labelled trajectories: schedules drawn at random and executed by the libraries that people train with."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import transformers
from logs import Floats
from other_libraries import by_mmengine, by_timm
from torch.optim import lr_scheduler as torch_schedulers

Make = Callable[[torch.optim.Optimizer], Any]
Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Labelled:
    """One executed schedule: `lrs` (T,) the LR of every update; `numbers` what should be recovered, in updates.

    `accuracy` (T,) is what the scheduler looked at, NaN but at the last update of each epoch.
    """

    family: str
    library: str
    lrs: Floats
    numbers: Mapping[str, float]
    per_tick: int = 1
    warmup: str = ""
    loss: Floats | None = None
    accuracy: Floats | None = None
    complete: bool = True
    marks: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def executed(make: Make, updates: int, lr: float, per_tick: int = 1, metric: Floats | None = None) -> Floats:
    """The LR torch's optimizer used at each update; the scheduler is stepped every `per_tick` updates."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    ticks = math.ceil(updates / per_tick)
    used = np.empty(ticks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = make(optimizer)
        for tick in range(ticks):
            used[tick] = optimizer.param_groups[0]["lr"]
            if tick + 1 < ticks:
                optimizer.step()
                scheduler.step(*(() if metric is None else (float(metric[tick]),)))
    return np.repeat(used, per_tick)[:updates]


def draw_lr(rng: Rng) -> float:
    """One or two digits, as people write it."""
    return float(f"{10 ** rng.uniform(-5, -0.5):.{int(rng.integers(0, 2))}e}")


@dataclass(frozen=True, slots=True)
class Draw:
    """The frame of a schedule: how many ticks it has, how many updates a tick, how much of it is run."""

    rng: Rng
    lr: float
    ticks: int
    per_tick: int
    run_ticks: int

    @property
    def updates(self) -> int:
        return self.run_ticks * self.per_tick

    def labelled(
        self, family: str, make: Make, numbers: Mapping[str, float], library: str = "torch", **more: Any
    ) -> Labelled:
        lrs = executed(make, self.updates, self.lr, self.per_tick, more.pop("metric", None))
        complete = self.run_ticks == self.ticks
        return Labelled(family, library, lrs, numbers, self.per_tick, complete=complete, **more)


def frame(rng: Rng, *, cut: bool = True, slow: bool = True) -> Draw:
    per_tick = int(rng.integers(8, 100)) if slow and rng.random() < 0.35 else 1
    ticks = int(rng.integers(20, 120)) if per_tick > 1 else round(10 ** rng.uniform(2.5, 3.6))
    share = rng.uniform(0.55, 0.95) if cut and rng.random() < 0.25 else 1.0
    return Draw(rng, draw_lr(rng), ticks, per_tick, max(int(share * ticks), 12))


def warm(draw: Draw, main: Callable[[int], Make]) -> tuple[Make, dict[str, float], int]:
    """`main(ticks left)`, in half of the draws behind a linear warmup: the scheduler, its numbers, the ticks left."""
    rng = draw.rng
    if rng.random() < 0.5:
        return main(draw.ticks), {"peak_lr": draw.lr}, draw.ticks
    steps = max(3, int(rng.choice([0.01, 0.02, 0.05, 0.1]) * draw.ticks))
    factor = float(rng.choice([1e-3, 0.01, 0.1, 1 / 3]))
    left = draw.ticks - steps

    def make(optimizer: torch.optim.Optimizer) -> Any:
        ramp = torch_schedulers.LinearLR(optimizer, start_factor=factor, total_iters=steps)
        return torch_schedulers.SequentialLR(optimizer, [ramp, main(left)(optimizer)], milestones=[steps])

    return make, {"peak_lr": draw.lr, "warmup_steps": steps * draw.per_tick}, left


def constant(rng: Rng) -> Labelled:
    draw = frame(rng, cut=False, slow=False)
    make, numbers, _ = warm(draw, lambda left: lambda o: torch_schedulers.ConstantLR(o, factor=1.0))
    return draw.labelled("Constant", make, numbers)


def _timm(draw: Draw, family: str, name: str, numbers: Mapping[str, float], **given: Any) -> Labelled:
    """timm's scheduler behind its linear warmup or none, which goes before it (`warmup_prefix`) or stands in for it."""
    rng, known = draw.rng, dict(numbers)
    warm, prefix = int(rng.choice([0.0, 0.0, 0.05, 0.1]) * draw.ticks), bool(rng.random() < 0.5)
    if warm:
        given |= {"warmup_t": warm, "warmup_lr_init": 0.01 * draw.lr, "warmup_prefix": prefix}
        known["warmup_steps"] = warm * draw.per_tick
    updates = draw.updates + (warm * draw.per_tick if warm and prefix else 0)
    lrs = by_timm(name, draw.lr, updates, draw.per_tick, **given)
    return Labelled(family, "timm", lrs, known, draw.per_tick, complete=draw.run_ticks == draw.ticks)


def _mmengine(draw: Draw, family: str, name: str, numbers: Mapping[str, float], **given: Any) -> Labelled:
    """mmengine's scheduler by iteration, in half of the draws behind its LinearLR."""
    total = draw.ticks * draw.per_tick
    warm = int(draw.rng.choice([0.0, 0.05]) * total)
    ramp = [("LinearLR", {"start_factor": 0.01, "begin": 0, "end": warm})] if warm else []
    main = {"begin": warm, "end": total, **given}
    lrs = by_mmengine(draw.lr, draw.updates, *ramp, (name, main))
    known = {**numbers, **({"warmup_steps": float(warm)} if warm else {})}
    return Labelled(family, "mmengine", lrs, known, complete=draw.run_ticks == draw.ticks)


def steps(rng: Rng) -> Labelled:
    draw = frame(rng)
    if rng.random() < 0.2:
        gamma, size = float(rng.choice([0.1, 0.5, 0.9])), max(3, int(draw.run_ticks * 0.85) // 4)
        numbers = {"peak_lr": draw.lr, "step_size": size * draw.per_tick, "gamma": gamma}
        return _timm(draw, "StepLR", "StepLRScheduler", numbers, decay_t=size, decay_rate=gamma)
    gamma = float(rng.choice([0.1, 0.2, 0.3, 0.5, 0.7, 0.9]))
    drops = int(rng.integers(3, 4 if gamma < 0.3 else 8))
    size = max(3, int(draw.run_ticks * 0.85) // drops)
    make, numbers, _ = warm(draw, lambda left: lambda o: torch_schedulers.StepLR(o, size, gamma))
    return draw.labelled("StepLR", make, {**numbers, "step_size": size * draw.per_tick, "gamma": gamma})


def milestones(rng: Rng) -> Labelled:
    draw = frame(rng, cut=False)
    gamma = float(rng.choice([0.1, 0.2, 0.3, 0.5]))
    count = int(rng.integers(1, 4))
    shares = {1: (0.7,), 2: (0.55, 0.8), 3: (0.3, 0.6, 0.8)}[count]
    marks = [round(share * draw.ticks * 0.85) for share in shares]
    make, numbers, _ = warm(draw, lambda left: lambda o: torch_schedulers.MultiStepLR(o, marks, gamma))
    return draw.labelled(
        "MultiStepLR",
        make,
        {**numbers, "gamma": gamma},
        marks={"milestones": tuple(float(mark * draw.per_tick) for mark in marks)},
    )


def exponential(rng: Rng) -> Labelled:
    draw = frame(rng, cut=False)
    gamma = float(f"{10 ** (-rng.uniform(0.3, 2.5) / draw.ticks):.5f}")
    make, numbers, _ = warm(draw, lambda left: lambda o: torch_schedulers.ExponentialLR(o, gamma))
    return draw.labelled("ExponentialLR", make, {**numbers, "rate": math.log(gamma) / draw.per_tick})


def linear(rng: Rng) -> Labelled:
    draw = frame(rng)
    if rng.random() < 0.5:
        return _transformers(draw, "LinearLR", "linear", {"end_factor": 0.0}, "total_iters")
    end = float(rng.choice([0.0, 0.0, 0.01, 0.1]))
    make, numbers, left = warm(draw, lambda left: lambda o: torch_schedulers.LinearLR(o, 1.0, end, left))
    return draw.labelled("LinearLR", make, {**numbers, "total_iters": left * draw.per_tick, "end_factor": end})


def polynomial(rng: Rng) -> Labelled:
    draw = frame(rng)
    power = float(rng.choice([0.5, 0.9, 1.5, 2.0, 3.0]))
    known = {"peak_lr": draw.lr, "total_iters": draw.ticks * draw.per_tick, "power": power}
    library = rng.random()
    if library < 0.2:
        return _timm(draw, "PolynomialLR", "PolyLRScheduler", known, t_initial=draw.ticks, power=power, lr_min=0.0)
    if library < 0.4 and draw.per_tick == 1:
        known["total_iters"] -= 1  # mmengine's is at its end with the last iteration
        return _mmengine_decline(draw, "PolynomialLR", "PolyLR", known, "total_iters", power=power, eta_min=0.0)
    make, numbers, left = warm(draw, lambda left: lambda o: torch_schedulers.PolynomialLR(o, left, power))
    return draw.labelled("PolynomialLR", make, {**numbers, "total_iters": left * draw.per_tick, "power": power})


def _mmengine_decline(
    draw: Draw, family: str, name: str, known: Mapping[str, float], horizon: str, **given: Any
) -> Labelled:
    """One that falls from the end of the warmup to the end of the run: its own length is what the warmup leaves."""
    made = _mmengine(draw, family, name, known, **given)
    return replace(made, numbers={**made.numbers, horizon: known[horizon] - made.numbers.get("warmup_steps", 0.0)})


def cosine(rng: Rng) -> Labelled:
    draw = frame(rng)
    library = rng.random()
    if library < 0.35:
        return _transformers(draw, "CosineAnnealingLR", "cosine", {"eta_min": 0.0}, "T_max")
    known = {"peak_lr": draw.lr, "T_max": draw.ticks * draw.per_tick, "eta_min": 0.0}
    if library < 0.5:
        return _timm(draw, "CosineAnnealingLR", "CosineLRScheduler", known, t_initial=draw.ticks, lr_min=0.0)
    if library < 0.65 and draw.per_tick == 1:
        return _mmengine_decline(draw, "CosineAnnealingLR", "CosineAnnealingLR", known, "T_max", eta_min=0.0)
    eta_min = float(rng.choice([0.0, 0.0, 0.01, 0.1])) * draw.lr
    make, numbers, left = warm(draw, lambda left: lambda o: torch_schedulers.CosineAnnealingLR(o, left, eta_min))
    return draw.labelled("CosineAnnealingLR", make, {**numbers, "T_max": left * draw.per_tick, "eta_min": eta_min})


def _transformers(draw: Draw, family: str, name: str, known: Mapping[str, float], horizon: str) -> Labelled:
    """`transformers.get_scheduler`, stepped at every update as its Trainer does."""
    per = draw.per_tick
    draw = replace(draw, ticks=draw.ticks * per, run_ticks=draw.run_ticks * per, per_tick=1)
    steps = int(draw.rng.choice([0.0, 0.03, 0.06, 0.1]) * draw.ticks)
    numbers = {"peak_lr": draw.lr, horizon: draw.ticks - steps, **known}
    if steps:
        numbers["warmup_steps"] = steps

    def make(optimizer: torch.optim.Optimizer) -> Any:
        return transformers.get_scheduler(name, optimizer, num_warmup_steps=steps, num_training_steps=draw.ticks)

    return draw.labelled(family, make, numbers, "transformers")


def warm_restarts(rng: Rng) -> Labelled:
    draw = frame(rng, cut=False)
    multiple = int(rng.choice([1, 2]))
    cycles = int(rng.integers(2, 5)) if multiple == 1 else int(rng.integers(2, 4))
    length = max(4, int(draw.ticks / (cycles if multiple == 1 else 2**cycles - 1)))
    eta_min = float(rng.choice([0.0, 0.01])) * draw.lr

    def make(optimizer: torch.optim.Optimizer) -> Any:
        return torch_schedulers.CosineAnnealingWarmRestarts(optimizer, length, multiple, eta_min)

    numbers = {"peak_lr": draw.lr, "T_0": length * draw.per_tick, "T_mult": multiple, "eta_min": eta_min}
    return draw.labelled("CosineAnnealingWarmRestarts", make, numbers)


def onecycle(rng: Rng) -> Labelled:
    draw = frame(rng)
    pct, div = float(rng.choice([0.3, 0.3, 0.1, 0.2, 0.4])), float(rng.choice([25.0, 25.0, 10.0]))
    final, shape = float(rng.choice([1e4, 1e4, 100.0])), str(rng.choice(["cos", "cos", "linear"]))

    def make(optimizer: torch.optim.Optimizer) -> Any:
        return torch_schedulers.OneCycleLR(
            optimizer, draw.lr, draw.ticks, pct_start=pct, anneal_strategy=shape, div_factor=div, final_div_factor=final
        )

    numbers = {"peak_lr": draw.lr, "total_steps": draw.ticks * draw.per_tick, "pct_start": pct, "div_factor": div}
    return draw.labelled("OneCycleLR", make, numbers)


def cyclic(rng: Rng) -> Labelled:
    draw = frame(rng, cut=False, slow=False)
    base, mode = draw.lr * float(rng.choice([0.01, 0.1])), str(rng.choice(["triangular", "triangular2", "exp_range"]))
    up = max(8, draw.ticks // int(rng.integers(5, 12)))
    gamma = 0.9995 if mode == "exp_range" else 1.0

    def make(optimizer: torch.optim.Optimizer) -> Any:
        return torch_schedulers.CyclicLR(optimizer, base, draw.lr, up, mode=mode, gamma=gamma, cycle_momentum=False)

    return draw.labelled("CyclicLR", make, {"max_lr": draw.lr, "base_lr": base, "step_size_up": up})


def inverse_sqrt(rng: Rng) -> Labelled:
    draw = frame(rng, cut=False, slow=False)
    steps = max(10, int(rng.choice([0.02, 0.05, 0.1]) * draw.ticks))

    def make(optimizer: torch.optim.Optimizer) -> Any:
        return transformers.get_inverse_sqrt_schedule(optimizer, num_warmup_steps=steps)

    return draw.labelled("InverseSqrt", make, {"peak_lr": draw.lr, "warmup_steps": steps}, "transformers")


def stable_decay(rng: Rng) -> Labelled:
    draw = frame(rng, cut=False, slow=False)
    steps, decay = max(5, int(0.03 * draw.ticks)), int(rng.choice([0.1, 0.2, 0.3]) * draw.ticks)
    shape = str(rng.choice(["linear", "cosine", "1-sqrt"]))

    def make(optimizer: torch.optim.Optimizer) -> Any:
        return transformers.get_wsd_schedule(
            optimizer, steps, decay, num_training_steps=draw.ticks, decay_type=shape, min_lr_ratio=0.0
        )

    numbers = {"peak_lr": draw.lr, "warmup_steps": steps, "num_decay_steps": decay}
    return draw.labelled("WarmupStableDecay", make, numbers, "transformers")


def plateau(rng: Rng) -> Labelled:
    per_tick = int(rng.integers(8, 60))
    draw = Draw(rng, draw_lr(rng), 60, per_tick, 60)
    factor, patience = float(rng.choice([0.1, 0.2, 0.5])), int(rng.integers(2, 6))
    at = np.arange(60)
    metric = 0.9 - 0.6 * np.exp(-at / 9.0) + rng.normal(0.0, 0.006, 60)

    def make(optimizer: torch.optim.Optimizer) -> Any:
        return torch_schedulers.ReduceLROnPlateau(optimizer, mode="max", factor=factor, patience=patience)

    accuracy = np.full(60 * per_tick, np.nan)
    accuracy[per_tick - 1 :: per_tick] = metric
    numbers = {"peak_lr": draw.lr, "factor": factor}
    found = draw.labelled("ReduceLROnPlateau", make, numbers, metric=metric, accuracy=accuracy)
    return found if len(np.unique(found.lrs)) > 3 else plateau(rng)


def range_test(rng: Rng) -> Labelled:
    updates, end = int(rng.integers(100, 400)), float(rng.choice([1.0, 10.0]))
    start = float(rng.choice([1e-7, 1e-6, 1e-5]))
    share = np.arange(updates) / (updates - 1)
    exponential = rng.random() < 0.75
    lrs = start * (end / start) ** share if exponential else start + (end - start) * share
    best = 10 ** rng.uniform(-2, -1)
    loss = 2.3 - 1.2 / (1 + (best / lrs) ** 1.5) + 2.0 * np.maximum(np.log10(lrs / (4 * best)), 0.0) ** 2
    loss += rng.normal(0.0, 0.02, updates)
    return Labelled("RangeTest", "formula", lrs, {"start_lr": start, "end_lr": end}, loss=loss)


def unknown(rng: Rng) -> Labelled:
    """No schedule: levels of a line search, or lines between points drawn by hand."""
    updates = int(rng.integers(400, 3000))
    knots = np.sort(rng.choice(np.arange(20, updates - 20), int(rng.integers(6, 12)), replace=False))
    levels = draw_lr(rng) * 2.0 ** rng.normal(0.0, 1.2, len(knots) + 2)
    at = np.concatenate([[0], knots, [updates - 1]])
    lrs = np.interp(np.arange(updates), at, levels) * np.exp(rng.normal(0.0, 0.02, updates))
    return Labelled("Unknown", "none", lrs, {})


FAMILIES: Mapping[str, Callable[[Rng], Labelled]] = {
    "Constant": constant,
    "StepLR": steps,
    "MultiStepLR": milestones,
    "ExponentialLR": exponential,
    "LinearLR": linear,
    "PolynomialLR": polynomial,
    "CosineAnnealingLR": cosine,
    "CosineAnnealingWarmRestarts": warm_restarts,
    "OneCycleLR": onecycle,
    "CyclicLR": cyclic,
    "InverseSqrt": inverse_sqrt,
    "WarmupStableDecay": stable_decay,
    "ReduceLROnPlateau": plateau,
    "RangeTest": range_test,
    "Unknown": unknown,
}


def draws(count: int, seed: int) -> Iterator[Labelled]:
    """`count` trajectories, the families in turn."""
    rng = np.random.default_rng(seed)
    makers = list(FAMILIES.values())
    for index in range(count):
        yield makers[index % len(makers)](rng)
