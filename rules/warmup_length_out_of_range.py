"""The warmup takes too much of the run, too little of it, or never ends.

## What it does
Measures the rise at the start of the learning rate. Never over: a finished run whose learning rate rose to its last
step. Too long: the warmup takes more than 30 % of the planned length (50 % for one cycle, whose rise is meant to be
long). Too short: fewer than 20 updates, or fewer than 100 that are less than a thousandth of the run, for a transformer
that an optimizer of the Adam family trains from scratch.

In a training config: a warmup as long as the run or longer, one that takes too large a part of it, and one that the
framework makes at least twice as long as was asked for. Sizes that are not known leave a warmup in steps unjudged.

## Why is this bad?
A run that ends inside its warmup never used the learning rate it was given, and was never annealed. A warmup that takes
a third of the run leaves too little for the rest. A warmup of a few updates is over before Adam's second moment is
worth anything: it averages over 1 / (1 - beta2) updates, a thousand at torch's default.

## How to fix it
Take 1 to 5 % of the updates for training from scratch and 3 to 10 % for fine-tuning; for Adam some 2 / (1 - beta2)
updates, as far as that fits in. Compare the number with the updates the run really makes: accumulation, devices and a
short data set shrink those.

Not reported: runs that are not finished (for a warmup that never ends), range tests, short warmups of fine-tuning and
of other optimizers, and runs of fewer than 100 steps.

## Options
- `longest`: largest part of the run for a warmup.
- `longest_cycle`: largest part of the run for the rise of one cycle.
- `shortest`: fewest updates for Adam on a transformer trained from scratch.

## References
- Ma and Yarats 2021, "On the adequacy of untuned warmup for adaptive optimization"; Goyal et al. 2017: 5 of 90 epochs
- Morizeyao/GPT2-Chinese issue 60 (2000 steps of warmup in a shorter run), facebookresearch/deit issue 63
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lrdoctor import (
    Case,
    CosineAnnealingLR,
    Finding,
    Fit,
    Identification,
    LinearLR,
    OneCycleLR,
    Plan,
    Remedy,
    Run,
    Schedule,
    Stepped,
    Trajectory,
    Warmup,
    adam_warmup,
    config_finding,
    contrast,
    fine_tunes,
    optimizer_kind,
    optimizer_of,
    rule,
    synth,
    transformer_of,
    with_horizon,
)

MIN_STEPS = 100
"""Too short to speak of parts of it (chosen by us)."""
SHORT_SHARE, SHORT_UPDATES = 1e-3, 100
"""A warmup of less than this share and of fewer updates than this is short too (chosen by us)."""
SCRATCH_LR = 5e-4
"""Smallest peak at which a transformer is taken to be trained from scratch, as in no-warmup."""
RISES = 0.1
"""Smallest rise, as a part of the final value, that counts as one (chosen by us)."""
STANDS = 0.7
"""A learning rate that no longer rises after this part of the log is past its warmup (chosen by us)."""
PROPOSED = 0.05
"""Part of the run that remedies propose where nothing else is known."""
START_FACTOR = 0.01
LOSS_PARTS = 20
"""The loss is looked at in so many parts, each by its median (chosen by us)."""
RECOVERS = 2.0
"""A final loss this many times the lowest marks a range test, which is stopped where it diverges (chosen by us)."""

GPT: dict[str, str | bool] = {"model": "gpt2", "finetune": False}
TUNED: dict[str, str | bool] = {**GPT, "finetune": True}
COSINE = CosineAnnealingLR(1e-3, T_max=9500)
YOLO = """
    epochs: 200
    batch: 32
    optimizer: AdamW
    lr0: 0.001667
    lrf: 0.01
    warmup_epochs: 3.0
