"""A scheduler's saved state -> `SchedulerState`. The class is recognised by its own keys: it is not stored.

Keys after `torch/optim/lr_scheduler.py` of torch 2.13; subsets are matched, since older versions add `verbose` and lack
`_is_initial`. mmengine's schedulers share torch's key names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lrdoctor.model.run import OptimizerState, Scalar, SchedulerState
from lrdoctor.readers.plain import MAX_LIST, Number, mapping, number, numbers, scalar, whole
from lrdoctor.readers.skeleton import Stub

Params = dict[str, Scalar | tuple[float, ...]]
State = Mapping[object, object]

# The first match wins: the keys that must be there, then the parameters to keep. Specific classes stand first.
_FAMILIES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("OneCycleLR", ("total_steps", "cycle_momentum"), ("total_steps", "cycle_momentum")),
    ("CyclicLR", ("total_size", "step_ratio"), ("mode", "gamma", "scale_mode", "cycle_momentum")),
    (
        "ReduceLROnPlateau",
        ("patience", "num_bad_epochs"),
        (
            "mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "eps",
            "best", "num_bad_epochs", "cooldown_counter",
        ),
    ),
    ("CosineAnnealingWarmRestarts", ("T_0", "T_mult"), ("T_0", "T_mult", "eta_min", "T_cur", "T_i")),
    ("CosineAnnealingLR", ("T_max",), ("T_max", "eta_min")),
    ("SequentialLR", ("_schedulers", "_milestones"), ()),
    ("ChainedScheduler", ("_schedulers",), ()),
    ("SWALR", ("anneal_epochs",), ("anneal_epochs",)),
    ("MultiStepLR", ("milestones", "gamma"), ("gamma",)),
    ("StepLR", ("step_size", "gamma"), ("step_size", "gamma")),
    ("LinearLR", ("start_factor", "end_factor"), ("start_factor", "end_factor", "total_iters")),
    ("PolynomialLR", ("power", "total_iters"), ("total_iters", "power")),
    ("ConstantLR", ("factor", "total_iters"), ("factor", "total_iters")),
    ("LambdaLR", ("lr_lambdas",), ()),  # MultiplicativeLR saves the same keys
    ("ExponentialLR", ("gamma",), ("gamma",)),
)  # fmt: skip
TORCH_FAMILIES = frozenset(name for name, _, _ in _FAMILIES) | {"MultiplicativeLR"}
# Any of these beside `last_epoch` marks a torch scheduler, and not a checkpoint that counts its epochs.
_COMMON = frozenset({"base_lrs", "_last_lr", "_step_count", "lr_lambdas", "num_bad_epochs"})
_FOREIGN = (
    frozenset({"last_batch_iteration"}),  # DeepSpeed
    frozenset({"last_step", "_global_step"}),  # mmengine
    frozenset({"num_steps", "lr_decay_style"}),  # Megatron
    frozenset({"base_values", "param_group_field"}),  # timm
)
# Clocks of a foreign scheduler, by the name it gives them.
_CLOCKS = ("last_epoch", "last_step", "last_batch_iteration", "num_steps")
_SAMPLES = "num_steps"
_NOT_PARAMS = frozenset(
    {*_CLOCKS, "_step_count", "_last_lr", "base_lrs", "verbose", "_is_initial", "_get_lr_called_within_step"}
)
_MAX_DEPTH = 8
_MAX_CHILDREN = 100


def looks_like_scheduler(value: object) -> bool:
    """Whether a saved dict or object is a scheduler's state, judged by its keys."""
    state = mapping(value)
    if state is None:
        return False
    if "_schedulers" in state or any(all(key in state for key in keys) for keys in _FOREIGN):
        return True
    return "last_epoch" in state and not _COMMON.isdisjoint(state.keys())


def scheduler_state(value: object, read: Number, depth: int = 0) -> SchedulerState:
    """`value`, a scheduler's state dict or a whole scheduler object, as a `SchedulerState`."""
    state: State = mapping(value) or {}
    named = value.class_name if isinstance(value, Stub) and value.class_name in TORCH_FAMILIES else None
    family, keep = _family(state)
    clock = next((state[name] for name in _CLOCKS if name in state and not counts_samples(state)), None)
    return SchedulerState(
        family=named or family,
        last_epoch=number(clock, read),
        step_count=whole(state.get("_step_count", state.get("_global_step")), read),
        last_lr=numbers(state.get("_last_lr", state.get("_last_value")), read),
        base_lrs=numbers(state.get("base_lrs", state.get("base_values")), read),
        params=_params(family, keep, state, read),
        children=_children(state, read, depth),
    )


def counts_samples(state: Mapping[Any, object]) -> bool:
    """Megatron's scheduler is stepped by the samples of each update (megatron/training/training.py, train_step)."""
    return "lr_decay_style" in state


def in_updates(state: SchedulerState, batch_size: float | None) -> SchedulerState:
    """A clock of samples as one of updates, where the number of samples in an update is known."""
    samples = state.params.get(_SAMPLES)
    if not counts_samples(state.params) or not batch_size or not isinstance(samples, int | float):
        return state
    return replace(state, last_epoch=samples / batch_size)


