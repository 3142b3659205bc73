"""MMEngine's `param_scheduler` block (mmengine 0.10): parts that act on [begin, end), counted from `begin`.

LinearLR and PolyLR arrive at their end one tick before `end` (`total_iters = end - begin - 1`), so `end` is one more
than elsewhere; milestones and periods count from `begin`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lrdoctor.report.dialects.plan import CannotSayError, Plan, peak, whole_number
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    StepLR,
)
from lrdoctor.schedules._write import literal

Settings = dict[str, object]


def write(plan: Plan) -> str:
    """The optimizer's lr and the list of parts. `CannotSayError` where mmengine has no such schedule."""
    if plan.overlaid is not None:
        raise CannotSayError("mmengine's parts multiply where they overlap; in torch:")
    builder = _BUILDERS.get(type(plan.main))
    if builder is None:
        raise CannotSayError(f"mmengine has no {plan.main.family}; in torch:")
    parts = [*_warmup(plan), builder(plan.main, plan, whole_number(plan.warmup_ticks, "begin"))]
    optimizer = f'optim_wrapper = dict(optimizer=dict(type="{plan.optimizer}", lr={peak(plan)}))'
    lines = "".join(f"    {_dict(part, plan)},\n" for part in parts if part)
    return f"{optimizer}  # and your other arguments\nparam_scheduler = [\n{lines}]"


def _dict(part: Settings, plan: Plan) -> str:
    given = {**part, "by_epoch": plan.stepped == "epoch"}
    return f"dict({', '.join(f'{key}={literal(value)}' for key, value in given.items())})".replace("'", '"')


def _warmup(plan: Plan) -> list[Settings]:
    ramp = plan.warmup
    if ramp is None:
        return []
    if ramp.kind not in ("linear", "constant"):
        raise CannotSayError(f"mmengine has no warmup of the shape {ramp.kind}; in torch:")
    if ramp.kind == "linear" and ramp.start_factor <= 0.0:
        raise CannotSayError("mmengine's LinearLR cannot start at 0; in torch:")
    end = whole_number(ramp.steps, "end") + 1
    if ramp.kind == "constant":
        return [{"type": "ConstantLR", "factor": ramp.start_factor, "begin": 0, "end": end}]
    return [{"type": "LinearLR", "start_factor": ramp.start_factor, "begin": 0, "end": end}]


def _constant(main: Constant, plan: Plan, begin: int) -> Settings:
    return {} if begin else {"type": "ConstantLR", "factor": 1.0, "begin": 0}


def _step(main: StepLR, plan: Plan, begin: int) -> Settings:
    return {"type": "StepLR", "step_size": main.step_size, "gamma": main.gamma, "begin": begin}


def _multistep(main: MultiStepLR, plan: Plan, begin: int) -> Settings:
    return {"type": "MultiStepLR", "milestones": list(main.milestones), "gamma": main.gamma, "begin": begin}


def _exponential(main: ExponentialLR, plan: Plan, begin: int) -> Settings:
    return {"type": "ExponentialLR", "gamma": main.gamma, "begin": begin}


def _linear(main: LinearLR, plan: Plan, begin: int) -> Settings:
    if not 0.0 < main.start_factor <= 1.0 or not 0.0 <= main.end_factor <= 1.0:
        raise CannotSayError("mmengine's LinearLR stays between 0 and 1; in torch:")
    if main.end_factor == 0.0:  # LinearLR multiplies, and cannot arrive at 0 without dividing by it
        return {"type": "PolyLR", "power": 1.0, "eta_min": 0.0, "begin": begin, "end": begin + main.total_iters + 1}
    factors = {"start_factor": main.start_factor, "end_factor": main.end_factor}
    return {"type": "LinearLR", **factors, "begin": begin, "end": begin + main.total_iters + 1}


def _polynomial(main: PolynomialLR, plan: Plan, begin: int) -> Settings:
    end = begin + main.total_iters + 1
    return {"type": "PolyLR", "power": main.power, "eta_min": main.eta_min, "begin": begin, "end": end}


def _cosine(main: CosineAnnealingLR, plan: Plan, begin: int) -> Settings:
    if main.k_decay != 1.0:
        raise CannotSayError("mmengine's cosine has no k-decay; in torch:")
    end = begin + main.T_max + 1
    return {"type": "CosineAnnealingLR", "T_max": main.T_max, "eta_min": main.eta_min, "begin": begin, "end": end}


def _restarts(main: CosineAnnealingWarmRestarts, plan: Plan, begin: int) -> Settings:
    if main.cycle_decay != 1.0:
        raise CannotSayError("mmengine's restarts all begin at the same height; in torch:")
    length, periods = main.T_0, [main.T_0]
    while sum(periods) < plan.ticks - begin:
        length *= main.T_mult
        periods.append(length)
    ones = [1] * len(periods)
    return {
        "type": "CosineRestartLR", "periods": periods, "restart_weights": ones, "eta_min": main.eta_min, "begin": begin,
    }  # fmt: skip


def _one_cycle(main: OneCycleLR, plan: Plan, begin: int) -> Settings:
    if begin:
        raise CannotSayError("mmengine's OneCycleLR has its own rise; in torch:")
    return {
        "type": "OneCycleLR", "eta_max": main.max_lr, "total_steps": main.total_steps, "pct_start": main.pct_start,
        "anneal_strategy": main.anneal_strategy, "div_factor": main.div_factor,
        "final_div_factor": main.final_div_factor, "three_phase": main.three_phase,
    }  # fmt: skip


_BUILDERS: dict[type, Callable[[Any, Plan, int], Settings]] = {
    Constant: _constant,
    StepLR: _step,
    MultiStepLR: _multistep,
    ExponentialLR: _exponential,
    LinearLR: _linear,
    PolynomialLR: _polynomial,
    CosineAnnealingLR: _cosine,
    CosineAnnealingWarmRestarts: _restarts,
    OneCycleLR: _one_cycle,
}
