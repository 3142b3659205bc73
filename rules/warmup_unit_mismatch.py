"""The warmup was given in one unit and counted in another: epochs for updates, or updates for epochs.

## What it does
Compares the length of the warmup that was executed, and that a checkpoint's scheduler states, with the length in the
settings. It reports a warmup of n updates where n epochs were asked for, one of n epochs where n updates were, one
that ran within the first epoch only, and one that takes the whole training because its length and the training's were
swapped.

In a training config: a share of the run where the framework reads a number of updates (`warmup_steps: 0.1`), and more
than the whole run where it reads a share (`warmup_ratio: 10`).

## Why is this bad?
A warmup that is too short by the number of updates in an epoch protects nothing: the model meets the full learning rate
after a handful of steps. One that is too long by the same factor never ends: the run trains far below its
learning rate.

## How to fix it
Convert once, where the settings are read (`warmup_steps = warmup_epochs * len(loader)`), and name the unit in the key.
Step a schedule that counts updates after every update. In mmengine set `convert_to_iter_based=True`.

Not reported: warmups as long as the settings say in either unit, settings that name no warmup, short warmups on
purpose, logs of one point per epoch whose unit cannot be told, and frameworks with a shortest warmup of their own.

## Options
- `factor`: report only where executed and asked-for length differ by at least this factor.

## References
- salesforce/LAVIS issue 72, WasifurRahman/BERT_multimodal_transformer issue 22, Vision-CAIR/MiniGPT-4 issue 263
- PyTorch documentation of LinearLR: `total_iters` counts calls of `step()`
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lrdoctor import (
    Case,
    Checkpoint,
    Constant,
    CosineAnnealingLR,
    Finding,
    Fit,
    Identification,
    LinearLR,
    Plan,
    Remedy,
    Run,
    Schedule,
    SchedulerState,
    Sequence,
    Trajectory,
    Unknown,
    Warmup,
    config_finding,
    counts_of,
    first_apart,
    rule,
    stated_whole,
    synth,
    with_horizon,
)

MIN_POINTS = 4
"""A straight rise is told from this many logged points (chosen by us)."""
LEAP = 3.0
"""A rise that jumps by this many times its own pace was left (chosen by us)."""
SAME = 0.05
"""Slopes and lengths this close, as a fraction, are the same (chosen by us)."""
CUT_OFF, SWAPPED = "Left with the first epoch", "Its length and the training's swapped"
CONVERTING = ("ultralytics", "yolox")
"""Frameworks whose warmup has a length of its own beside the configured one."""

N = 50
COSINE = CosineAnnealingLR(0.1, T_max=600)
FIVE = {"warmup_epochs": 5}
RAMP = Warmup(Constant(0.1), 500, 0.01)


def _axolotl(warmup: str) -> synth.ConfigSpec:
    return synth.config(f"""
        base_model: some/model
        datasets: []
        micro_batch_size: 4
        max_steps: 500
        learning_rate: 1.0e-4
        {warmup}
    """)


def _trainer(warmup: str, version: str) -> synth.ConfigSpec:
    text = f"""
        learning_rate: 2.0e-05
        per_device_train_batch_size: 8
        max_steps: 500
        {warmup}
    """
    return synth.config(text, versions={"transformers": version})


CASES = (
    Case("5 updates, where 5 epochs were asked for",
         synth.run(Warmup(COSINE, 5, 0.1), steps=600, steps_per_epoch=N, declared=FIVE), fires=True),
    Case("500 epochs, where 500 updates were asked for",
         synth.run(RAMP, steps=600, per_epoch=N, declared={"warmup_steps": 500, "lr": 0.1}), fires=True),
    Case("the same from a checkpoint",
         synth.run(RAMP, steps=600, per_epoch=N, log_lr=False, checkpoints=(600,), optimizer="Adam",
                   declared={"epochs": 12}),
         fires=True, cured=synth.run(RAMP, steps=600, steps_per_epoch=N, log_lr=False, checkpoints=(600,),
                                     optimizer="Adam", declared={"epochs": 12})),
    Case("200 updates, of which the first epoch's 50 alone were run",
         synth.run(Sequence((LinearLR(0.1, 200, 0.01, 1.0), Constant(0.1)), (N,)), steps=600, steps_per_epoch=N,
                   declared={"warmup_steps": 200}), fires=True),
    Case("lengths of warmup and training swapped",
         synth.run(LinearLR(0.1, 600, 0.0, 1.0), steps=600, declared={"warmup_steps": 60, "lr": 0.1}), fires=True),
    Case("5 epochs as asked for",
         synth.run(Warmup(COSINE, 250, 0.1), steps=600, steps_per_epoch=N, declared=FIVE)),
    Case("5 updates as asked for",
         synth.run(Warmup(COSINE, 5, 0.1), steps=600, steps_per_epoch=N, declared={"warmup_steps": 5})),
    Case("5 epochs, stepped per epoch",
         synth.run(Warmup(Constant(0.1), 5, 0.1), steps=600, per_epoch=N, declared=FIVE)),
    Case("nothing was asked for", synth.run(Warmup(COSINE, 5, 0.1), steps=600, steps_per_epoch=N)),
    Case("4 updates an epoch: the factor is too small",
         synth.run(Warmup(COSINE, 5, 0.1), steps=600, steps_per_epoch=4, declared=FIVE)),
    Case("5 updates an epoch",
         synth.run(Warmup(COSINE, 5, 0.1), steps=600, steps_per_epoch=5, declared=FIVE), fires=True),
    Case("axolotl with a tenth of a step", _axolotl("warmup_steps: 0.1"), fires=True,
         cured=_axolotl("warmup_ratio: 0.1")),
    Case("transformers 4.57 with a tenth of a step", _trainer("warmup_steps: 0.1", "4.57"), fires=True,
         cured=_trainer("warmup_ratio: 0.1", "4.57")),
    Case("a ratio of 10", _trainer("warmup_ratio: 10", "4.57"), fires=True,
         cured=_trainer("warmup_ratio: 0.1", "4.57")),
    Case("transformers 5, which reads a share below 1", _trainer("warmup_steps: 0.1", "5.23")),
    Case("a whole number of steps", _axolotl("warmup_steps: 10")),
    Case("a ratio of exactly 1", _trainer("warmup_ratio: 1.0", "4.57")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A warmup of `seen` updates where `due` were asked for: `how` says it, `healthy` is the schedule with `due`."""

    seen: float
    due: float
    how: str
    asked: str
    healthy: Schedule | None
    why: str = "Counted in the wrong unit"


