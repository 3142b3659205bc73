"""The plateau scheduler cannot do its work: it never cuts, it cuts at every batch, or it has cut to nothing.

## What it does
Reads the state that ReduceLROnPlateau keeps in checkpoints. It reports a `min_lr` above the learning rate; a patience
that a finished run never had the evaluations for; a negative metric with the relative threshold; a scheduler that is
called at every update with a patience of less than an epoch; and a learning rate that has been stuck below a
ten-thousandth of its peak for more than 30 % of the run, where a further cut would be smaller than `eps`.

In a training config: a `patience` of as many evaluations as the run has epochs, and an early stop that comes first. One
that leaves room for a single cut is a note.

## Why is this bad?
The run looks scheduled and is not. With `min_lr` above the rate no cut is ever made. With `threshold_mode="rel"` the
bar for a negative best value b is b * (1 - threshold), which lies above it: a value that stays the same, or gets slowly
worse, counts as better, and the patience is never used up. Called at every update it sees the noise of the batches, and
cuts at the first ten unlucky ones.

## How to fix it
`threshold_mode="abs"` for metrics that are or may become negative, `min_lr` of a thousandth of the learning rate, a
patience of at most an eighth of the planned evaluations, one call of `step(metric)` per evaluation. In Lightning leave
`interval` at "epoch" for it.

Not reported: a metric that really improves, a floor that was reached by cuts and is not nothing, and schedulers that
were called fewer than five times.

## Options
- `stuck`: part of the run for which the learning rate may stand at nothing.

## References
- PyTorch source of ReduceLROnPlateau, `is_better` and `_reduce_lr`
- pytorch/pytorch issues 47513 and 38622 (negative values), google-deepmind/optax issue 1767, Lightning issue 1156
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from lrdoctor import (
    Case,
    Checkpoint,
    Constant,
    Finding,
    Plan,
    ReduceLROnPlateau,
    Remedy,
    SchedulerState,
    Setting,
    Stepped,
    Trajectory,
    config_finding,
    rule,
    synth,
    updates_of,
)

MIN_CALLS = 5
"""A scheduler that was called less often has nothing to show (chosen by us)."""
AS_OFTEN = 0.02
"""Relative difference within which calls and updates are as many (chosen by us)."""
NOTHING = 1e-4
"""Part of the peak below which a learning rate does nothing (chosen by us)."""
FLOOR, EIGHTH = 1e-3, 8
"""The floor that is proposed, as a part of the peak, and the part of the run for the patience (chosen by us)."""

STATE = SchedulerState(
    "ReduceLROnPlateau", 40.0, None, (0.1,), (),
    {"mode": "min", "factor": 0.1, "patience": 8, "threshold": 1e-4, "threshold_mode": "rel", "cooldown": 0,
     "eps": 1e-8, "best": 0.18, "num_bad_epochs": 3, "cooldown_counter": 0, "min_lr": 0.0},
)  # fmt: skip


def _state(calls: float = 40.0, lr: float = 0.1, **params: float | str) -> SchedulerState:
    return replace(STATE, last_epoch=calls, last_lr=(lr,), params={**STATE.params, **params})


def _run(state: SchedulerState, cuts: tuple[float, ...] = (), factor: float = 0.1) -> synth.RunSpec:
    schedule = Stepped(ReduceLROnPlateau(0.1, cuts, factor), 50, "epoch") if cuts else Constant(0.1)
    return synth.run(schedule, steps=2000, steps_per_epoch=50, log_every=20, optimizer="Adam",
                     checkpoints=(synth.Saved(2000, state=state),))  # fmt: skip


CURED = _run(_state())


def _config(patience: int, epochs: int = 10, stop: int | None = None) -> synth.ConfigSpec:
    callback = f"[{{class_path: EarlyStopping, init_args: {{patience: {stop}}}}}]" if stop is not None else "[]"
    return synth.config(f"""
        optimizer: {{class_path: torch.optim.Adam, init_args: {{lr: 0.001}}}}
        lr_scheduler:
          class_path: torch.optim.lr_scheduler.ReduceLROnPlateau
          init_args: {{patience: {patience}, monitor: val/loss}}
        trainer: {{max_epochs: {epochs}, callbacks: {callback}}}
    """)


CASES = (
    Case("a floor above the learning rate", _run(_state(min_lr=0.2)), fires=True, cured=CURED),
    Case("a floor at the learning rate, which never changed", _run(_state(min_lr=0.1)), fires=True, cured=CURED),
    Case("a patience of 60 in 40 epochs", _run(_state(patience=60)), fires=True, cured=CURED),
    Case("a negative metric with the relative threshold", _run(_state(best=-0.7)), fires=True, cured=CURED),
    Case("called at every update", _run(_state(calls=2000.0)), fires=True, cured=CURED),
    Case("cut to nothing by epoch 20",
         _run(_state(lr=1e-8, factor=0.1), (4, 7, 10, 12, 14, 17, 20)), fires=True, cured=CURED),
    Case("as it should be", CURED),
    Case("a patience of 39 in 40 epochs", _run(_state(patience=39))),
    Case("a negative metric with the absolute threshold", _run(_state(best=-0.7, threshold_mode="abs"))),
    Case("called at every update, with a patience of two epochs", _run(_state(calls=2000.0, patience=100))),
    Case("a floor that was reached by cuts", _run(_state(lr=1e-3, min_lr=1e-3), (10, 20))),
    Case("cut to nothing in the last quarter",
         _run(_state(lr=1e-8), (4, 7, 10, 13, 17, 20, 31))),
    Case("a config with a patience of 10 in 10 epochs", _config(10), fires=True, cured=_config(1)),
    Case("a config with an early stop before the first cut", _config(10, 200, 10), fires=True,
         cured=_config(5, 200, 20)),
    Case("a config with an early stop after one cut at most", _config(10, 200, 20), fires=True,
         cured=_config(5, 200, 20)),
    Case("a config whose last evaluation could still cut", _config(8)),
    Case("a config with room for several cuts", _config(5, 200)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """What a state shows, what should be there, what follows, and the argument that cures it."""

    measured: str
    expected: str
    consequence: str
    cure: str
    evidence: Mapping[str, float | int | str | bool | None]


@rule("LR602")
def plateau_ineffective(
    trajectory: Trajectory, checkpoints: tuple[Checkpoint, ...], *, stuck: float = 0.3
) -> Iterator[Finding]:
    for point in reversed(checkpoints):
        for state in (*point.schedulers, *(child for top in point.schedulers for child in top.children)):
            if state.family == "ReduceLROnPlateau" and (state.last_epoch or 0.0) >= MIN_CALLS:
                fault = (
                    _floor_too_high(trajectory, state)
                    or _negative_metric(state)
                    or _called_per_update(trajectory, point, state)
                    or _patience_too_long(trajectory, state)
                    or _cut_to_nothing(trajectory, state, stuck)
                )
                if fault is not None:
                    yield _finding(trajectory, point, fault)
                return


def _param(state: SchedulerState, name: str) -> float | None:
    value = state.params.get(name)
    value = max(value) if isinstance(value, tuple) and value else value
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _floor_too_high(trajectory: Trajectory, state: SchedulerState) -> Fault | None:
    floor, lr = _param(state, "min_lr"), max(state.last_lr, default=0.0)
    never_cut = bool(trajectory.groups) and lr >= (1.0 - 1e-6) * trajectory.peak_lr
    if not floor or lr <= 0 or not (floor > (1.0 + 1e-6) * lr or (floor >= (1.0 - 1e-9) * lr and never_cut)):
        return None
    return Fault(
        f"min_lr = {floor:.3g} is not below the learning rate, {lr:.3g}",
        f"A floor lies far below it, at {FLOOR * lr:.3g} for example.",
        "No cut can ever be made.",
        f"min_lr={FLOOR * lr:.3g}",
        {"observed_min_lr": floor, "expected_min_lr": FLOOR * lr, "lr": lr},
    )


def _negative_metric(state: SchedulerState) -> Fault | None:
    best, threshold = _param(state, "best"), _param(state, "threshold")
    relative = state.params.get("threshold_mode") == "rel"
    if best is None or threshold is None or not relative or not -np.inf < best < 0 or threshold <= 0:
        return None
    lower = state.params.get("mode") != "max"
    bar = best * (1.0 - threshold) if lower else best * (1.0 + threshold)
    return Fault(
        f'the best value is {best:.4g}, and with threshold_mode="rel" any value {"below" if lower else "above"} '
        f"{bar:.6g} counts as better",
        "The bar for an improvement lies beyond the best value, not before it.",
        "A metric that stands still or gets slowly worse passes for improving, and no cut is made.",
        'threshold_mode="abs"',
        {"best": best, "observed_bar": bar, "expected_bar": best - threshold if lower else best + threshold},
    )


def _called_per_update(trajectory: Trajectory, point: Checkpoint, state: SchedulerState) -> Fault | None:
    updates, calls = updates_of(point, trajectory), state.last_epoch or 0.0
    per_epoch = trajectory.steps_per_epoch or (updates / point.epoch if updates and point.epoch else None)
    patience = _param(state, "patience")
    if not updates or per_epoch is None or per_epoch < 2 or patience is None:
        return None
    if abs(calls / updates - 1.0) > AS_OFTEN or patience >= per_epoch or updates < 2 * per_epoch:
        return None
    return Fault(
        f"{calls:.0f} calls in {updates:.0f} updates, with a patience of {patience:.0f}",
        f"It is called once per evaluation: {updates / per_epoch:.0f} times in {updates / per_epoch:.0f} epochs.",
        f"{patience + 1:.0f} unlucky batches in a row bring a cut: it follows the noise.",
        "",
        {"observed_calls": calls, "expected_calls": round(updates / per_epoch, 2), "patience": patience},
    )


def _patience_too_long(trajectory: Trajectory, state: SchedulerState) -> Fault | None:
    patience, calls = _param(state, "patience"), state.last_epoch or 0.0
    if trajectory.complete is not True or patience is None or patience < calls:
        return None
    proposed = max(1, int(calls) // EIGHTH)
    return Fault(
        f"a patience of {patience:.0f} in a run of {calls:.0f} evaluations",
        f"It leaves room for cuts: {proposed} for example.",
        "No cut could be made, whatever the metric did.",
        f"patience={proposed}",
        {"observed_patience": patience, "expected_patience": proposed, "evaluations": calls},
    )


def _cut_to_nothing(trajectory: Trajectory, state: SchedulerState, stuck: float) -> Fault | None:
    lr, factor, eps = max(state.last_lr, default=0.0), _param(state, "factor"), _param(state, "eps")
    group = trajectory.lead
    if group is None or factor is None or eps is None or not 0 < lr < NOTHING * trajectory.peak_lr:
        return None
    floor = _param(state, "min_lr") or 0.0
    since = np.flatnonzero(group.lr > (1.0 + 1e-6) * lr)
    begun = float(group.steps[since[-1] + 1]) if len(since) and since[-1] + 1 < len(group.steps) else None
    no_further = lr - max(lr * factor, floor) <= eps
    if begun is None or not no_further or trajectory.steps - begun <= stuck * trajectory.steps:
        return None
    return Fault(
        f"the learning rate stands at {lr:.3g} since step {begun:.0f}, "
        f"{1.0 - begun / trajectory.steps:.0%} of the run, where a further cut would be no more than eps = {eps:.3g}",
        f"It is kept at {FLOOR * trajectory.peak_lr:.3g} or above.",
        "The rest of the run changes nothing.",
        f"min_lr={FLOOR * trajectory.peak_lr:.3g}",
        {"observed_lr": lr, "expected_lr": FLOOR * trajectory.peak_lr, "differs_from_step": begun},
    )


def _finding(trajectory: Trajectory, point: Checkpoint, fault: Fault) -> Finding:
    arguments = f", {fault.cure}" if fault.cure else ""
    return Finding(
        measured=f"{point.path}: ReduceLROnPlateau: {fault.measured}.",
        expected=fault.expected,
        consequence=fault.consequence,
        first_step=0.0,
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence=fault.evidence,
        remedy=Remedy(
            f"Set {fault.cure}." if fault.cure else "Call step(metric) once per evaluation.",
            None,
            f"scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer{arguments})\n"
            "scheduler.step(val_loss)  # once per evaluation",
        ),
    )


PART = 8
"""So many times the patience fits into a run that leaves the scheduler room to act (chosen by us)."""
CUTS = 2
"""An early stop that waits for so many cuts leaves it room as well (chosen by us)."""


@rule("LR602")
def plateau_configured_ineffective(config: Plan) -> Iterator[Finding]:
    patience, total, stop = config.facts.get("patience"), config.total.value, config.facts.get("early_stop")
    if config.family != "ReduceLROnPlateau" or patience is None:
        return
    waits = patience.value + 1
    if total is not None and config.unit == "epoch" and waits >= total:
        yield _never_cuts(config, patience, total)
    elif stop is not None and stop.value <= patience.value:
        yield _stopped_before(config, patience, stop, 0)
    elif stop is not None and stop.value < CUTS * waits:
        yield _stopped_before(config, patience, stop, 1)


def _never_cuts(config: Plan, patience: Setting[float], total: float) -> Finding:
    return config_finding(
        config,
        config.whereabouts(patience, config.scheduler),
        f"The scheduler waits for {patience.value + 1:g} evaluations without improvement, and the run has {total:g} "
        "epochs.",
        "It is meant to act within the run.",
        "The learning rate never changes.",
        f"Set patience to {max(1, int(total / PART))}, or train longer.",
        evidence={"patience": patience.value, "epochs": total},
        code=f"patience: {max(1, int(total / PART))}",
    )


def _stopped_before(config: Plan, patience: Setting[float], stop: Setting[float], cuts: int) -> Finding:
    room = "before the first cut" if cuts == 0 else "after one cut at most"
    return config_finding(
        config,
        config.whereabouts(patience, config.scheduler),
        f"The scheduler cuts after {patience.value + 1:g} evaluations without improvement, and the run stops after "
        f"{stop.value:g} of them: {room}.",
        f"An early stop that waits for {CUTS} cuts leaves the scheduler room.",
        "The learning rate is not annealed.",
        f"Set the patience to {max(1, int(stop.value / (CUTS + 1)))}, or let the early stop wait longer.",
        evidence={"patience": patience.value, "early_stop": stop.value},
        severity="info" if cuts else None,
    )
