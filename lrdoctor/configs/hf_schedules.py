"""The schedules of transformers/optimization.py (4.57 and 5.23 agree), as our families.

k is the scheduler's step; the first update uses k = 0, so that a warmup begins at a learning rate of 0.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from lrdoctor.configs.shapes import ahead, ticks, warmed
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    InverseSqrt,
    LinearLR,
    PolynomialLR,
    Sequence,
    WarmupStableDecay,
)

FAMILIES = {
    "linear": "LinearLR",
    "cosine": "CosineAnnealingLR",
    "cosine_with_restarts": "CosineAnnealingWarmRestarts",
    "polynomial": "PolynomialLR",
    "constant": "Constant",
    "constant_with_warmup": "Constant",
    "inverse_sqrt": "InverseSqrt",
    "cosine_with_min_lr": "CosineAnnealingLR",
    "cosine_warmup_with_min_lr": "CosineAnnealingLR",
    "warmup_stable_decay": "WarmupStableDecay",
    "reduce_lr_on_plateau": "ReduceLROnPlateau",
    "greedy": "Unknown",
}
METRIC_DRIVEN = ("reduce_lr_on_plateau", "greedy")
WITHOUT_WARMUP = ("constant", *METRIC_DRIVEN)
POLYNOMIAL_END = 1e-7  # get_polynomial_decay_schedule_with_warmup's lr_end
TIMESCALE = 10_000  # get_inverse_sqrt_schedule's, where there is no warmup either


class Refused(ValueError):
    """Transformers raises where such a scheduler is built; the message says why, as part of a sentence."""


def refusal(name: str, lr: float, options: Mapping[str, Any]) -> tuple[str, str]:
    """(why Transformers stops at this scheduler, the cure), empty where it does not."""
    if name in METRIC_DRIVEN:
        return "", ""
    try:
        hf_schedule(name, lr, options, 1000.0, 0.0)
    except Refused as error:
        close = difflib.get_close_matches(name, FAMILIES, n=1) if name not in FAMILIES else []
        return str(error), f"write `{close[0]}`" if close else "give it what it needs, or choose another scheduler"
    except (ValueError, TypeError, ArithmeticError):
        return "", ""
    return "", ""


def hf_schedule(name: str, lr: float, options: Mapping[str, Any], total: float, warmup: float) -> Schedule:
    """The schedule of `get_scheduler(name, ...)`. `Refused` where Transformers would raise."""
    left = max(1.0, total - warmup)
    match name:
        case "constant":
            return Constant(lr)
        case "constant_with_warmup":
            return warmed(Constant(lr), warmup)
        case "linear":
            return warmed(LinearLR(lr, ticks(left)), warmup)
        case "cosine":
            return warmed(CosineAnnealingLR(lr, _half_wave(left, options)), warmup)
        case "cosine_with_min_lr":
            return warmed(CosineAnnealingLR(lr, _half_wave(left, options), floor_of(lr, options)), warmup)
        case "cosine_warmup_with_min_lr":
            return _rising_at_once(lr, options, left, warmup)
        case "cosine_with_restarts":
            cycles = max(1, int(options.get("num_cycles", 1)))
            return warmed(CosineAnnealingWarmRestarts(lr, ticks(left / cycles)), warmup)
        case "polynomial":
            return _polynomial(lr, options, left, warmup)
        case "inverse_sqrt":
            timescale = float(options.get("timescale") or warmup or TIMESCALE)
            return warmed(InverseSqrt(lr, timescale), warmup)
        case "warmup_stable_decay":
            return _stable_decay(lr, options, total, warmup)
    raise Refused("Transformers has no scheduler of that name")


def _half_wave(left: float, options: Mapping[str, Any]) -> int:
    return ticks(left / (2.0 * float(options.get("num_cycles", 0.5))))


def floor_of(lr: float, options: Mapping[str, Any]) -> float:
    """The least learning rate of cosine_with_min_lr: `min_lr` itself or `min_lr_rate` of the peak, one of them."""
    absolute, share = options.get("min_lr"), options.get("min_lr_rate")
    if (absolute is None) == (share is None):
        raise Refused("it needs one of min_lr and min_lr_rate in lr_scheduler_kwargs")
    return float(absolute) if absolute is not None else lr * float(share or 0.0)


def _rising_at_once(lr: float, options: Mapping[str, Any], left: float, warmup: float) -> Schedule:
    """cosine_warmup_with_min_lr: (k + 1) / W, or from warmup_lr_rate at k = 0 to the peak at k = W - 1."""
    main = CosineAnnealingLR(lr, _half_wave(left, options), floor_of(lr, options))
    rate = options.get("warmup_lr_rate")
    if rate is None:
        return ahead(warmed(main, warmup), 1.0)
    if warmup <= 1:
        late = ahead(main, 1.0)
        return Sequence((Constant(lr * float(rate)), late), (1.0,)) if warmup else late
    return warmed(main, warmup - 1.0, float(rate))


def _polynomial(lr: float, options: Mapping[str, Any], left: float, warmup: float) -> Schedule:
    end, power = float(options.get("lr_end", POLYNOMIAL_END)), float(options.get("power", 1.0))
    if end >= lr:
        raise Refused(f"its lr_end ({end:g}) has to be smaller than the learning rate ({lr:g})")
    return warmed(PolynomialLR(lr, ticks(left), power, end), warmup)


def _stable_decay(lr: float, options: Mapping[str, Any], total: float, warmup: float) -> Schedule:
    if "num_decay_steps" not in options:
        raise Refused("it needs num_decay_steps in lr_scheduler_kwargs")
    decay = float(options["num_decay_steps"])
    stable = float(options.get("num_stable_steps") or max(0.0, total - warmup - decay))
    floor = float(options.get("min_lr_ratio", 0.0))
    main = WarmupStableDecay(lr, ticks(stable), ticks(decay), str(options.get("decay_type", "cosine")), floor)
    return warmed(main, warmup, floor, str(options.get("warmup_type", "linear")))
