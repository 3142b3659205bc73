"""What lies in a checkpoint's tree: optimizers, schedulers and a model, wherever a training script put them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

from lrdoctor.readers.lazy_dict import LazyDict
from lrdoctor.readers.optimizer_state import looks_like_optimizer
from lrdoctor.readers.pickle_later import Tensors
from lrdoctor.readers.plain import mapping
from lrdoctor.readers.scaler_state import looks_like_scaler
from lrdoctor.readers.scheduler_state import looks_like_scheduler
from lrdoctor.readers.skeleton import Stub, Tensor

# A key that names a scheduler: "scheduler", "lr_schedulers", "sched_state_dict", "schedulers_0" ...
_SCHEDULER_KEY = re.compile(r"(^|_)(lr_?)?sched(uler)?s?(_state)?(_dict)?(_?\d+)?$", re.IGNORECASE)
# Parts that hold tensors or settings but neither weights nor training state of their own.
_ASIDE = re.compile(
    r"rng|random|hyper_?param|^(args|config|cfg|opt|train_args|callbacks|loops|message_hub|wandb.*)$", re.IGNORECASE
)
_MODULE_PARTS = frozenset({"_parameters", "_modules"})
_MAX_DEPTH = 5
_MAX_NODES = 200_000


@dataclass(slots=True)
class Contents:
    """Found parts, in file order, not yet interpreted."""

    optimizers: list[object] = field(default_factory=list)
    schedulers: list[object] = field(default_factory=list)
    scaler: object | None = None
    model: bool = False
    nodes: int = 0

    def numbers(self) -> Iterator[Tensor]:
        """The tensors an optimizer or a scheduler keeps its counters and rates in."""
        for optimizer in self.optimizers:
            held = mapping(optimizer) or {}
            states = mapping(held.get("state")) or {}
            groups = held.get("param_groups")
            for inner in map(mapping, states.values()):
                if inner and isinstance(step := inner.get("step"), Tensor):
                    yield step
            for group in map(mapping, groups if isinstance(groups, list | tuple) else ()):
                yield from (value for value in (group or {}).values() if _is_number(value))
        for scheduler in self.schedulers:
            yield from (value for value in (mapping(scheduler) or {}).values() if _is_number(value))


def _is_number(value: object) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and all(size == 1 for size in value.size)


def contents_of(root: object) -> Contents:
    """The parts of `root`, searched five levels deep."""
    found = Contents()
    _visit(root, "", 0, found)
    return found


def _visit(value: object, name: str, depth: int, found: Contents) -> None:
    found.nodes += 1 + _groups_in(value)
    if found.nodes > _MAX_NODES:
        return
    if isinstance(value, Tensor):
        found.model = found.model or (bool(value.size) and depth > 0)
    elif isinstance(value, str | int | float | None):
        return
    elif looks_like_optimizer(value):
        found.optimizers.append(value)
    elif isinstance(value, LazyDict) and value.later:
        _descend(value, name, depth, found)  # of so many tensors neither a scaler nor a scheduler has a use
    elif looks_like_scaler(value):
        found.scaler = found.scaler or value
    elif looks_like_scheduler(value) or _named_scheduler(value, name):
        found.schedulers.append(value)
    elif depth < _MAX_DEPTH:
        _descend(value, name, depth, found)


def is_aside(name: str) -> bool:
    """Whether a part of this name holds neither weights nor training state."""
    return _ASIDE.search(name) is not None


def _groups_in(value: object) -> int:
    """What there is to look at in an optimizer: a pickle can name one long list from each of very many."""
    held = mapping(value)
    groups = held.get("param_groups") if held else None
    return len(groups) if isinstance(groups, list | tuple) else 0


def _named_scheduler(value: object, name: str) -> bool:
    """A part filed under a scheduler's name is one, whatever its keys; a list is looked at item by item."""
    held = mapping(value)
    return bool(held) and _SCHEDULER_KEY.search(name) is not None and not _holds_schedulers(held or {})


def _holds_schedulers(held: Mapping[object, object]) -> bool:
    inner = [item[0] if isinstance(item, list) and item else item for item in held.values()]
    return any(looks_like_scheduler(item) for item in inner)


def _descend(value: object, name: str, depth: int, found: Contents) -> None:
    if isinstance(value, list | tuple):
        for item in value[:1000]:
            _visit(item, name, depth + 1, found)
        return
    held = mapping(value)
    if held is None:
        return
    if isinstance(value, Stub) and not _MODULE_PARTS.isdisjoint(held.keys()):
        found.model = True
        return
    if isinstance(held, LazyDict):
        found.model = found.model or any(isinstance(part, Tensors) and part.any_has_dimensions() for part in held.later)
    for key, item in held.at_hand() if isinstance(held, LazyDict) else held.items():
        if found.model and isinstance(item, Tensor):  # one of thousands that say no more than the first
            found.nodes += 1
            continue
        word = key if isinstance(key, str) else ""
        if not is_aside(word) or looks_like_optimizer(item):
            _visit(item, word, depth + 1, found)
