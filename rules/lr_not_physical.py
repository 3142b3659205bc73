"""The learning rate is one no training can use: negative, not a number, or with its floor above its peak.

## What it does
Looks at every logged learning rate, of every parameter group, for negative values, infinities, and a log that ends in
NaN; for two values that alternate at every step, which is what a cosine with T_max = 1 does; and at the schedulers that
checkpoints hold for a floor (`eta_min`) above the learning rate they start from.

In a training config: a learning rate that is a string to the framework's loader (`1e-4` without a point is one to
PyYAML), one that is zero or negative, and a floor above the peak.

## Why is this bad?
A negative learning rate climbs the loss: torch takes one from a LambdaLR without a word. NaN destroys the weights at
the first update. A floor above the peak turns an annealing into a rise, to a value that was chosen for another run.

## How to fix it
Clamp a schedule of your own: `max(0.0, 1 - step / total)`, with the total the run really makes. Choose `eta_min` below
the learning rate, a hundredth of it for example. Keep learning rates as Python floats.

Not reported: zeros, values that are negative by rounding alone, gaps that a log fills with NaN, and `maximize=True`,
which is not in the learning rate.

## Options
- `negative`: smallest part of the peak below zero that is reported.

## References
- ziqi-jin/finetune-anything issue 57 (a line that went on below zero), kohya-ss/sd-scripts issue 601 (eta_min above lr)
- PyTorch documentation of LambdaLR and CosineAnnealingLR
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lrdoctor import (
    Case,
    Checkpoint,
    CosineAnnealingLR,
    Finding,
    GroupTrajectory,
    LinearLR,
    Plan,
    Remedy,
    Schedule,
    SchedulerState,
    Sequence,
    Setting,
    Trajectory,
    Unknown,
    config_finding,
    rule,
    synth,
)

ENDS = 3
"""So many points in a row, up to the last one, make a log end in NaN (chosen by us)."""
TOGGLES = 8
"""So many alternations in a row are no accident (chosen by us)."""
TOGGLE_SIZE = 0.01
"""Smallest alternation, as a part of the peak (chosen by us)."""
FLOOR = 0.01
"""The floor that remedies propose, as a part of the learning rate (chosen by us)."""

NAN = float("nan")
BELOW = LinearLR(0.1, total_iters=400, end_factor=-0.25)
TOGGLING = Unknown(tuple(range(100)), tuple(1e-4 if step % 2 else 1e-5 for step in range(100)))
RISING = CosineAnnealingLR(1e-5, T_max=400, eta_min=1e-4)


def _config(lr: str, floor: str = "min_lr_rate: 0.1") -> synth.ConfigSpec:
    return synth.config(f"""
        learning_rate: {lr}
        per_device_train_batch_size: 8
        max_steps: 1000
        lr_scheduler_type: cosine_with_min_lr
        lr_scheduler_kwargs: {{{floor}}}
    """)


CASES = (
    Case("a line that goes on below zero", synth.run(BELOW, steps=400), fires=True),
    Case("NaN from the middle on",
         synth.run(Unknown((0, 199, 200, 399), (0.1, 0.1, NAN, NAN)), steps=400, loss=None), fires=True),
    Case("two values in turn", synth.run(TOGGLING, steps=100), fires=True),
    Case("a floor above the learning rate, in a checkpoint",
         synth.run(RISING, steps=400, checkpoints=(400,), optimizer="Adam"), fires=True),
    Case("a line to zero", synth.run(replace(BELOW, end_factor=0.0), steps=400)),
    Case("below zero by rounding", synth.run(replace(BELOW, end_factor=-1e-9), steps=400)),
    Case("NaN where the log has gaps, while the loss goes on",
         synth.run(Sequence((replace(BELOW, end_factor=0.0), Unknown((0, 1), (NAN, NAN))), (390,)), steps=400)),
    Case("a floor below", synth.run(replace(RISING, eta_min=1e-6), steps=400, checkpoints=(400,))),
    Case("a config whose learning rate is a string", _config("1e-4"), fires=True, cured=_config("1.0e-4")),
    Case("a config whose floor is above its peak", _config("1.0e-6", "min_lr: 1.0e-5"), fires=True,
         cured=_config("1.0e-4", "min_lr: 1.0e-5")),
    Case("a config with a negative learning rate", _config("-1.0e-4"), fires=True, cured=_config("1.0e-4")),
    Case("a config with a learning rate of any size", _config("0.5")),
)  # fmt: skip


@rule("LR403")
def lr_not_physical(
    trajectory: Trajectory, checkpoints: tuple[Checkpoint, ...] | None, *, negative: float = 1e-6
) -> Iterator[Finding]:
    for group in trajectory.groups:
        found = (
            _below_zero(trajectory, group, negative)
            or _not_a_number(trajectory, group)
            or _alternates(trajectory, group)
        )
        if found is not None:
            yield found
            return
    for point in checkpoints or ():
        for state in (*point.schedulers, *(child for top in point.schedulers for child in top.children)):
            if _floor_above(state):
                yield _inverted(trajectory, point, state)
                return


def _below_zero(trajectory: Trajectory, group: GroupTrajectory, negative: float) -> Finding | None:
    finite = np.isfinite(group.lr)
    peak = float(np.max(np.abs(group.lr[finite]), initial=0.0))
    below = np.flatnonzero(finite & (group.lr < -(negative * peak + trajectory.lr_quantum)))
    if not len(below):
        return None
    first, lowest = int(below[0]), int(below[np.argmin(group.lr[below])])
    return _finding(
        trajectory,
        group,
        first,
        measured=f"The learning rate {group.tag} is negative at {len(below)} of {len(group.lr)} points, from step "
        f"{group.steps[first]:.0f} on; the lowest is {group.lr[lowest]:.3g} at step {group.steps[lowest]:.0f}.",
        expected=f"A decay ends at 0: a learning rate is at least that, there and up to the peak {peak:.3g}.",
        consequence="Every update with it moves the weights up the loss.",
        evidence={"points_below_zero": len(below), "lowest_lr": float(group.lr[lowest]), "expected_lr": 0.0},
    )


def _not_a_number(trajectory: Trajectory, group: GroupTrajectory) -> Finding | None:
    bad = ~np.isfinite(group.lr)
    infinite = np.flatnonzero(np.isinf(group.lr))
    good = np.flatnonzero(~bad)
    ends = len(group.lr) - 1 - int(good[-1]) if len(good) else 0
    broken = ends >= ENDS and len(good) >= ENDS and not _loss_goes_on(trajectory, float(group.steps[good[-1]]))
    if not len(infinite) and not broken:
        return None
    first = int(infinite[0]) if len(infinite) else int(good[-1]) + 1
    last = float(group.lr[good[-1]]) if len(good) else 0.0
    return _finding(
        trajectory,
        group,
        first,
        measured=f"The learning rate {group.tag} is {group.lr[first]} at step {group.steps[first]:.0f}, "
        f"and not finite at {int(bad.sum())} of {len(group.lr)} points.",
        expected=f"A learning rate is a finite number; the last one was {last:.3g}.",
        consequence="The first update with it destroys the weights.",
        evidence={"points_not_finite": int(bad.sum()), "last_finite_lr": last, "observed_lr": str(group.lr[first])},
    )


def _loss_goes_on(trajectory: Trajectory, step: float) -> bool:
    """Whether finite losses were logged after `step`: then the values are missing, not broken."""
    loss = trajectory.loss
    return loss is not None and bool(np.isfinite(loss.values[loss.steps > step + 1.0]).any())


def _alternates(trajectory: Trajectory, group: GroupTrajectory) -> Finding | None:
    """Two values in turn, update by update: a cosine whose half wave is one step."""
    lr = group.lr
    if (
        trajectory.step_unit != "update"
        or len(lr) < TOGGLES
        or not np.isfinite(lr).all()
        or np.diff(group.steps).max() > 1.0
    ):
        return None
    low, high = float(lr.min()), float(lr.max())
    either = np.minimum(np.abs(lr - low), np.abs(lr - high)) <= 1e-6 * high
    if high - low < TOGGLE_SIZE * high or not either.all() or not (np.diff(lr > (low + high) / 2.0) != 0).all():
        return None
    return _finding(
        trajectory,
        group,
        0,
        measured=f"The learning rate {group.tag} alternates between {low:.3g} and {high:.3g} at every step.",
        expected=f"A schedule that starts at {lr[0]:.3g} stays near it from one step to the next: a cosine with "
        "T_max = 1 does not.",
        consequence="Neither value was chosen for half of the updates.",
        evidence={"low_lr": low, "high_lr": high, "observed_lr": float(lr[1]), "expected_lr": float(lr[0])},
    )


def _floor_above(state: SchedulerState) -> bool:
    floor = state.params.get("eta_min")
    cosine = state.family in ("CosineAnnealingLR", "CosineAnnealingWarmRestarts")
    return cosine and isinstance(floor, int | float) and bool(state.base_lrs) and floor > max(state.base_lrs)


def _inverted(trajectory: Trajectory, point: Checkpoint, state: SchedulerState) -> Finding:
    floor, base = float(str(state.params["eta_min"])), max(state.base_lrs)
    total = max(int(float(str(state.params.get("T_max", trajectory.steps or 1)))), 1)
    schedule = CosineAnnealingLR(base, total, FLOOR * base)
    return Finding(
        measured=f"{point.path}: {state.family} has eta_min = {floor:.3g}, above the learning rate {base:.3g}.",
        expected=f"The floor of an annealing is below its start, at {FLOOR * base:.3g} for example.",
        consequence=f"The learning rate rises to {floor:.3g}, {floor / base:.3g} times what was asked for.",
        first_step=0.0,
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence={"eta_min": floor, "base_lr": base, "observed_lr": floor, "expected_lr": FLOOR * base},
        remedy=Remedy("Choose eta_min below the learning rate.", schedule),
    )


def _finding(
    trajectory: Trajectory,
    group: GroupTrajectory,
    first: int,
    *,
    measured: str,
    expected: str,
    consequence: str,
    evidence: dict[str, float | str],
) -> Finding:
    schedule = _physical(trajectory, group)
    return Finding(
        measured=measured,
        expected=expected,
        consequence=consequence,
        first_step=float(group.steps[first]),
        last_step=float(group.steps[-1]),
        evidence={"differs_from_step": float(group.steps[first]), **evidence},
        remedy=Remedy("Use a schedule that ends at zero with the run, and clamp it there.", schedule),
        group=group.name,
    )


def _physical(trajectory: Trajectory, group: GroupTrajectory) -> Schedule:
    """A line to zero over the run, from where the learning rate started."""
    finite = group.lr[np.isfinite(group.lr) & (group.lr > 0)]
    start = float(finite[0]) if len(finite) else 1e-3
    return LinearLR(start, max(trajectory.planned_steps or 0, trajectory.steps, 1))


@rule("LR403")
def configured_lr_not_physical(config: Plan) -> Iterator[Finding]:
    for item in config.misread:
        if item.about == "lr":
            yield config_finding(
                config,
                item.setting,
                f"{item.setting.key} is {item.setting.value!r}: {item.why}.",
                "A learning rate is a number, positive and above its floor.",
                "The training fails to start, or trains with another learning rate.",
                f"{item.cure[:1].upper()}{item.cure[1:]}.",
                evidence={"value": str(item.setting.value)},
            )
    peak, floor = config.lr, config.facts.get("min_lr")
    if peak is not None and peak.value <= 0:
        yield _configured_not_positive(config, peak)
    elif peak is not None and floor is not None and floor.value > peak.value:
        yield _configured_floor_above(config, peak, floor)


def _configured_not_positive(config: Plan, peak: Setting[float]) -> Finding:
    return config_finding(
        config,
        peak,
        f"The learning rate is {peak.value:g}.",
        "It has to be positive.",
        "The model does not learn." if peak.value == 0 else "The training climbs the loss, or refuses to start.",
        f"Set {peak.key} to a positive number.",
        evidence={"peak_lr": peak.value},
    )


def _configured_floor_above(config: Plan, peak: Setting[float], floor: Setting[float]) -> Finding:
    return config_finding(
        config,
        config.whereabouts(floor, peak),
        f"The least learning rate, {floor.value:.3g} ({floor.origin.note or floor.key}), is above the peak, "
        f"{peak.value:.3g}.",
        "The schedule decays from the peak to it.",
        "The learning rate rises over the run, to a value that was chosen for another one.",
        f"Set the least learning rate below {peak.value:.3g}, to {FLOOR * peak.value:.3g} for example.",
        evidence={"peak_lr": peak.value, "min_lr": floor.value},
    )