@rule("LR107", suppresses=("LR303", "LR307", "LR501", "LR502"))
def warmup_unit_mismatch(
    run: Run,
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    factor: float = 5.0,
) -> Iterator[Finding]:
    if trajectory.step_unit not in ("update", "unknown") or run.framework in CONVERTING:
        return
    logged = _in_log(run, trajectory, identification, factor)
    saved = _in_checkpoints(run, trajectory, checkpoints or (), factor)
    for mismatch in [*logged, *saved][:1]:
        yield _finding(mismatch, trajectory)


# --- in the log -------------------------------------------------------------------------------------------------------


def _in_log(run: Run, trajectory: Trajectory, identification: Identification, factor: float) -> Iterator[Mismatch]:
    lead, per_epoch = identification.lead, trajectory.steps_per_epoch
    if lead is None or any(part.resumed for part in trajectory.segments[:1]):
        return
    fit, epochs, steps = lead.fits[0], _number(run, "warmup_epochs"), _number(run, "warmup_steps")
    if epochs and per_epoch and per_epoch >= factor:
        yield from _too_short(fit, epochs, per_epoch, trajectory)
    if steps and fit.steps_per_tick >= factor:
        yield from _too_long(run, fit, steps, trajectory)
    if steps and per_epoch:
        yield from _cut_off(steps, per_epoch, trajectory)
    if steps:
        yield from _swapped(run, fit, steps, trajectory, factor)


def _number(run: Run, name: str) -> float | None:
    value = run.declared(name)
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _too_short(fit: Fit, epochs: float, per_epoch: float, trajectory: Trajectory) -> Iterator[Mismatch]:
    """n updates for n epochs."""
    if fit.warmup is None or fit.stepped != "update" or not fit.sure or abs(fit.warmup.steps - epochs) > 1.0:
        return
    due = epochs * per_epoch
    healthy = _behind(fit, due, fit.warmup.start_factor, trajectory)
    asked = f"{epochs:g} epochs of {per_epoch:.0f} updates"
    yield Mismatch(fit.warmup.steps, due, f"{fit.warmup.steps:.0f} updates", asked, healthy)


