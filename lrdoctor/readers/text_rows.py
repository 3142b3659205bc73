"""One line of a text log -> its counters and what was measured, whatever tool printed it."""

from __future__ import annotations

from dataclasses import dataclass

from lrdoctor.readers.text_patterns import Bar, bar, in_epoch, pairs
from lrdoctor.reconstruct.names import is_eval, lr_name, role_of

TOTAL = "total_steps"
_STEPS = frozenset({"iter", "iteration", "step", "it", "global_step", "update", "train_step"})
_COUNTERS = _STEPS | {
    "epoch", "global step", "num_updates", "training_step", "batch_idx", "micro_step", "n_iter", "current_steps",
    "total_timesteps", "train_num_updates", "valid_num_updates",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Printed:
    """One line: its numbers by name, counters included, the bar it is part of, and N where it says i of N an epoch."""

    values: dict[str, float]
    bar: Bar | None = None
    per_epoch: int | None = None


def printed(text: str) -> Printed | None:
    """What a line of a training log says; None for any other line.

    Such a line names a learning rate or a loss beside a counter or a progress bar, or both of them.
    """
    lowered = text.lower()
    if "lr" not in lowered and "loss" not in lowered and "learning" not in lowered:
        return None
    place, progress = in_epoch(lowered), bar(lowered)
    counters = _Counters()
    if place is not None:
        counters.take("epoch", place.epoch)
        counters.take("iter", place.iteration, place.of)
    if progress is not None and progress.epochs:
        counters.take("epoch", progress.at)
        progress = None
    measured: dict[str, float] = {}
    for name, values, of, is_share in pairs(text):
        if lr_name(name) is not None or role_of(name) is not None:
            measured.update(_by_group(name, values))
        elif not is_share and name.lower() in _COUNTERS:
            counters.take(name, values[0], of)
    if not any(map(_is_telling, measured)) or not (counters.values or progress or _has_both(measured)):
        return None
    if place is not None and is_eval(place.mode):
        measured = {name if lr_name(name) else f"val/{name}": value for name, value in measured.items()}
        counters.total = None  # of the validation
    everything = {**counters.values, **measured, **_total(counters, progress)}
    return Printed(everything, progress, counters.total if "epoch" in counters.names else None)


class _Counters:
    """The counters of a line, the first of each name, and the totals some are out of."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.total: int | None = None
        self.names: set[str] = set()

    def take(self, name: str, value: float, of: int | None = None) -> None:
        lowered = name.lower()
        if lowered in self.names:
            return
        self.names.add(lowered)
        self.values[name] = float(value)
        if self.total is None and lowered in _STEPS:
            self.total = of


def _total(counters: _Counters, progress: Bar | None) -> dict[str, float]:
    """How many steps the line says there will be; beside an epoch, a total is that of the epoch."""
    if "epoch" in counters.names:
        return {}
    total = counters.total if counters.total is not None else progress.of if progress else None
    return {} if total is None else {TOTAL: float(total)}


def _is_telling(name: str) -> bool:
    return lr_name(name) is not None or (role_of(name) or "").endswith("-loss")


def _has_both(measured: dict[str, float]) -> bool:
    return any(lr_name(name) for name in measured) and any(lr_name(name) is None for name in measured)


def _by_group(name: str, values: list[float]) -> dict[str, float]:
    if len(values) == 1:
        return {name: values[0]}
    return {f"{name}[{index}]": value for index, value in enumerate(values)}
