"""The `state_dict` that torch's scheduler of a schedule has after so many ticks, key for key as torch 2.13 saves it.

torch loads such a dict by updating the scheduler's attributes, so keys that an older version lacks do no harm. Every
value but MultiStepLR's `Counter` is a JSON type (see `jsonable`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

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
    ReduceLROnPlateau,
    StepLR,
    Warmup,
)
from lrdoctor.schedules.beyond_torch import beyond_torch

State = dict[str, object]
_NEVER = -1  # last_epoch of a part of a SequentialLR whose turn has not come


class NoTorchStateError(Exception):
    """torch has no scheduler class that runs this schedule, so there is no state of it."""


def base_lr(schedule: Schedule) -> float:
    """The `initial_lr` of a parameter group under this schedule: what torch's classes scale."""
    if isinstance(schedule, Warmup | Overlaid):
        return base_lr(schedule.main)
    if isinstance(schedule, CyclicLR):
        return schedule.base_lr
    return schedule.initial_lr if isinstance(schedule, OneCycleLR) else float(getattr(schedule, "lr", schedule.peak_lr))


def at_base(schedule: Schedule, base: float) -> Schedule:
    """The schedule of another parameter group under the same scheduler: another base LR, the same `eta_min`."""
    if isinstance(schedule, Warmup | Overlaid):
        return replace(schedule, main=at_base(schedule.main, base))
    if isinstance(schedule, CyclicLR):
        return replace(schedule, base_lr=base, max_lr=base * schedule.max_lr / schedule.base_lr)
    if isinstance(schedule, OneCycleLR):
        return replace(schedule, max_lr=base * schedule.div_factor)
    if hasattr(schedule, "lr"):
        changed: Schedule = replace(schedule, lr=base)  # type: ignore[type-var]  # every family is a dataclass
        return changed
    raise NoTorchStateError(f"{type(schedule).__name__} has no base LR")


def torch_state(groups: Sequence[Schedule], tick: int, moved: str | None = None) -> State:
    """The state after `tick` calls of `step()`; `groups` holds the schedule of each parameter group, in ticks.

    `moved` names what OneCycleLR cycles beside the LR: "momentum", "betas", or None for nothing. Raises
    `NoTorchStateError` where torch has no class of this shape: `lambda_state` is right there, because a LambdaLR's
    formula stays in the training script.
    """
    lead = groups[0]
    refusal = beyond_torch(lead)
    if refusal:
        raise NoTorchStateError(refusal)
    if isinstance(lead, Warmup):
        return _sequential(groups, lead, tick, moved)
    if isinstance(lead, ReduceLROnPlateau):
        raise NoTorchStateError("a ReduceLROnPlateau's state is made of a metric's past, which its LR does not tell")
    own = _OWN.get(type(lead))
    if own is None:
        raise NoTorchStateError(f"torch has no single scheduler for {type(lead).__name__}")
    count = 0 if isinstance(lead, CosineAnnealingWarmRestarts) else tick + 1
    cyclic = isinstance(lead, OneCycleLR | CyclicLR)
    state = {**own(lead, tick), **(_momentum_keys(moved) if cyclic else {}), **_common(groups, tick, count)}
    if isinstance(lead, CyclicLR):
        state["max_lrs"] = [group.max_lr for group in groups if isinstance(group, CyclicLR)]
    return state


def has_torch_class(schedule: Schedule) -> bool:
    """Whether torch has a scheduler class of this shape; a script without one builds a LambdaLR."""
    try:
        torch_state([schedule], 0)
    except NoTorchStateError:
        return isinstance(schedule, ReduceLROnPlateau)
    return True


def lambda_state(groups: Sequence[Schedule], tick: int) -> State:
    """The state of a LambdaLR, as Hugging Face's schedules are: the clock and the LRs, the formula is not saved."""
    return {**_common(groups, tick, tick + 1), "lr_lambdas": [None] * len(groups)}


def group_entries(schedule: Schedule, tick: int, *, momentum: bool = False) -> dict[str, float]:
    """What the scheduler leaves in the optimizer's parameter group: `lr`, `initial_lr`, OneCycleLR's limits.

    With `momentum` also the momentum of the cycle, under "momentum" (beta1 for an optimizer with betas).
    """
    entries = {"lr": float(schedule.lr_at([tick])[0]), "initial_lr": base_lr(schedule)}
    cycle = schedule.main if isinstance(schedule, Warmup) else schedule
    if isinstance(cycle, OneCycleLR):
        entries |= {"max_lr": cycle.max_lr, "min_lr": cycle.min_lr}
        if momentum and cycle is schedule:
            entries["momentum"] = cycle_momentum(cycle, tick)
    return entries


def cycle_momentum(schedule: OneCycleLR, tick: int, low: float = 0.85, high: float = 0.95) -> float:
    """The momentum beside OneCycleLR's LR: down to `low` while the LR rises, and back to `high` (torch's defaults)."""
    turns = [place for place, _ in schedule.turns()]
    levels = [high, low, high, high][: len(turns)]
    phase = next((i for i, end in enumerate(turns[1:]) if tick <= end), len(turns) - 2)
    start, end = turns[phase], turns[phase + 1]
    part = (tick - start) / (end - start) if end > start else 1.0
    share = part if schedule.anneal_strategy == "linear" else 0.5 * (1.0 - math.cos(math.pi * part))
    return levels[phase] + (levels[phase + 1] - levels[phase]) * share


def jsonable(state: Mapping[str, object]) -> dict[str, Any]:
    """The state in JSON types: a Counter becomes an object whose keys are text."""

    def plain(value: object) -> object:
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    return {key: plain(value) for key, value in state.items()}


