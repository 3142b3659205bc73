"""The learning rate runs through a cycle and the momentum does not run against it.

## What it does
Compares the logged momentum with the learning rate of one cycle (OneCycleLR) or of triangular cycles (CyclicLR) under
SGD. It notes a momentum that stands still or goes up and down with the learning rate. And it looks at the optimizer in
checkpoints: a momentum or beta1 of 1 or more is an error under any schedule.

## Why is this bad?
The policy as published lowers the momentum while the learning rate is high, from 0.95 to 0.85, so that the step size
does not grow twice. With a constant momentum the highest learning rate that still trains is lower. It is a small
difference, and often a choice; a momentum of 1 or more never forgets a gradient, and diverges.

## How to fix it
`OneCycleLR(..., cycle_momentum=True, base_momentum=0.85, max_momentum=0.95)`, which is torch's default. A one cycle of
your own needs a schedule for the momentum beside it (mmengine: `OneCycleMomentum`).

Not reported: a cycle with `cycle_momentum=False` in its checkpoint and the Adam family, where leaving beta1 alone is
usual; a rise of less than a tenth of the run, which is a warmup; and runs without a logged momentum.

## Options
- `against`: largest correlation of momentum and learning rate that passes.

## References
- Smith 2018, "A disciplined approach to neural network hyper-parameters: part 1"
- PyTorch documentation of OneCycleLR; deepspeedai/DeepSpeed issue 8589 (beta1 grows past 1)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from lrdoctor import (
    Case,
    Checkpoint,
    Constant,
    CosineAnnealingLR,
    Curve,
    CyclicLR,
    Finding,
    Fit,
    OneCycleLR,
    Remedy,
    Run,
    Scalar,
    Schedule,
    Trajectory,
    Unknown,
    optimizer_kind,
    optimizer_of,
    rule,
    synth,
)

MIN_POINTS = 10
CYCLES = 2.0
"""The learning rate must have gone through this factor for the momentum to have to answer (chosen by us)."""
LONG_RISE = 0.1
"""A shorter rise is a warmup, whatever it is called (chosen by us)."""
STILL = 1e-6
BASE, TOP = 0.85, 0.95
"""torch's defaults, after Smith 2018."""

CYCLE = OneCycleLR(0.1, total_steps=1000)
AGAINST = Unknown((0.0, 300.0, 999.0), (TOP, BASE, TOP))
WITH = Unknown((0.0, 300.0, 999.0), (BASE, TOP, BASE))
TAG = "train/momentum"


def _run(schedule: Schedule, momentum: Schedule, **settings: str) -> synth.RunSpec:
    optimizer = settings.get("optimizer", "SGD")
    return synth.run(schedule, steps=1000, log_every=5, optimizer=optimizer, curves={TAG: momentum})


CASES = (
    Case("one cycle at a momentum of 0.9", _run(CYCLE, Constant(0.9)), fires=True, cured=_run(CYCLE, AGAINST)),
    Case("a momentum that goes with it", _run(CYCLE, WITH), fires=True, cured=_run(CYCLE, AGAINST)),
    Case("a beta1 above 1",
         synth.run(CosineAnnealingLR(0.1, T_max=1000), steps=1000, optimizer="Adam",
                   checkpoints=(synth.Saved(1000, entries=(("beta1", 1.05),)),)),
         fires=True, cured=synth.run(CosineAnnealingLR(0.1, T_max=1000), steps=1000, checkpoints=(1000,))),
    Case("a momentum that goes against it", _run(CYCLE, AGAINST)),
    Case("beta1 of Adam left alone", _run(CYCLE, Constant(0.9), optimizer="AdamW")),
    Case("a cosine", _run(CosineAnnealingLR(0.1, T_max=1000), Constant(0.9))),
    Case("a rise of a twentieth is a warmup", _run(OneCycleLR(0.1, total_steps=1000, pct_start=0.05), Constant(0.9))),
    Case("no momentum was logged", synth.run(CYCLE, steps=1000, optimizer="SGD")),
)  # fmt: skip


