"""The shapes of a warmup."""

from __future__ import annotations

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.schedules._check import require
from lrdoctor.schedules._write import lambda_call, number

KINDS = ("linear", "constant", "cosine", "exponential", "log", "quadratic", "1-sqrt")
"""Who has them: linear, everyone; constant, torch's ConstantLR; cosine and 1-sqrt, Transformers' get_wsd_schedule;
exponential, mmcv's "exp"; log, DeepSpeed's WarmupLR; quadratic, axolotl."""

# Each as printed code: the part of the rise that is done after t of n ticks.
_CODE = {
    "cosine": "(1 - math.cos(math.pi * min(t / {n}, 1))) / 2",
    "log": "math.log(min(t + 1, {n})) / math.log({n})",
    "quadratic": "min(t / {n}, 1) ** 2",
    "1-sqrt": "1 - (1 - min(t / {n}, 1)) ** 0.5",
}


def check_ramp(kind: str, steps: float, start_factor: float) -> None:
    """Raise ValueError where no such warmup can be."""
    require(steps > 0, "Warmup needs steps > 0", steps)
    require(kind in KINDS, f"Warmup is one of {', '.join(KINDS)}", kind)
    require(kind != "exponential" or start_factor > 0, "an exponential warmup needs start_factor > 0", start_factor)
    require(kind != "log" or steps > 1, "a log-shaped warmup needs steps > 1", steps)


def ramp(kind: str, t: FloatArray, steps: float, start_factor: float) -> FloatArray:
    """(T,) the share of the LR in force `t` ticks into a warmup of `steps` ticks: start_factor at 0, 1 at its end.

    Linear in the part of the rise that is done (see `_done`), but start_factor ** (1 - t / steps) for "exponential",
    as mmcv has it, and start_factor throughout for "constant". The log-shaped rise, ln(t + 1) / ln(steps), is
    DeepSpeed's: it is done one tick before its end.
    """
    if kind == "constant":
        return np.full_like(t, start_factor)
    part = np.clip(t / steps, 0.0, 1.0)
    if kind == "exponential":
        rising: FloatArray = start_factor ** (1.0 - part)
        return rising
    return start_factor + (1.0 - start_factor) * _done(kind, part, t, steps)


def _done(kind: str, part: FloatArray, t: FloatArray, steps: float) -> FloatArray:
    match kind:
        case "cosine":
            return 0.5 * (1.0 - np.cos(np.pi * part))
        case "log":
            rising: FloatArray = np.log(np.clip(t + 1.0, 1.0, steps)) / np.log(steps)
            return rising
        case "quadratic":
            return part * part
        case "1-sqrt":
            return 1.0 - np.sqrt(1.0 - part)
        case _:
            return part


def ramp_code(kind: str, optimizer: str, steps: float, start_factor: float) -> str:
    """torch code of a warmup."""
    n = number(steps)
    if kind in ("linear", "constant"):
        factor = max(start_factor, 1e-8)  # torch refuses a start_factor of 0
        name, key = ("LinearLR", "start_factor") if kind == "linear" else ("ConstantLR", "factor")
        return f"torch.optim.lr_scheduler.{name}({optimizer}, {key}={number(factor)}, total_iters={n})"
    if kind == "exponential":
        return lambda_call(optimizer, f"{number(start_factor)} ** (1 - min(t / {n}, 1))")
    done = _CODE[kind].format(n=n)
    return lambda_call(
        optimizer, done if not start_factor else f"{number(start_factor)} + {number(1.0 - start_factor)} * ({done})"
    )