def python_text(state: Mapping[str, object], indent: int = 0) -> str:
    """The state as Python source, one key a line."""
    pad = " " * indent
    lines = [f"{pad}    {key!r}: {_source(value, indent + 4)},\n" for key, value in state.items()]
    return "{\n" + "".join(lines) + pad + "}"


def _source(value: object, indent: int) -> str:
    if isinstance(value, Counter):
        return f"collections.Counter({dict(value)!r})"
    if isinstance(value, dict):
        return python_text(value, indent) if len(value) > 3 else repr(value)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        pad = " " * indent
        inner = "".join(f"{pad}    {python_text(item, indent + 4)},\n" for item in value)
        return f"[\n{inner}{pad}]"
    return repr(value)


def _momentum_keys(moved: str | None) -> State:
    if moved is None:
        return {"cycle_momentum": False}
    return {"cycle_momentum": True, "use_beta1": moved == "betas"}


def _common(groups: Sequence[Schedule], last_epoch: int, count: int) -> State:
    return {
        "base_lrs": [base_lr(group) for group in groups],
        "last_epoch": last_epoch,
        "_step_count": count,
        "_is_initial": False,
        "_get_lr_called_within_step": False,
        "_last_lr": [float(group.lr_at([last_epoch])[0]) for group in groups],
    }


def _sequential(groups: Sequence[Schedule], lead: Warmup, tick: int, moved: str | None) -> State:
    """SequentialLR([LinearLR or ConstantLR, main], milestones=[steps])."""
    steps = math.ceil(lead.steps - 1e-9)
    if lead.kind == "linear" and lead.start_factor <= 0.0:
        raise NoTorchStateError("torch's LinearLR cannot start at 0")
    mains = [group.main for group in groups if isinstance(group, Warmup)]
    ramp_tick = min(tick, steps - 1)  # at the milestone the next part takes over
    ramp = {**_ramp(lead), **_common(groups, ramp_tick, ramp_tick + 1)}
    if tick >= steps:
        main = torch_state(mains, tick - steps, moved)
    else:
        main = torch_state(mains, 0, moved) | {"last_epoch": _NEVER}
        if not isinstance(lead.main, CosineAnnealingWarmRestarts):  # built while the ramp had already set the LR
            main["_last_lr"] = [float(group.lr_at([0])[0]) for group in groups]
    return {
        "_milestones": [steps],
        "last_epoch": tick,
        "_last_lr": [float(group.lr_at([tick])[0]) for group in groups],
        "_schedulers": [ramp, main],
    }


def _ramp(lead: Warmup) -> State:
    if lead.kind == "constant":
        return {"factor": lead.start_factor, "total_iters": lead.steps}
    return {"start_factor": lead.start_factor, "end_factor": 1.0, "total_iters": lead.steps}


def _plain(schedule: Any, tick: int) -> State:
    """The families whose `params` are exactly the keys torch saves."""
    params: State = schedule.params()
    return params


def _milestones(schedule: MultiStepLR, tick: int) -> State:
    return {"milestones": Counter(schedule.milestones), "gamma": schedule.gamma}


def _cyclic(schedule: CyclicLR, tick: int) -> State:
    return {
        "max_lrs": [schedule.max_lr],
        "total_size": float(schedule.cycle_length),
        "step_ratio": schedule.step_size_up / schedule.cycle_length,
        "mode": schedule.mode,
        "gamma": schedule.gamma,
        "scale_mode": "iterations" if schedule.mode == "exp_range" else "cycle",
        "_scale_fn_custom": None,
    }


def _restarts(schedule: CosineAnnealingWarmRestarts, tick: int) -> State:
    current, length = schedule.position([tick])
    return {
        "T_0": schedule.T_0,
        "T_i": round(float(length[0])),
        "T_mult": schedule.T_mult,
        "eta_min": schedule.eta_min,
        "T_cur": round(float(current[0])),
    }


def _linear(schedule: LinearLR, tick: int) -> State:
    if not 0.0 < schedule.start_factor <= 1.0:
        raise NoTorchStateError("torch's LinearLR starts above 0 and at most at 1")
    return _plain(schedule, tick)


def _constant(schedule: Constant, tick: int) -> State:
    return {"factor": 1.0, "total_iters": 0}


def _one_cycle(schedule: OneCycleLR, tick: int) -> State:
    total, rise = schedule.total_steps, schedule.pct_start * schedule.total_steps - 1
    names = ["initial_lr", "max_lr", *(["initial_lr"] if schedule.three_phase else []), "min_lr"]
    momenta = ["max_momentum", "base_momentum", "max_momentum", "max_momentum"]
    ends = [rise, 2 * schedule.pct_start * total - 2, total - 1] if schedule.three_phase else [rise, total - 1]
    phases = [
        {
            "end_step": end,
            "start_lr": names[i],
            "end_lr": names[i + 1],
            "start_momentum": momenta[i],
            "end_momentum": momenta[i + 1],
        }
        for i, end in enumerate(ends)
    ]
    return {"total_steps": total, "_schedule_phases": phases, "_anneal_func_type": schedule.anneal_strategy}


_OWN: dict[type[Schedule], Callable[[Any, int], State]] = {
    Constant: _constant,
    StepLR: _plain,
    MultiStepLR: _milestones,
    ExponentialLR: _plain,
    LinearLR: _linear,
    PolynomialLR: _plain,
    CosineAnnealingLR: _plain,
    CosineAnnealingWarmRestarts: _restarts,
    CyclicLR: _cyclic,
    OneCycleLR: _one_cycle,
}