"""


def _config(scheduler: str, warmup: str, steps: int = 1000) -> synth.ConfigSpec:
    text = f"""
        learning_rate: 2.0e-05
        per_device_train_batch_size: 8
        max_steps: {steps}
        lr_scheduler_type: {scheduler}
        {warmup}
    """
    return synth.config(text, versions={"transformers": "4.57"})


CASES = (
    Case("2000 updates of warmup in a run of 1000",
         synth.run(LinearLR(1e-3, total_iters=2000, start_factor=0.01, end_factor=1.0), steps=1000), fires=True),
    Case("warmup for 60 % of the run",
         synth.run(Warmup(LinearLR(1e-3, total_iters=400), 600), steps=1000), fires=True),
    Case("one cycle that rises for 60 % of the run",
         synth.run(OneCycleLR(1e-3, total_steps=1000, pct_start=0.6), steps=1000), fires=True),
    Case("12 of 30 epochs, stepped per epoch",
         synth.run(Warmup(CosineAnnealingLR(0.1, T_max=18), 12), steps=1500, per_epoch=50), fires=True),
    Case("5 updates for AdamW on a GPT",
         synth.run(Warmup(replace(COSINE, T_max=1995), 5), steps=2000, optimizer="AdamW", declared=GPT), fires=True),
    Case("the same with SGD", synth.run(Warmup(replace(COSINE, T_max=1995), 5), steps=2000, optimizer="SGD")),
    Case("the same fine-tuned",
         synth.run(Warmup(replace(COSINE, T_max=1995), 5), steps=2000, optimizer="AdamW",
                   declared=TUNED)),
    Case("20 updates for AdamW on a GPT: just enough not to be reported",
         synth.run(Warmup(replace(COSINE, T_max=1980), 20), steps=2000, optimizer="AdamW", declared=GPT)),
    Case("5 %", synth.run(Warmup(CosineAnnealingLR(1e-3, T_max=950), 50), steps=1000)),
    Case("30 %", synth.run(Warmup(CosineAnnealingLR(1e-3, T_max=700), 300), steps=1000)),
    Case("one cycle with its usual rise", synth.run(OneCycleLR(1e-3, total_steps=1000), steps=1000)),
    Case("still in its warmup, and not finished",
         synth.run(LinearLR(1e-3, total_iters=2000, start_factor=0.01, end_factor=1.0), steps=1000, complete=False)),
    Case("a config with 100 steps of warmup in 50", _config("cosine", "warmup_steps: 100", 50), fires=True,
         cured=_config("cosine", "warmup_steps: 5", 50)),
    Case("a config with half the run for its warmup", _config("linear", "warmup_ratio: 0.5"), fires=True,
         cured=_config("linear", "warmup_ratio: 0.05")),
    Case("a config with three epochs of warmup that last 33", synth.config(YOLO, "args.yaml", steps_per_epoch=3,
         versions={"ultralytics": "8.3.100"}), fires=True,
         cured=synth.config(YOLO, "args.yaml", steps_per_epoch=3, versions={"ultralytics": "8.4.190"})),
    Case("a config with exactly 30 % of warmup", _config("linear", "warmup_ratio: 0.3")),
    Case("a config of unknown length", synth.config("""
        learning_rate: 2.0e-05
        num_train_epochs: 3
        per_device_train_batch_size: 8
        warmup_steps: 100""")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """`steps` of warmup in a run of `total` ticks; `proposed` is a better number, `why` what follows from it."""

    kind: str
    steps: float
    total: float
    expected: str
    why: str
    proposed: int


@rule("LR502")
def warmup_length_out_of_range(
    run: Run,
    trajectory: Trajectory,
    identification: Identification,
    *,
    longest: float = 0.3,
    longest_cycle: float = 0.5,
    shortest: int = 20,
) -> Iterator[Finding]:
    lead = identification.lead
    if lead is None or trajectory.step_unit not in ("update", "epoch"):
        return
    if _never_ends(trajectory):
        yield _endless(run, trajectory, lead.fit)
        return
    fit = lead.fits[0]
    if not fit.sure or trajectory.step_unit != "update" or any(part.resumed for part in trajectory.segments[:1]):
        return
    problem = _long(trajectory, fit, longest, longest_cycle) or _short(run, trajectory, fit, shortest)
    if problem is not None:
        yield _finding(trajectory, fit, problem)


def _never_ends(trajectory: Trajectory) -> bool:
    """Whether the learning rate rose all through a finished run, and not as a range test does."""
    group = trajectory.lead
    if trajectory.complete is not True or group is None or len(group.lr) < 2 or not np.isfinite(group.lr).all():
        return False
    falls = np.diff(group.lr) < -1e-3 * group.lr[-1]
    rises = group.lr[-1] - group.lr[0] > RISES * group.lr[-1]
    starts = group.steps[0] <= 0.1 * group.steps[-1] or trajectory.step_unit == "epoch"
    stands = group.lr[int(STANDS * (len(group.lr) - 1))] >= (1.0 - 1e-3) * group.lr[-1]
    return bool(rises and starts and not falls.any() and not stands and not _range_test(trajectory))


def _range_test(trajectory: Trajectory) -> bool:
    """A learning rate that grows by a constant factor, or a loss that comes back up: a search for a peak."""
    group, loss = trajectory.lead, trajectory.loss
    if group is not None and len(group.lr) > 4 and (group.lr > 0).all():
        growth = np.diff(np.log(group.lr)) / np.diff(group.steps)
        if growth.std() < 0.05 * abs(growth.mean()):
            return True
    if loss is None or len(loss) < 4:
        return False
    parts = np.array_split(loss.values, min(LOSS_PARTS, len(loss)))
    medians = np.array([np.median(part) for part in parts])  # of a single batch the loss is anything
    lowest = float(np.nanmin(medians)) if np.isfinite(medians).any() else 0.0
    return not np.isfinite(medians[-1]) or (lowest > 0 and medians[-1] > RECOVERS * lowest)


def _endless(run: Run, trajectory: Trajectory, fit: Fit) -> Finding:
    group = trajectory.lead
    assert group is not None
    total = float(trajectory.steps)
    reached = float(group.lr[-1])
    declared, wanted = _declared_peak(run), run.declared("warmup_steps")
    peak = declared if declared is not None and declared > reached else reached
    warmup = max(1, round(PROPOSED * total))
    schedule = Warmup(CosineAnnealingLR(peak, max(1, round(total) - warmup)), warmup, START_FACTOR)
    seen = contrast(trajectory, fit.whole, schedule)
    of = f", {reached / peak:.0%} of the {peak:.3g} asked for" if peak > reached else ""
    asked = f" {wanted:.0f} steps of warmup were asked for." if isinstance(wanted, int | float) and wanted else ""
    return Finding(
        measured=(
            f"The learning rate rose from {group.lr[0]:.3g} to {reached:.3g}{of} at the last of {total:.0f} "
            f"{trajectory.step_unit}s of a finished run.{asked}"
        ),
        expected=(
            f"After a warmup of {warmup} it would be {seen.expected:.3g} at step {seen.worst_step:.0f}, where "
            f"{seen.observed:.3g} was used (different from step {seen.first_step:.0f} on)."
        ),
        consequence="The run ended inside its warmup: it never trained at its learning rate, and was never annealed.",
        first_step=float(group.steps[0]),
        last_step=float(group.steps[-1]),
        evidence={
            "steps": total,
            "first_lr": float(group.lr[0]),
            "reached_lr": reached,
            "declared_lr": declared,
            "proposed_warmup_steps": warmup,
            **seen.evidence(),
        },
        remedy=Remedy(f"Warm up over {warmup} {trajectory.step_unit}s and anneal over the rest.", schedule),
        severity="error",
    )


def _declared_peak(run: Run) -> float | None:
    value = run.declared("lr")
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _long(trajectory: Trajectory, fit: Fit, longest: float, longest_cycle: float) -> Problem | None:
    steps, most = _rise(fit), longest
    if isinstance(fit.schedule, OneCycleLR):
        most = longest_cycle
        if fit.assumed or fit.schedule.max_lr <= 1.1 * fit.schedule.initial_lr:
            return None
    total = _total_ticks(trajectory, fit)
    if steps is None or total is None or total * fit.steps_per_tick < MIN_STEPS or steps <= most * total + 1.0:
        return None
    return Problem(
        "long",
        steps,
        total,
        f"A warmup takes 1 to 10 % of a run, and at most {most:.0%}",
        "Too little is left for training at the full learning rate and for annealing.",
        max(1, round((0.3 if isinstance(fit.schedule, OneCycleLR) else PROPOSED) * total)),
    )


def _rise(fit: Fit) -> float | None:
    """Ticks of the rise."""
    if isinstance(fit.schedule, OneCycleLR):
        return fit.schedule.pct_start * fit.schedule.total_steps
    return fit.warmup.steps if fit.warmup is not None and fit.warmup.kind == "linear" else None


def _total_ticks(trajectory: Trajectory, fit: Fit) -> float | None:
    """The planned length: declared, or the one the schedule was built for, or that of a finished run."""
    planned = trajectory.planned_steps or (fit.horizon_steps or (trajectory.steps if trajectory.complete else None))
    return None if planned is None else planned / fit.steps_per_tick


def _short(run: Run, trajectory: Trajectory, fit: Fit, shortest: int) -> Problem | None:
    warmup, total = fit.warmup, _total_ticks(trajectory, fit)
    if warmup is None or warmup.kind != "linear" or fit.stepped != "update" or total is None or total < MIN_STEPS:
        return None
    few = warmup.steps < shortest or (warmup.steps < SHORT_UPDATES and warmup.steps < SHORT_SHARE * total)
    model = transformer_of(run)
    scratch = run.declared("finetune") is False or fit.peak_lr >= SCRATCH_LR
    if not few or model is None or fine_tunes(run) or not scratch or optimizer_kind(optimizer_of(run)) != "adam":
        return None
    proposed = adam_warmup(run, round(total))
    if proposed <= warmup.steps:
        return None
    return Problem(
        "short",
        warmup.steps,
        total,
        f"{optimizer_of(run)} on a transformer ({model}) is given some {proposed} updates",
        f"The learning rate grows by {1.0 / warmup.steps:.0%} of its peak an update, on unsettled gradients.",
        proposed,
    )


def _finding(trajectory: Trajectory, fit: Fit, problem: Problem) -> Finding:
    schedule = _rewarmed(fit, problem)
    seen = contrast(trajectory, fit.whole, schedule)
    unit = {"update": "updates", "epoch": "epochs"}.get(fit.stepped or "", "steps")
    return Finding(
        measured=(
            f"The warmup takes {problem.steps:.0f} of {problem.total:.0f} {unit}, {problem.steps / problem.total:.2%}, "
            f"up to {fit.peak_lr:.3g}."
        ),
        expected=(
            f"{problem.expected}; with {problem.proposed} it is {seen.expected:.3g} at step {seen.worst_step:.0f}, "
            f"where {seen.observed:.3g} was used (different from step {seen.first_step:.0f} on)."
        ),
        consequence=problem.why,
        first_step=fit.first_step,
        last_step=min(fit.last_step, max(problem.steps * fit.steps_per_tick, fit.first_step)),
        evidence={
            "problem": problem.kind,
            "warmup_steps": problem.steps,
            "total_steps": problem.total,
            "warmup_fraction": round(problem.steps / problem.total, 6),
            "peak_lr": fit.peak_lr,
            "proposed_warmup_steps": problem.proposed,
            **seen.evidence(),
        },
        remedy=Remedy(
            f"Warm up over {problem.proposed} {unit} and give the rest of the run to the schedule behind it.", schedule
        ),
    )


def _rewarmed(fit: Fit, problem: Problem) -> Schedule:
    """The same schedule with the proposed warmup, ending where it ended."""
    main, total = fit.schedule, round(problem.total)
    whole: Schedule
    if isinstance(main, OneCycleLR):
        whole = replace(main, pct_start=problem.proposed / total)
    else:
        whole = Warmup(with_horizon(main, max(1, total - problem.proposed)), problem.proposed, START_FACTOR)
    return whole if fit.steps_per_tick == 1.0 else Stepped(whole, fit.steps_per_tick, fit.stepped)


SHORT_RUN = 200
"""A run this short is a trial of the code; what is wrong with it is told less loudly (chosen by us)."""
STRETCHED = 2.0
"""So many times as long as asked is another warmup (chosen by us)."""


@rule("LR502")
def warmup_configured_out_of_range(
    config: Plan, *, longest: float = 0.3, longest_cycle: float = 0.5
) -> Iterator[Finding]:
    warmup = config.warmup
    if warmup is None or config.total.high <= 0:
        return
    limit = longest_cycle if config.family == "OneCycleLR" else longest
    share = warmup.fraction if warmup.fraction is not None else warmup.steps.low / config.total.high
    if share >= 1.0:
        yield _never_over(config)
    elif share > limit:
        yield _configured_too_long(config, share)
    elif _stretched(config):
        yield _longer_than_asked(config)


def _stretched(config: Plan) -> bool:
    """Whether the framework makes a warmup in epochs at least twice as long as was asked for."""
    warmup = config.warmup
    if warmup is None or warmup.asked is None or warmup.fraction is not None or config.unit != "epoch":
        return False
    asked = warmup.asked.value
    return isinstance(asked, float) and "epoch" in warmup.asked.key and warmup.steps.low >= STRETCHED * asked > 0


def _never_over(config: Plan) -> Finding:
    assert config.warmup is not None
    steps, total = config.warmup.steps, config.total
    short = config.total.high < SHORT_RUN
    return config_finding(
        config,
        config.whereabouts(config.warmup.asked, config.length),
        f"The warmup takes {steps} {config.unit}s and the run makes {total}.",
        "A warmup is over early in a run: after 1 to 10 % of it.",
        "The learning rate never reaches its peak, and nothing is annealed.",
        f"Warm up for {_suggested(config)}, or train longer.",
        evidence={"warmup": steps.low, "total": total.value, "unit": config.unit},
        severity="warning" if short else "error",
    )


def _configured_too_long(config: Plan, share: float) -> Finding:
    assert config.warmup is not None
    return config_finding(
        config,
        config.whereabouts(config.warmup.asked, config.length),
        f"The warmup takes {share:.0%} of the run ({config.warmup.steps} of {config.total} {config.unit}s).",
        "1 to 5 % are usual for training from scratch, 3 to 10 % for fine-tuning.",
        "Little of the run is left at the learning rate that was chosen.",
        f"Warm up for {_suggested(config)}.",
        evidence={"warmup_fraction": share, "total": config.total.value, "unit": config.unit},
        severity="info" if config.total.high < SHORT_RUN else None,
    )


def _longer_than_asked(config: Plan) -> Finding:
    assert config.warmup is not None
    asked = config.warmup.asked
    assert asked is not None
    steps = config.warmup.steps
    return config_finding(
        config,
        asked,
        f"{asked.key} asks for {asked.value:g} epochs of warmup, and {config.framework} {config.version or ''} makes "
        f"{steps} of it, of {config.total} epochs.",
        "It warms up for at least 100 batches, however few an epoch has.",
        "Much more of the run than was asked for happens below the learning rate that was chosen.",
        "Use a version without that least number (8.4.103 or later), a smaller batch, or more epochs.",
        evidence={"asked": asked.value, "warmup": steps.low, "total": config.total.value, "unit": config.unit},
    )


def _suggested(config: Plan) -> str:
    total = config.total.value
    return "3 to 5 % of the run" if total is None else f"some {max(1, round(0.05 * total)):,} {config.unit}s"
