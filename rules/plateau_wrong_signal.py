"""The scheduler that should follow a metric is told something else, or the metric the wrong way round.

## What it does
Looks at the state that ReduceLROnPlateau keeps in checkpoints: a `best` that is infinite after many calls (it was
given NaN), that is the first epoch's number (it was given the epoch), or that is the worst value of a logged metric
(`min` for an accuracy, `max` for a loss). In the log: cuts at evaluations p + 2, 2 p + 3, 3 p + 4, and so on, as a
scheduler makes them that never sees an improvement, while the evaluations got better. And it looks for ordinary
schedulers whose count is no whole number: they were given a metric, `step(loss)`.

## Why is this bad?
Every `patience + 1` evaluations the learning rate is cut, however well the training goes, until nothing is left of it:
with a factor of 0.1 and a patience of 10 it is at a millionth after 67 epochs. An ordinary scheduler that is given a
loss of 0.31 stands at epoch 0.31 for ever.

## How to fix it
`mode="max"` for an accuracy, `"min"` for a loss; pass the metric, not the epoch, and see that it is finite. In
Lightning name it: `{"scheduler": scheduler, "monitor": "val_loss"}`. Call other schedulers without an argument.

Not reported: cuts on a real plateau, evaluations that got worse (over-fitting), schedulers that are stepped by parts of
an epoch (`CosineAnnealingWarmRestarts.step(epoch + i / n)`), and steps at regular milestones.

## Options
- `improving`: smallest rank correlation of the evaluations with time that counts as getting better.

## References
- PyTorch documentation of ReduceLROnPlateau
- md-mohaiminul/ViS4mer issue 4, facebookresearch/fairseq issue 2205, keras-team/keras issue 11964
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import numpy as np

from lrdoctor import (
    Case,
    Checkpoint,
    Constant,
    Curve,
    Finding,
    LinearLR,
    ReduceLROnPlateau,
    Remedy,
    Run,
    SchedulerState,
    StepLR,
    Stepped,
    Trajectory,
    better,
    contrast,
    rule,
    synth,
    trend,
)

MIN_CALLS = 5
"""A plateau scheduler that was called less often has nothing to show (chosen by us)."""
MIN_CUTS = 3
"""So many cuts in a row, at the same distance, are no accident (chosen by us)."""
SAME = 2e-6
"""Relative difference within which a saved `best` is a logged value: logs keep float32."""
GAIN = 0.01
"""Relative gain from one cut to the next that shows the metric was improving (chosen by us)."""
BY_PARTS = ("CosineAnnealingWarmRestarts", "SequentialLR", "ChainedScheduler", "LambdaLR", None)
"""Schedulers that may be stepped by parts of an epoch, or of which nothing is known."""

RISING = LinearLR(0.9, total_iters=2000, start_factor=0.2, end_factor=1.0)
FALLING = LinearLR(2.0, total_iters=2000, start_factor=1.0, end_factor=0.3)
FLAT = Constant(1.5)
STATE = SchedulerState(
    "ReduceLROnPlateau", 40.0, None, (1e-5,), (),
    {"mode": "min", "factor": 0.1, "patience": 8, "threshold": 1e-4, "threshold_mode": "rel", "cooldown": 0,
     "eps": 1e-8, "best": 0.18, "num_bad_epochs": 3, "cooldown_counter": 0, "min_lr": 0.0},
)  # fmt: skip
CUTS = Stepped(ReduceLROnPlateau(0.1, (10, 19, 28, 37), 0.1), 50, "epoch")
FEW_CUTS = Stepped(ReduceLROnPlateau(0.1, (21, 34), 0.1), 50, "epoch")


def _case(
    state: SchedulerState | None, metric: str, values: LinearLR | Constant, cuts: Stepped = CUTS
) -> synth.RunSpec:
    saved = (synth.Saved(2000, state=state),) if state is not None else ()
    declared: dict[str, str] = {"scheduler": "ReduceLROnPlateau"}
    return synth.run(cuts, steps=2000, steps_per_epoch=50, log_every=50, curves={metric: values}, checkpoints=saved,
                     declared=declared)  # fmt: skip


GOOD = replace(STATE, params={**STATE.params, "mode": "max", "best": 0.88})
CURED = _case(GOOD, "val/acc", RISING, FEW_CUTS)
CASES = (
    Case("an accuracy with the default mode", _case(STATE, "val/acc", RISING), fires=True, cured=CURED),
    Case("the epoch for a metric",
         _case(replace(STATE, params={**STATE.params, "best": 0.0}), "val/acc", FLAT), fires=True, cured=CURED),
    Case("NaN for a metric",
         _case(replace(STATE, params={**STATE.params, "best": math.inf}), "val/acc", FLAT), fires=True, cured=CURED),
    Case("cuts at evaluations 10, 19, 28 while the loss falls, in the log alone",
         _case(None, "val/loss", FALLING), fires=True, cured=_case(None, "val/loss", FALLING, FEW_CUTS)),
    Case("a metric for an ordinary scheduler",
         synth.run(Constant(0.1), steps=2000, steps_per_epoch=50,
                   checkpoints=(synth.Saved(2000, state=SchedulerState("StepLR", 0.31, 41, (0.1,), (0.1,),
                                                                       {"step_size": 30, "gamma": 0.1})),)),
         fires=True, cured=synth.run(StepLR(0.1, 30), steps=2000, per_epoch=50, checkpoints=(2000,))),
    Case("an accuracy with mode max", CURED),
    Case("regular cuts on a flat loss", _case(None, "val/loss", FLAT)),
    Case("two regular cuts", _case(None, "val/loss", FALLING,
                                   Stepped(ReduceLROnPlateau(0.1, (10, 19), 0.1), 50, "epoch"))),
    Case("StepLR", synth.run(StepLR(0.1, 10), steps=2000, per_epoch=50, log_every=50, curves={"val/loss": FALLING})),
)  # fmt: skip


@rule("LR601", suppresses=("LR304", "LR602"))
def plateau_wrong_signal(
    run: Run, trajectory: Trajectory, checkpoints: tuple[Checkpoint, ...] | None, *, improving: float = 0.5
) -> Iterator[Finding]:
    points = checkpoints or ()
    for point in reversed(points):
        for state in (*point.schedulers, *(child for top in point.schedulers for child in top.children)):
            found = _metric_for_a_count(trajectory, point, state) or _of_state(trajectory, point, state, improving)
            if found is not None:
                yield found
                return
    if _follows_a_metric(run, points):
        found = _blind_cuts(trajectory, points, improving)
        if found is not None:
            yield found


def _follows_a_metric(run: Run, points: tuple[Checkpoint, ...]) -> bool:
    declared = run.declared("scheduler")
    named = isinstance(declared, str) and "plateau" in declared.lower()
    return named or any(state.family == "ReduceLROnPlateau" for point in points for state in point.schedulers)


def _metric_for_a_count(trajectory: Trajectory, point: Checkpoint, state: SchedulerState) -> Finding | None:
    """An ordinary scheduler whose count has a fraction: step(loss)."""
    count = state.last_epoch
    if state.family in (*BY_PARTS, "ReduceLROnPlateau") or count is None or not math.isfinite(count):
        return None
    by_parts = point.epoch is not None and abs(point.epoch - count) <= 1.0
    if abs(count - round(count)) < 1e-6 or by_parts:
        return None
    return _finding(
        trajectory,
        measured=f"{point.path}: {state.family} counts {count:.6g} steps.",
        expected="A count of steps is a whole number.",
        consequence="It was given a metric, step(loss), and takes it for the epoch.",
        evidence={"scheduler": state.family, "last_epoch": count},
        summary="Call scheduler.step() without an argument.",
        code="scheduler.step()  # ordinary schedulers count by themselves",
    )


def _of_state(trajectory: Trajectory, point: Checkpoint, state: SchedulerState, improving: float) -> Finding | None:
    best, calls, mode = state.params.get("best"), state.last_epoch or 0.0, state.params.get("mode")
    if state.family != "ReduceLROnPlateau" or not isinstance(best, int | float) or calls < MIN_CALLS:
        return None
    told = {"best": best if math.isfinite(best) else str(best), "mode": str(mode), "calls": calls}
    if not math.isfinite(best):
        return _finding(
            trajectory,
            measured=f"{point.path}: after {calls:.0f} calls ReduceLROnPlateau's best value is {best}.",
            expected="A finite metric becomes the best value at the first call.",
            consequence="It is given NaN, which never is an improvement: every patience + 1 calls the rate is cut.",
            evidence=told,
        )
    patience = state.params.get("patience")
    many = isinstance(patience, int | float) and calls >= 2 * (patience + 1)
    if mode == "min" and best in (0.0, 1.0) and many and _matching(trajectory, best, "lower") is None:
        return _finding(
            trajectory,
            measured=f"{point.path}: after {calls:.0f} calls ReduceLROnPlateau's best value is exactly {best:.0f}.",
            expected="Losses are rarely whole numbers; the first epoch's number is one.",
            consequence="It seems to be given the epoch, which never gets smaller: the rate is cut again and again.",
            evidence=told,
        )
    return _wrong_direction(trajectory, point, best, str(mode), told, improving)


def _wrong_direction(
    trajectory: Trajectory,
    point: Checkpoint,
    best: float,
    mode: str,
    told: Mapping[str, float | int | str | bool | None],
    improving: float,
) -> Finding | None:
    """`best` is the worst value of a metric that got better."""
    wanted: Literal["higher", "lower"] = "lower" if mode == "min" else "higher"
    opposite: Literal["higher", "lower"] = "higher" if mode == "min" else "lower"
    curve = _matching(trajectory, best, opposite, worst=True)
    if curve is None or _matching(trajectory, best, wanted) is not None:
        return None
    rise = trend(curve.values) * (1.0 if opposite == "higher" else -1.0)
    if rise < improving:
        return None
    right = "max" if mode == "min" else "min"
    extreme = curve.values.max() if opposite == "higher" else curve.values.min()
    return _finding(
        trajectory,
        measured=f'{point.path}: ReduceLROnPlateau has mode="{mode}" and best = {best:.4g}, the worst of {curve.tag}.',
        expected=f'{curve.tag} is better {opposite}: mode="{right}", and {extreme:.4g} would be the best.',
        consequence="Every improvement counts as none, and every patience + 1 calls the rate is cut.",
        evidence={**told, "metric": curve.tag, "metric_best": float(extreme), "rank_correlation": round(rise, 3)},
        summary=f'Set mode="{right}".',
        code=f'scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="{right}")',
    )


def _matching(
    trajectory: Trajectory, best: float, direction: Literal["higher", "lower"], worst: bool = False
) -> Curve | None:
    """The logged curve, better in that direction, whose best (or worst) value is `best`."""
    for curve in trajectory.curves:
        values = curve.values[np.isfinite(curve.values)]
        if curve.role not in ("eval-loss", "train-loss", "metric") or not len(values) or better(curve) != direction:
            continue
        low = (direction == "lower") != worst
        extreme = float(values.min() if low else values.max())
        if abs(extreme - best) <= SAME * abs(best):
            return curve
    return None


def _blind_cuts(trajectory: Trajectory, points: tuple[Checkpoint, ...], improving: float) -> Finding | None:
    """Cuts at evaluations p + 2, 2 p + 3, ... while all evaluations got better."""
    group, per_epoch = trajectory.lead, trajectory.steps_per_epoch or 1.0
    if group is None or not np.isfinite(group.lr).all():
        return None
    at = np.flatnonzero(np.diff(group.lr) < -1e-6 * group.lr[:-1]) + 1
    cuts = np.round(group.steps[at] / per_epoch)
    gaps = np.diff(cuts)
    if len(cuts) < MIN_CUTS or (np.diff(group.lr) > 0).any() or (gaps != gaps[0]).any() or gaps[0] < 2:
        return None
    patience = next((state.params.get("patience") for point in points for state in point.schedulers), None)
    known = patience is None or gaps[0] == float(str(patience)) + 1
    curves = [curve for curve in trajectory.curves if curve.role in ("eval-loss", "metric") and better(curve)]
    if abs(cuts[0] - gaps[0] - 1.0) > 0 or not known or not curves:
        return None
    if not all(_got_better(curve, group.steps[at], improving) for curve in curves):
        return None
    curve = curves[0]
    peak = float(group.lr[0])
    seen = contrast(trajectory, None, Constant(peak))
    return replace(
        _finding(
            trajectory,
            measured=(
                f"The learning rate was cut at epochs {', '.join(f'{cut:.0f}' for cut in cuts[:4])}"
                f"{'...' if len(cuts) > 4 else ''}, every {gaps[0]:.0f} and first after one more, down to "
                f"{group.lr[-1]:.3g}, while {curve.tag} went from {curve.values[0]:.4g} to {curve.values[-1]:.4g}."
            ),
            expected=(
                f"A metric that improves brings no cut: {seen.expected:.3g} at step {seen.worst_step:.0f}, where "
                f"{seen.observed:.3g} was used (different from step {seen.first_step:.0f} on)."
            ),
            consequence="A scheduler that never sees an improvement cuts so: the mode or the metric is wrong.",
            evidence={
                "cuts": len(cuts),
                "first_cut_epoch": float(cuts[0]),
                "epochs_between_cuts": float(gaps[0]),
                "metric": curve.tag,
                **seen.evidence(),
            },
        ),
        severity="error" if patience is not None else "warning",
    )


def _got_better(curve: Curve, cuts: np.ndarray[tuple[int], np.dtype[np.float64]], improving: float) -> bool:
    """Whether a curve improved on the whole, and by more than a hair in every stretch between two cuts."""
    sign = 1.0 if better(curve) == "higher" else -1.0
    values = sign * curve.values[np.isfinite(curve.values)]
    steps = curve.steps[np.isfinite(curve.values)]
    if len(values) < MIN_CALLS or trend(values) < improving:
        return False
    best = [values[steps < cut].max() for cut in cuts if (steps < cut).any()]
    scale = max(float(np.abs(values).max()), 1e-12)
    return all(later - earlier > GAIN * scale for earlier, later in pairwise(best))


def _finding(
    trajectory: Trajectory,
    *,
    measured: str,
    expected: str,
    consequence: str,
    evidence: Mapping[str, float | int | str | bool | None],
    summary: str = "Give the scheduler the metric, and say which way it is better.",
    code: str = 'scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="min")\n'
    "scheduler.step(val_loss)  # once per evaluation",
) -> Finding:
    schedule = Constant(trajectory.peak_lr) if trajectory.groups and trajectory.peak_lr > 0 else None
    return Finding(
        measured=measured,
        expected=expected,
        consequence=consequence,
        first_step=0.0,
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence=evidence,
        remedy=Remedy(summary, schedule, code),
    )
