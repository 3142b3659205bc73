"""timm's train.py flags, as `timm.scheduler.create_scheduler` understands them (timm 1.0).

Its multistep milestones fire one tick early (`bisect_right(milestones, t + 1)`), its polynomial's power is
`--decay-rate`, and without `--warmup-prefix` the main schedule runs on underneath the warmup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lrdoctor.report.dialects.plan import CannotSayError, Plan, peak, whole_number
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    Overlaid,
    PolynomialLR,
    StepLR,
    WarmupStableDecay,
)
from lrdoctor.schedules._write import number

Flags = Iterator[str]


def write(plan: Plan) -> str:
    """The flags, one group a line. `CannotSayError` where timm has no such schedule."""
    builder = _BUILDERS.get(type(plan.main))
    if builder is None:
        raise CannotSayError(f"timm has no {plan.main.family}; build it in your copy of train.py instead:")
    flags = [f"--lr {peak(plan)}", *builder(plan.main, plan), *_warmup(plan)]
    if plan.stepped == "update":
        flags.append("--sched-on-updates")
    return " \\\n  ".join(["python train.py DATA", *flags])


def _epochs(ticks: float, plan: Plan, flag: str) -> int:
    """timm counts everything in epochs, also where it steps at each update."""
    if plan.stepped == "epoch":
        return whole_number(ticks, flag)
    if not plan.per_epoch:
        raise CannotSayError("timm counts in epochs, and how many updates an epoch has is not known; in torch:")
    return whole_number(ticks / plan.per_epoch, flag)


def _warmup(plan: Plan) -> Flags:
    ramp = plan.warmup or plan.overlaid
    if isinstance(ramp, Overlaid) and (ramp.toward != "peak" or ramp.lead):
        raise CannotSayError("timm's warmup rises to the peak; in torch:")
    if ramp is None:
        yield "--warmup-epochs 0"
        return
    if ramp.kind != "linear":
        raise CannotSayError("timm's warmup is a straight line; in torch:")
    prefix = "" if isinstance(ramp, Overlaid) else " --warmup-prefix"
    start = number(ramp.start_factor * plan.main.peak_lr)
    yield f"--warmup-epochs {_epochs(ramp.steps, plan, '--warmup-epochs')} --warmup-lr {start}{prefix}"


def _length(plan: Plan) -> str:
    """`--epochs` of a schedule without an end: those of the run, warmup apart."""
    return f"--epochs {_epochs(plan.ticks - plan.warmup_ticks, plan, '--epochs')}"


def _constant(main: Constant, plan: Plan) -> Flags:
    yield f"--sched step --decay-rate 1 {_length(plan)}"


def _step(main: StepLR, plan: Plan) -> Flags:
    every = _epochs(main.step_size, plan, "--decay-epochs")
    yield f"--sched step --decay-epochs {every} --decay-rate {number(main.gamma)} {_length(plan)}"


def _exponential(main: ExponentialLR, plan: Plan) -> Flags:
    if plan.stepped != "epoch":
        raise CannotSayError("timm has no decay at each update; in torch:")
    yield f"--sched step --decay-epochs 1 --decay-rate {main.gamma:.10g} {_length(plan)}"


def _multistep(main: MultiStepLR, plan: Plan) -> Flags:
    if plan.stepped != "epoch":
        raise CannotSayError("timm's milestones at each update would fire one update early; in torch:")
    marks = " ".join(f"{mark + 1}" for mark in main.milestones)  # see the module's head
    yield f"--sched multistep --decay-milestones {marks} --decay-rate {number(main.gamma)} {_length(plan)}"


def _polynomial(main: PolynomialLR, plan: Plan) -> Flags:
    epochs = _epochs(main.total_iters, plan, "--epochs")
    yield f"--sched poly --decay-rate {number(main.power)} --min-lr {number(main.eta_min)} --epochs {epochs}"


def _linear(main: LinearLR, plan: Plan) -> Flags:
    if main.start_factor != 1.0:
        raise CannotSayError("timm has no straight rise; in torch:")
    epochs = _epochs(main.total_iters, plan, "--epochs")
    yield f"--sched poly --decay-rate 1 --min-lr {number(main.lr * main.end_factor)} --epochs {epochs}"


def _cosine(main: CosineAnnealingLR, plan: Plan) -> Flags:
    yield f"--sched cosine --min-lr {number(main.eta_min)} --epochs {_epochs(main.T_max, plan, '--epochs')}"
    if main.k_decay != 1.0:
        yield f"--lr-k-decay {number(main.k_decay)}"


def _restarts(main: CosineAnnealingWarmRestarts, plan: Plan) -> Flags:
    if main.T_mult != 1:
        raise CannotSayError("timm cuts growing cycles to whole numbers in a way of its own; in torch:")
    cycles = -(-(plan.ticks - plan.warmup_ticks) // main.T_0)
    yield f"--sched cosine --min-lr {number(main.eta_min)} --epochs {_epochs(main.T_0, plan, '--epochs')}"
    yield f"--lr-cycle-limit {whole_number(cycles, '--lr-cycle-limit')} --lr-cycle-decay {number(main.cycle_decay)}"


def _stable_decay(main: WarmupStableDecay, plan: Plan) -> Flags:
    """In timm since 2026; its exponential decay has a ratio of its own."""
    if main.decay_type == "exponential" or plan.overlaid is not None:
        raise CannotSayError("timm's wsd has no such decay among its flags; in torch:")
    length = _epochs(main.num_stable_steps + main.num_decay_steps, plan, "--epochs")
    decay = _epochs(main.num_decay_steps, plan, "--decay-epochs")
    yield f"--sched wsd --lr-decay-fn {main.decay_type} --decay-epochs {decay} --epochs {length}"
    yield f"--min-lr {number(main.min_lr_ratio * main.lr)}"


_BUILDERS: dict[type, Callable[[Any, Plan], Flags]] = {
    Constant: _constant,
    StepLR: _step,
    ExponentialLR: _exponential,
    MultiStepLR: _multistep,
    PolynomialLR: _polynomial,
    LinearLR: _linear,
    CosineAnnealingLR: _cosine,
    CosineAnnealingWarmRestarts: _restarts,
    WarmupStableDecay: _stable_decay,
}