def _too_long(run: Run, fit: Fit, steps: float, trajectory: Trajectory) -> Iterator[Mismatch]:
    """n epochs for n updates: the whole of it, or the beginning of a rise to the declared learning rate."""
    if fit.stepped != "epoch" or fit.fit_error > SAME:
        return
    seen = steps * fit.steps_per_tick
    how, asked = f"{steps:.0f} epochs of {fit.steps_per_tick:.0f} updates", f"{steps:.0f} updates"
    if fit.warmup is not None and abs(fit.warmup.steps - steps) <= max(1.0, SAME * steps):
        yield Mismatch(seen, steps, how, asked, _behind(fit, steps, fit.warmup.start_factor, trajectory))
        return
    rise, peak = _rise(fit), _number(run, "lr")
    if rise is not None and peak is not None and _ends_at(rise, steps, peak):
        yield Mismatch(seen, steps, how, asked, Warmup(Constant(peak), steps, rise[0] / peak))


def _rise(fit: Fit) -> tuple[float, float] | None:
    """(first learning rate, slope per tick) of a straight rise."""
    line = fit.schedule
    if not isinstance(line, LinearLR) or line.end_factor <= line.start_factor or fit.warmup is not None:
        return None
    return line.lr * line.start_factor, line.lr * (line.end_factor - line.start_factor) / line.total_iters


def _ends_at(rise: tuple[float, float], ticks: float, peak: float) -> bool:
    """Whether the rise would reach the learning rate `peak` after so many ticks."""
    first, slope = rise
    return first < peak and abs(slope * ticks - (peak - first)) <= SAME * (peak - first)


def _cut_off(steps: float, per_epoch: float, trajectory: Trajectory) -> Iterator[Mismatch]:
    """A straight rise that is left for the full learning rate at the end of the first epoch."""
    group = trajectory.lead
    if group is None or steps <= per_epoch or not np.isfinite(group.lr).all():
        return
    inside = group.steps < per_epoch
    times, lrs, after = group.steps[inside], group.lr[inside], group.lr[~inside]
    if len(lrs) < MIN_POINTS or not len(after) or lrs[-1] <= lrs[0]:
        return
    slope = float((lrs[-1] - lrs[0]) / (times[-1] - times[0]))
    first, top = float(lrs[0] - slope * times[0]), float(after[0])
    straight = bool(np.abs(lrs - first - slope * times).max() <= SAME * (lrs[-1] - lrs[0]))
    jumped = top - lrs[-1] > LEAP * slope * float(group.steps[~inside][0] - times[-1])
    if straight and jumped and _ends_at((first, slope), steps, top):
        rest = Unknown(tuple((group.steps[~inside] - per_epoch).tolist()), tuple(after.tolist()))
        length = round((top - first) / slope)
        ramp = LinearLR(top, length, max(first, 0.0) / top, 1.0)
        how = f"{per_epoch:.0f} updates, the first epoch alone"
        yield Mismatch(per_epoch, steps, how, f"{steps:.0f} updates", Sequence((ramp, rest), (float(length),)), CUT_OFF)


def _swapped(run: Run, fit: Fit, steps: float, trajectory: Trajectory, factor: float) -> Iterator[Mismatch]:
    """A rise over the whole training, to the declared learning rate at its end."""
    planned, peak, rise = trajectory.planned_steps, _number(run, "lr"), _rise(fit)
    if planned is None or peak is None or rise is None or fit.stepped != "update" or steps * factor > planned:
        return
    if _ends_at(rise, planned, peak):
        healthy = Warmup(LinearLR(peak, max(planned - round(steps), 1)), steps, rise[0] / peak)
        yield Mismatch(
            float(planned), steps, f"{planned} updates, the whole training", f"{steps:.0f} updates", healthy, SWAPPED
        )


def _behind(fit: Fit, warmup: float, start_factor: float, trajectory: Trajectory) -> Schedule:
    """The schedule in updates behind a warmup of that length, ending where the training was planned to end."""
    main, end = fit.schedule, trajectory.planned_steps or fit.horizon_steps
    if main.horizon is not None and end is not None:
        main = with_horizon(main, max(round(end - warmup), 1))
    return Warmup(main, warmup, start_factor)


# --- in the checkpoints -----------------------------------------------------------------------------------------------


