"""The updater hooks of mmcv 1.x as schedules. Read in mmcv 1.7.2: runner/hooks/lr_updater.py."""

from __future__ import annotations

from lrdoctor.configs.keys import Keys
from lrdoctor.configs.shapes import cycles, ticks
from lrdoctor.configs.torch_schedules import torch_schedule
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    ExponentialLR,
    Floored,
    InverseSqrt,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    Sequence,
    StepLR,
    WarmupStableDecay,
)

CYCLE_TOP, CYCLE_LEAST, CYCLE_UP = 10.0, 1e-4, 0.4  # cyclic's target_ratio and step_ratio_up
FLAT = 0.75  # FlatCosineAnnealing's start_percent


def policy_schedule(kind: str, lr: float, block: Keys, total: float) -> Schedule:
    """The schedule of a policy, in the unit it counts in; a warmup comes on top."""
    gamma, ratio = block.number_or("gamma", 0.1).value, block.number("min_lr_ratio")
    floor = lr * ratio.value if ratio is not None else block.number_or("min_lr", 0.0).value
    power = block.number_or("power", 1.0).value
    match kind:
        case "step":
            return Floored(_steps(lr, block, gamma), floor) if floor else _steps(lr, block, gamma)
        case "cosineannealing":
            return CosineAnnealingLR(lr, ticks(total), floor)
        case "flatcosineannealing":
            flat = float(round(total * block.number_or("start_percent", FLAT).value))
            return WarmupStableDecay(lr, ticks(flat), ticks(total - flat), "cosine", floor / lr)
        case "linearannealing":
            return LinearLR(lr, ticks(total), 1.0, floor / lr)
        case "cosinerestart":
            return _restarts(lr, block, floor, total)
        case "poly":
            return PolynomialLR(lr, ticks(total), power, floor)
        case "exp":
            return ExponentialLR(lr, gamma)
        case "inv":
            return InverseSqrt(lr, 1.0 / gamma, power)
        case "onecycle":
            given = {"total_steps": total, **block.root.plain_value()}
            return torch_schedule("OneCycleLR", lr, given)
        case "cyclic":
            return _cyclic(lr, block, total)
    return Constant(lr)


def _steps(lr: float, block: Keys, gamma: float) -> Schedule:
    """One number is an interval, a list are milestones."""
    node, marks = block.root.get("step"), block.numbers("step")
    values = marks.value if marks is not None else ()
    if node is not None and not node.is_list and len(values) == 1:
        return StepLR(lr, ticks(values[0]), gamma)
    return MultiStepLR(lr, tuple(ticks(one) for one in values), gamma)


def _restarts(lr: float, block: Keys, floor: float, total: float) -> Schedule:
    """Cosines of the given lengths, each from its own share of the learning rate."""
    periods, weights = block.numbers("periods"), block.numbers("restart_weights")
    if periods is None or sum(periods.value) < total:
        raise ValueError("the periods of CosineRestart do not fill the run, on which mmcv raises")
    shares = weights.value if weights is not None else (1.0,)

    def cosine(number: int) -> Schedule:
        top = floor + (lr - floor) * shares[number]
        return CosineAnnealingLR(top, ticks(periods.value[number]), floor)

    return cycles(total, lambda number: periods.value[number], cosine)


def _cyclic(lr: float, block: Keys, total: float) -> Schedule:
    """Cosines up from lr to target_ratio[0] * lr and down to target_ratio[1] * lr, cyclic_times in the run."""
    ratios = block.numbers("target_ratio")
    values = ratios.value if ratios is not None else (CYCLE_TOP, CYCLE_LEAST)
    top, least = values if len(values) == 2 else (values[0], values[0] / 1e5)
    length = float(int(total // block.number_or("cyclic_times", 1.0).value))
    up = float(int(block.number_or("step_ratio_up", CYCLE_UP).value * length))
    shrink, straight = block.number_or("gamma", 1.0).value, block.text_or("anneal_strategy", "cos").value == "linear"

    def phase(start: float, end: float, steps: float) -> Schedule:
        if straight:
            return LinearLR(lr, ticks(steps), start, end)
        return CosineAnnealingLR(lr * start, ticks(steps), lr * end)

    def cycle(number: int) -> Schedule:
        peak = 1.0 + (top - 1.0) * shrink**number
        down = phase(peak, least, length - up)
        return Sequence((phase(1.0, peak, up), down), (up,)) if up > 0 else down

    return cycles(total, lambda number: length, cycle)
