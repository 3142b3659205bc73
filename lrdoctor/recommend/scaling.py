"""The learning rate at another batch size: a range between two rules, never a number."""

from __future__ import annotations

from dataclasses import dataclass

from lrdoctor.engine.optimizers import OptimizerKind

LARGEST_LINEAR = 8192
"""Up to this batch linear scaling was shown to hold for SGD on ImageNet (Goyal et al. 2017)."""


@dataclass(frozen=True, slots=True)
class Range:
    """`start` is where to begin a search between `low` and `high`."""

    low: float
    high: float
    start: float

    def times(self, factor: float) -> Range:
        return Range(self.low * factor, self.high * factor, self.start * factor)


@dataclass(frozen=True, slots=True)
class Scaled:
    """The range at the other batch, and the sentence that says which rule gave which end."""

    peak: Range
    why: str
    saturated: bool


def scaled_to(known: Range, kind: OptimizerKind | None, batch: int, wanted: int) -> Scaled:
    """From `batch` to `wanted` examples an update: in proportion (SGD) and with the square root (Adam).

    The range spans both rules, as LR401's band does; the start follows the optimizer's own rule.
    """
    times = wanted / batch
    root, linear = times**0.5, times
    capped = max(LARGEST_LINEAR, batch) / batch if wanted > LARGEST_LINEAR and times > 1 else linear
    ends = sorted((root, min(linear, max(capped, root))))
    own = ends[1] if kind == "sgd" and times > 1 else linear if kind == "sgd" else root
    peak = Range(known.low * ends[0], known.high * ends[1], known.start * own)
    rule = {"sgd": "SGD is usually scaled in proportion", "adam": "Adam usually with the square root"}
    which = rule.get(kind or "", "which rule holds for this optimizer is not known")
    why = (
        f"batch {wanted} is {times:.3g} times {batch}: x{root:.3g} with the square root, x{linear:.3g} in proportion; "
        f"{which}, and no rule holds for every task"
    )
    return Scaled(peak, why, saturated=ends[1] < linear)
