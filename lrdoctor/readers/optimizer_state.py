"""An optimizer's saved state -> `OptimizerState`: scalars of its groups, its step counter, a guess at its class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lrdoctor.model.run import OptimizerState, Scalar
from lrdoctor.readers.lazy_dict import LazyDict
from lrdoctor.readers.pickle_later import Column, States
from lrdoctor.readers.plain import Number, mapping, scalar, whole
from lrdoctor.readers.skeleton import Stub, Tensor

# State keys that tell torch's optimizers apart (torch 2.13); the first that fits wins.
_BY_STATE: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"mu_product"}), "NAdam"),
    (frozenset({"exp_avg", "exp_inf"}), "Adamax"),
    (frozenset({"exp_avg_sq_row", "exp_avg_sq_col"}), "Adafactor"),
    (frozenset({"row_var", "col_var"}), "Adafactor"),
    (frozenset({"exp_avg", "exp_avg_sq"}), "Adam"),
    (frozenset({"state1", "state2"}), "Adam"),  # bitsandbytes
    (frozenset({"square_avg", "acc_delta"}), "Adadelta"),
    (frozenset({"square_avg"}), "RMSprop"),
    (frozenset({"sum"}), "Adagrad"),
    (frozenset({"momentum_buffer"}), "SGD"),
)
_BY_GROUP: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"ns_steps"}), "Muon"),
    (frozenset({"betas", "momentum_decay"}), "NAdam"),
    (frozenset({"betas", "decoupled_weight_decay"}), "Adam"),
    (frozenset({"betas", "amsgrad"}), "Adam"),
    (frozenset({"momentum", "dampening"}), "SGD"),
)
_COUNTED = (Tensor, int, float)
MAX_GROUPS = 100_000


def looks_like_optimizer(value: object) -> bool:
    """Whether a saved dict or object is an optimizer's state: parameter groups and state by parameter."""
    held = mapping(value)
    if held is None or "param_groups" not in held:
        return False
    groups = held["param_groups"]
    return isinstance(groups, list | tuple) and all(mapping(group) is not None for group in groups[:MAX_GROUPS])


Numbers = Callable[[Column], set[float | int | bool | None]]
"""Reads the values of many tensors with one element; of those that have more, or are not there, None."""


def optimizer_state(value: object, read: Number, read_many: Numbers | None = None) -> OptimizerState:
    """`value`, an optimizer's state dict or a whole optimizer object, as an `OptimizerState`."""
    held = mapping(value) or {}
    groups = held.get("param_groups")
    found = [mapping(group) or {} for group in groups[:MAX_GROUPS]] if isinstance(groups, list | tuple) else []
    states = mapping(held.get("state")) or {}
    plain = tuple(_scalars(group, read) for group in found)
    stated = value.class_name if isinstance(value, Stub) else ""
    return OptimizerState(
        name=stated or _guess(states, found),
        param_groups=plain,
        step=_step(states, plain, read, read_many),
        state_size=len(states),
        param_count=sum(_length(group.get("params")) for group in found),
    )


def _length(value: object) -> int:
    return len(value) if isinstance(value, list | tuple) else 0


def _scalars(group: Mapping[object, object], read: Number) -> dict[str, Scalar]:
    plain: dict[str, Scalar] = {}
    for name, value in group.items():
        if not isinstance(name, str) or name == "params":
            continue
        if name == "betas" and isinstance(value, list | tuple):
            plain |= {f"beta{place}": scalar(beta, read) for place, beta in enumerate(value[:3], 1)}
        elif value is None or not isinstance(value, list | tuple | dict):
            plain[name] = scalar(value, read)
    return plain


def _step(
    states: Mapping[object, object], groups: tuple[Mapping[str, Scalar], ...], read: Number, read_many: Numbers | None
) -> int | None:
    """The largest `step` of any parameter; fused optimizers outside torch keep it in the groups instead."""
    columns, kept = _columns(states, "step")
    kept += [group["step"] for group in groups if "step" in group]
    values: set[Scalar] = set()
    for column in columns:
        values |= read_many(column) if read_many is not None else {*map(read, column.tensors())}
    values |= {read(value) if isinstance(value, Tensor) else value for value in kept if isinstance(value, _COUNTED)}
    steps = [whole(value, read) for value in values]
    known = [step for step in steps if step is not None]
    return max(known) if known else None


def _columns(states: Mapping[object, object], name: str) -> tuple[list[Column], list[object]]:
    """What the states of all parameters hold under a name: columns of tensors, and what is in none of them."""
    later = states.not_at_hand() if isinstance(states, LazyDict) else []
    columns = [part.called(name) for part in later if isinstance(part, States)]
    if len(columns) < len(later):
        return [], _values(states.values(), name)
    at_hand = (state for _, state in states.at_hand()) if isinstance(states, LazyDict) else states.values()
    return columns, _values(at_hand, name)


def _values(states: Iterable[object], name: str) -> list[object]:
    return [inner[name] for state in states if (inner := mapping(state)) and name in inner]


def _first_of(states: Mapping[object, object]) -> Mapping[object, object]:
    """The first parameter's state that is one."""
    at_hand = [state for _, state in states.at_hand()] if isinstance(states, LazyDict) else []
    found = next(filter(None, map(mapping, at_hand)), None)
    return found or next(filter(None, map(mapping, states.values())), {})


def _guess(states: Mapping[object, object], groups: list[Mapping[object, object]]) -> str | None:
    first = groups[0] if groups else {}
    inner = _first_of(states)
    by_state = next((name for keys, name in _BY_STATE if keys <= inner.keys()), None)
    by_group = next((name for keys, name in _BY_GROUP if keys <= first.keys()), None)
    if by_group == "Muon":
        return by_group
    name = by_state or by_group
    if name == "Adam" and first.get("decoupled_weight_decay") is True:
        return "AdamW"
    return name