def _in_checkpoints(
    run: Run, trajectory: Trajectory, saved: tuple[Checkpoint, ...], factor: float
) -> Iterator[Mismatch]:
    """The warmup a scheduler's state describes, against the settings or against the number of epochs."""
    per_epoch, epochs = trajectory.steps_per_epoch, _epochs(run, trajectory)
    for counts in counts_of(saved)[-1:]:
        length = _ramp(counts.state)
        if length is None or per_epoch is None or per_epoch < factor:
            continue
        asked = _number(run, "warmup_epochs")
        if abs(counts.ratio - 1.0) <= SAME and asked and abs(length - asked) < 0.5:
            how, wanted = f"{length:.0f} updates", f"{asked:g} epochs of {per_epoch:.0f} updates"
            yield Mismatch(length, asked * per_epoch, how, wanted, None)
        slow = abs(counts.ratio * per_epoch - 1.0) <= 1.0 / counts.ticks + SAME
        if slow and epochs is not None and length >= factor * epochs:
            how = f"{length:.0f} epochs of {per_epoch:.0f} updates, in a training of {epochs:.0f} epochs"
            yield Mismatch(length * per_epoch, length, how, f"{length:.0f} updates", stated_whole(counts.state))


def _ramp(state: SchedulerState) -> float | None:
    """The length of the LinearLR warmup in a state."""
    for part in state.children or (state,):
        start, end, length = (part.params.get(name) for name in ("start_factor", "end_factor", "total_iters"))
        if part.family == "LinearLR" and isinstance(length, int | float) and isinstance(start, int | float):
            return float(length) if isinstance(end, int | float) and start < end else None
    return None


def _epochs(run: Run, trajectory: Trajectory) -> float | None:
    """The epochs the training was planned for."""
    declared = _number(run, "epochs")
    if declared is not None or not trajectory.planned_steps or not trajectory.steps_per_epoch:
        return declared
    return trajectory.planned_steps / trajectory.steps_per_epoch


# --- in words ---------------------------------------------------------------------------------------------------------


def _finding(mismatch: Mismatch, trajectory: Trajectory) -> Finding:
    group, healthy = trajectory.lead, mismatch.healthy
    apart = first_apart(group, healthy) if group is not None and healthy is not None else None
    times = mismatch.seen / mismatch.due
    return Finding(
        measured=f"The warmup lasts {mismatch.how}; {mismatch.asked} were meant.",
        expected=(
            f"At step {apart.step:.0f} the learning rate would be {apart.expected:.4g}."
            if apart is not None
            else f"It would last {mismatch.due:.0f} updates."
        ),
        consequence=(f"It was {apart.observed:.4g} there. " if apart is not None else "")
        + f"{mismatch.why}, it is {times if times > 1 else 1 / times:.3g} times too "
        + ("long." if times > 1 else "short."),
        first_step=apart.step if apart is not None else 0.0,
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence={
            "warmup_updates": mismatch.seen,
            "expected_warmup_updates": mismatch.due,
            "updates_per_epoch": trajectory.steps_per_epoch,
            "first_apart_step": apart.step if apart is not None else None,
            "observed_lr": apart.observed if apart is not None else None,
            "expected_lr": apart.expected if apart is not None else None,
        },
        remedy=Remedy(
            f"Count the warmup in updates, {mismatch.due:.0f} of them, and step the scheduler after every update.",
            healthy,
            "warmup_steps = warmup_epochs * len(loader)  # once, where the settings are read\n"
            "optimizer.step()\n"
            "scheduler.step()  # after every update",
        ),
    )


@rule("LR107", suppresses=("LR303", "LR307", "LR501", "LR502"))
def warmup_configured_in_wrong_unit(config: Plan) -> Iterator[Finding]:
    for item in config.misread:
        if item.about == "unit":
            yield config_finding(
                config,
                item.setting,
                f"{item.setting.key} is {item.setting.value:g}: {item.why}.",
                "The value looks like a share of the run.",
                "The training fails to start, or starts without a warmup.",
                f"{item.cure[:1].upper()}{item.cure[1:]}.",
                evidence={"value": item.setting.value},
            )
    warmup = config.warmup
    if warmup is not None and warmup.asked is not None and warmup.fraction is not None and warmup.fraction > 1.0:
        yield config_finding(
            config,
            warmup.asked,
            f"{warmup.asked.key} is {warmup.asked.value:g}, and it is read as a share of the run.",
            "A share lies between 0 and 1.",
            "The training refuses to start, or never leaves its warmup.",
            "Write a share below 1, or use the key for a number of updates.",
            evidence={"value": warmup.fraction},
        )