@rule("LR405")
def momentum_not_cycled(
    run: Run,
    trajectory: Trajectory,
    fit: Fit | None,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    against: float = -0.9,
) -> Iterator[Finding]:
    impossible = _impossible(checkpoints or ())
    if impossible is not None:
        yield _beyond_one(trajectory, *impossible)
        return
    curve, group = trajectory.curve("momentum"), trajectory.lead
    if curve is None or group is None or fit is None or not _cycles(fit) or _left_alone(run, checkpoints or ()):
        return
    steps = np.intersect1d(curve.steps, group.steps)
    if len(steps) < MIN_POINTS:
        return
    momentum = curve.values[np.searchsorted(curve.steps, steps)]
    lr = group.lr[np.searchsorted(group.steps, steps)]
    if not (np.isfinite(momentum) & np.isfinite(lr) & (lr > 0)).all() or lr.max() < CYCLES * lr.min():
        return
    still = float(np.ptp(momentum)) <= STILL
    together = 0.0 if still else float(np.corrcoef(momentum, lr)[0, 1])
    if still or together > against:
        yield _finding(trajectory, fit, curve, together, still)


def _cycles(fit: Fit) -> bool:
    """Whether the run is one of the policy's: a long rise and a fall."""
    if not fit.sure or fit.stepped != "update":
        return False
    main = fit.schedule
    return isinstance(main, CyclicLR) or (isinstance(main, OneCycleLR) and main.pct_start >= LONG_RISE)


def _left_alone(run: Run, checkpoints: tuple[Checkpoint, ...]) -> bool:
    """Whether a constant momentum was chosen: said so in a checkpoint, or usual with the optimizer."""
    said = any(state.params.get("cycle_momentum") is False for point in checkpoints for state in point.schedulers)
    return said or optimizer_kind(optimizer_of(run)) in ("adam", "other")


def _impossible(checkpoints: tuple[Checkpoint, ...]) -> tuple[Checkpoint, str, float] | None:
    for point in checkpoints:
        for group in point.optimizer.param_groups if point.optimizer is not None else ():
            for name in ("momentum", "beta1"):
                value = _number(group, name)
                if value is not None and value >= 1.0:
                    return point, name, value
    return None


def _number(group: Mapping[str, Scalar], name: str) -> float | None:
    value = group.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _finding(trajectory: Trajectory, fit: Fit, curve: Curve, together: float, still: bool) -> Finding:
    seen = float(curve.values[int(np.argmin(np.abs(curve.steps - _peak_step(trajectory))))])
    how = f"stands at {curve.values[0]:.4g}" if still else f"goes with it (correlation {together:.2f})"
    return Finding(
        measured=f"The learning rate runs through a {fit.family} cycle, and {curve.tag} {how}.",
        expected=f"It goes against the learning rate: about {BASE} at the peak, where {seen:.4g} was used.",
        consequence="A lower peak must be chosen than with a cycled momentum; the difference is small.",
        first_step=float(curve.steps[0]),
        last_step=float(curve.steps[-1]),
        evidence={
            "correlation": round(together, 4),
            "differs_from_step": float(curve.steps[0]),
            "observed_momentum_at_peak": seen,
            "expected_momentum_at_peak": BASE,
        },
        remedy=Remedy(
            f"Cycle the momentum between {TOP} and {BASE}, against the learning rate, which stays as it is.",
            fit.whole,
            "scheduler = torch.optim.lr_scheduler.OneCycleLR(\n"
            f"    optimizer, max_lr={fit.peak_lr:.6g}, total_steps=total_steps,\n"
            f"    cycle_momentum=True, base_momentum={BASE}, max_momentum={TOP},\n)",
        ),
    )


def _peak_step(trajectory: Trajectory) -> float:
    group = trajectory.lead
    return float(group.steps[int(np.nanargmax(group.lr))]) if group is not None else 0.0


def _beyond_one(trajectory: Trajectory, point: Checkpoint, name: str, value: float) -> Finding:
    step = float(point.global_step or 0)
    return Finding(
        measured=f"{point.path}: {name} is {value:.4g}.",
        expected=f"It lies below 1, at {TOP} at most in a cycle.",
        consequence="An average with such a weight never forgets a gradient: it grows without bound.",
        first_step=step,
        last_step=max(step, float(max(trajectory.steps - 1, 0))),
        evidence={f"observed_{name}": value, f"expected_{name}": TOP},
        remedy=Remedy("Keep the momentum below 1: end its schedule where the learning rate's cycle ends.", None,
                      'group["betas"] = (min(beta1, 0.95), beta2)'),
        severity="error",
    )  # fmt: skip
