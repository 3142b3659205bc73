"""Hugging Face `TrainingArguments`: names and keywords of `transformers.get_scheduler` (transformers 4.44 to 5.24).

Its warmup starts at 0, its schedules end at `max_steps`, and it is stepped at each update.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lrdoctor.report.dialects.plan import CannotSayError, Plan, optimizer_line, peak, scheduler_line, whole_number
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    InverseSqrt,
    LinearLR,
    PolynomialLR,
    WarmupStableDecay,
)

Words = tuple[str, Mapping[str, float | int | str], float | None]
"""lr_scheduler_type, lr_scheduler_kwargs, the ticks after the warmup at which it ends (None: never)."""
SMALL_START = 0.01
"""A warmup from up to this share of the peak is written as Transformers' own, which starts at 0 (chosen by us)."""


def write(plan: Plan) -> str:
    """The arguments. `CannotSayError` where `get_scheduler` has no such schedule."""
    if plan.overlaid is not None:
        raise CannotSayError("Trainer's schedules begin at the end of the warmup; give the Trainer one of your own:")
    if plan.stepped != "update":
        raise CannotSayError("Trainer steps its scheduler at every update, this schedule is stepped once an epoch:")
    warmup, note = _warmup(plan)
    builder = _BUILDERS.get(type(plan.main))
    if builder is None:
        raise CannotSayError(f"lr_scheduler_type has no {plan.main.family}; give the Trainer a scheduler of your own:")
    name, options, length = builder(plan.main, plan)
    name = "constant_with_warmup" if name == "constant" and warmup else name
    end = plan.updates if length is None else warmup + whole_number(length, "max_steps")
    lines = [
        "args = TrainingArguments(",
        "    output_dir=output_dir,  # and your other arguments",
        f"    learning_rate={peak(plan)},",
        f'    lr_scheduler_type="{name}",',
        *([f"    lr_scheduler_kwargs={dict(options)!r},"] if options else []),
        f"    warmup_steps={warmup},{note}",
        f"    max_steps={end},",
        ")",
    ]
    return "\n".join(lines)


def write_own_scheduler(plan: Plan) -> str:
    """For what `TrainingArguments` cannot say: the Trainer takes an optimizer and a scheduler of one's own."""
    lines = [optimizer_line(plan), scheduler_line(plan)]
    if plan.stepped == "epoch":
        lines.append(f"# its ticks are epochs of {plan.per_epoch or 0:g} updates: multiply its lengths by that many")
    return "\n".join([*lines, "trainer = Trainer(..., optimizers=(optimizer, scheduler))"])


def _warmup(plan: Plan) -> tuple[int, str]:
    """(warmup_steps, a remark to stand beside it)."""
    ramp = plan.warmup
    if ramp is None:
        return 0, ""
    if ramp.kind != "linear" or ramp.start_factor > SMALL_START:
        raise CannotSayError("Trainer's warmups are straight lines from 0; give the Trainer a scheduler of your own:")
    low = plan.main.min_lr_ratio if isinstance(plan.main, WarmupStableDecay) else 0.0  # where that one starts
    note = (
        "" if ramp.start_factor == low else f"  # it starts at {low:g} instead of {ramp.start_factor:.2g} of the peak"
    )
    return whole_number(ramp.steps, "warmup_steps"), note


def _constant(main: Constant, plan: Plan) -> Words:
    return "constant", {}, None


def _linear(main: LinearLR, plan: Plan) -> Words:
    if main.start_factor != 1.0:
        raise CannotSayError("lr_scheduler_type has no straight rise; give the Trainer a scheduler of your own:")
    if main.end_factor == 0.0:
        return "linear", {}, main.total_iters
    return "polynomial", {"power": 1.0, "lr_end": _plain(main.lr * main.end_factor)}, main.total_iters


def _polynomial(main: PolynomialLR, plan: Plan) -> Words:
    return "polynomial", {"power": main.power, "lr_end": _plain(main.eta_min)}, main.total_iters


def _cosine(main: CosineAnnealingLR, plan: Plan) -> Words:
    if main.k_decay != 1.0:
        raise CannotSayError("lr_scheduler_type has no cosine with k-decay; give the Trainer a scheduler of your own:")
    if main.eta_min > 0.0:
        return "cosine_with_min_lr", {"min_lr": _plain(main.eta_min)}, main.T_max
    return "cosine", {}, main.T_max


def _restarts(main: CosineAnnealingWarmRestarts, plan: Plan) -> Words:
    length = plan.updates - plan.warmup_ticks
    cycles = length / main.T_0
    if main.T_mult != 1 or main.cycle_decay != 1.0 or main.eta_min or cycles != round(cycles):
        raise CannotSayError("cosine_with_restarts has only equal, whole cycles down to 0; give the Trainer your own:")
    return "cosine_with_restarts", {"num_cycles": round(cycles)}, length


def _inverse_sqrt(main: InverseSqrt, plan: Plan) -> Words:
    return "inverse_sqrt", {"timescale": whole_number(main.timescale, "timescale")}, None


def _stable_decay(main: WarmupStableDecay, plan: Plan) -> Words:
    if main.decay_type == "exponential":
        raise CannotSayError("warmup_stable_decay has no exponential decay; give the Trainer a scheduler of your own:")
    options: dict[str, float | int | str] = {
        "num_stable_steps": main.num_stable_steps,
        "num_decay_steps": main.num_decay_steps,
        "decay_type": main.decay_type,
    }
    if main.min_lr_ratio:
        options["min_lr_ratio"] = _plain(main.min_lr_ratio)
    return "warmup_stable_decay", options, main.num_stable_steps + main.num_decay_steps


def _plain(value: float) -> float:
    return float(f"{value:.10g}")


_BUILDERS: dict[type, Callable[[Any, Plan], Words]] = {
    Constant: _constant,
    LinearLR: _linear,
    PolynomialLR: _polynomial,
    CosineAnnealingLR: _cosine,
    CosineAnnealingWarmRestarts: _restarts,
    InverseSqrt: _inverse_sqrt,
    WarmupStableDecay: _stable_decay,
}