def _family(state: State) -> tuple[str | None, tuple[str, ...]]:
    """The class whose own keys are all there, and its parameters' names."""
    if "last_epoch" not in state and "last_step" not in state and "_schedulers" not in state:
        return None, ()
    if "warmup_epochs" in state or "after_scheduler" in state or "warmup_steps" in state:
        return None, ()  # well-known third-party schedulers that borrow torch's key names
    for family, required, keep in _FAMILIES:
        if all(name in state for name in required):
            return family, keep
    if "total_steps" in state and "anneal_func" in state:  # OneCycleLR before torch 1.5
        return "OneCycleLR", ("total_steps",)
    return None, ()


def _children(state: State, read: Number, depth: int) -> tuple[SchedulerState, ...]:
    inner = state.get("_schedulers")
    if not isinstance(inner, list | tuple) or depth >= _MAX_DEPTH:
        return ()
    states = (child for child in inner[:_MAX_CHILDREN] if mapping(child) is not None)
    return tuple(scheduler_state(child, read, depth + 1) for child in states)


def _params(family: str | None, keep: tuple[str, ...], state: State, read: Number) -> Params:
    if family is None:
        return _all_scalars(state, read)
    params: Params = {name: scalar(state[name], read) for name in keep if name in state}
    extra = _EXTRA.get(family)
    if extra is not None:
        params.update(extra(state, read))
    return params


def _all_scalars(state: State, read: Number) -> Params:
    """Everything plain that an unknown scheduler keeps, under its own names."""
    params: Params = {}
    for name, value in state.items():
        if not isinstance(name, str) or name.startswith("__"):
            continue
        if name in _NOT_PARAMS and not (name == _SAMPLES and counts_samples(state)):
            continue
        found = scalar(value, read)
        if found is not None:
            params[name] = found
        elif isinstance(value, list | tuple) and len(value) <= 1000 and (several := numbers(value, read)):
            params[name] = several
    return params


def _multistep(state: State, read: Number) -> Params:
    return {"milestones": _milestones(state.get("milestones"), read)}


def _milestones(value: object, read: Number) -> tuple[float, ...]:
    """Sorted; a milestone that counts twice (a Counter's value) stands twice."""
    if not isinstance(value, dict):
        return tuple(sorted(numbers(value, read)))
    found: list[float] = []
    for step, count in value.items():
        if isinstance(step, int | float) and isinstance(count, int) and count > 0 and len(found) < MAX_LIST:
            found += [float(step)] * min(count, 1000)
    return tuple(sorted(found))


def _sequential(state: State, read: Number) -> Params:
    return {"milestones": numbers(state.get("_milestones"), read)}


def _cyclic(state: State, read: Number) -> Params:
    """CyclicLR keeps the cycle's length and the rising share of it: step_size_up = total_size x step_ratio."""
    size, share = number(state.get("total_size"), read), number(state.get("step_ratio"), read)
    params: Params = {}
    if size is not None and share is not None:
        params |= {"step_size_up": size * share, "step_size_down": size * (1 - share)}
    for name, saved in (("base_lr", "base_lrs"), ("max_lr", "max_lrs")):
        if several := numbers(state.get(saved), read):
            params[name] = several[0] if len(set(several)) == 1 else several
    return params


def _one_cycle(state: State, read: Number) -> Params:
    """The rise ends at pct_start x total_steps - 1; three phases instead of two are `three_phase`."""
    phases, total = state.get("_schedule_phases"), number(state.get("total_steps"), read)
    params: Params = {}
    kind = state.get("_anneal_func_type")
    if isinstance(kind, str):
        params["anneal_strategy"] = kind
    if isinstance(phases, list) and phases:
        params["three_phase"] = len(phases) == 3
        end = number((mapping(phases[0]) or {}).get("end_step"), read)
        if end is not None and total:
            params["pct_start"] = (end + 1) / total
    return params


def _plateau(state: State, read: Number) -> Params:
    lowest = numbers(state.get("min_lrs"), read)
    return {"min_lr": lowest[0] if len(set(lowest)) == 1 else lowest} if lowest else {}


_EXTRA: dict[str, Callable[[State, Number], Params]] = {
    "MultiStepLR": _multistep,
    "SequentialLR": _sequential,
    "CyclicLR": _cyclic,
    "OneCycleLR": _one_cycle,
    "ReduceLROnPlateau": _plateau,
}


def has_clock(state: SchedulerState) -> bool:
    """Whether it says where in its schedule it is: fairseq saves a scheduler's best loss, but not its position."""
    return state.last_epoch is not None or bool(state.children)


def with_optimizer(state: SchedulerState, optimizer: OptimizerState | None) -> SchedulerState:
    """OneCycleLR keeps its LRs in the optimizer's groups: add max_lr, div_factor and final_div_factor from there."""
    if optimizer is None:
        return state
    children = tuple(with_optimizer(child, optimizer) for child in state.children)
    params = dict(state.params)
    if state.family == "OneCycleLR":
        params.update(_one_cycle_lrs(optimizer))
    return replace(state, params=params, children=children)


def _one_cycle_lrs(optimizer: OptimizerState) -> Params:
    peaks = [_positive(group.get("max_lr")) for group in optimizer.param_groups]
    known = tuple(peak for peak in peaks if peak is not None)
    if not known or len(known) < len(peaks):
        return {}
    params: Params = {"max_lr": known[0] if len(set(known)) == 1 else known}
    group = optimizer.param_groups[0]
    initial, lowest = _positive(group.get("initial_lr")), _positive(group.get("min_lr"))
    if initial is not None:
        params["div_factor"] = known[0] / initial
        if lowest is not None:
            params["final_div_factor"] = initial / lowest
    return params


def _positive(value: Scalar) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return float(value) if good and isinstance(value, int | float) else None
