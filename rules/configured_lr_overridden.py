"""The learning rate that was used is not the one the settings ask for.

## What it does
Compares the peak of the executed learning rate with the one stated beside the log (hparams, args, config). It reports
one that is more than 2 % off where the schedule is known exactly, or by more than a factor of two where it is not, if
no usual scaling explains it.

In a training config: a learning rate that is set while the framework, or a DeepSpeed file the config names, takes
another one.

## Why is this bad?
The run does not test what it was set up to test: a sweep over the setting compares equal runs, and a result is noted
under the wrong number. A second owner of the learning rate is the usual cause: `optimizer=auto` in Ultralytics ignores
`lr0`, a DeepSpeed scheduler without `warmup_max_lr` takes 1e-3, OneCycleLR and CyclicLR overwrite the optimizer's `lr`
with `max_lr`, and a script's own argument beats the file.

## How to fix it
Let one place own the learning rate: name the optimizer in Ultralytics (`optimizer=AdamW lr0=...`), write "auto" into
the DeepSpeed file, pass `max_lr=lr` to OneCycleLR. Save the settings as they are in force after parsing.

Not reported: whole multiples and parts (devices, accumulation), multiples by batch / 32, 64, 128, 256 or 512 and their
roots, runs still in their warmup, logs that begin after the peak, and runs of which any parameter group has the value.

## Options
- `tolerance`: accepted relative difference where the schedule is known exactly.
- `factor`: accepted factor where it is not.

## References
- deepspeedai/DeepSpeed issue 7303 (5e-7 replaced by 1e-3), ultralytics/ultralytics issues 8400 and 17444 (lr0 ignored)
- PyTorch documentation of OneCycleLR: the initial learning rate comes from max_lr / div_factor
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from lrdoctor import (
    Case,
    CosineAnnealingLR,
    Finding,
    Fit,
    GroupTrajectory,
    Hint,
    Identification,
    OneCycleLR,
    Plan,
    Remedy,
    Run,
    Trajectory,
    Warmup,
    config_finding,
    contrast,
    rule,
    scaled,
    synth,
)

SCALING = 0.005
"""How close a ratio must be to a usual scaling to be taken for one (chosen by us)."""
COUNTS = (*range(2, 17), 20, 24, 32, 40, 48, 64, 96, 128, 256, 512)
"""Whole multiples that devices and accumulation explain (chosen by us)."""
REFERENCES = (32, 64, 128, 256, 512)
"""Batch sizes for which learning rates are stated: torchvision and timm 256, DeiT 512, Ultralytics 64."""
UNSEEN = 1.05
"""A reading whose peak is farther above the log than by this factor is not known exactly (chosen by us)."""
MIN_POINTS = 5
SEEN = 0.9
"""A peak at a point after this part of the log may still be in its warmup."""

COSINE = CosineAnnealingLR(1e-3, T_max=1000)
ASKED: dict[str, float] = {"lr": 1e-3}
DEEPSPEED = """
    {{
      "train_batch_size": 64,
      "optimizer": {{"type": "AdamW", "params": {{"lr": 1e-4}}}},
      "scheduler": {{"type": "WarmupLR", "params": {{"warmup_max_lr": {}, "warmup_num_steps": 100}}}}
    }}
"""
YOLO = """
    epochs: 100
    batch: 16
    optimizer: {}
    lr0: 0.001
    lrf: 0.01
    warmup_epochs: 3.0
"""
TRAINER = """
    base_model: some/model
    datasets: []
    micro_batch_size: 4
    num_epochs: 3
    learning_rate: 1.0e-4
    deepspeed: ds.json
"""
CASES = (
    Case("1e-3 was asked for and 2.4e-3 used", synth.run(replace(COSINE, lr=2.4e-3), steps=1000, declared=ASKED),
         fires=True),
    Case("1e-3 was asked for and 4.3e-5 used, behind a warmup",
         synth.run(Warmup(replace(COSINE, lr=4.3e-5), 50), steps=1000, declared=ASKED), fires=True),
    Case("3 % more", synth.run(replace(COSINE, lr=1.03e-3), steps=1000, declared=ASKED), fires=True),
    Case("1 % more", synth.run(replace(COSINE, lr=1.01e-3), steps=1000, declared=ASKED)),
    Case("as asked for", synth.run(COSINE, steps=1000, declared=ASKED)),
    Case("one cycle up to it", synth.run(OneCycleLR(1e-3, total_steps=1000), steps=1000, declared=ASKED)),
    Case("scaled by four devices", synth.run(replace(COSINE, lr=4e-3), steps=1000, declared=ASKED)),
    Case("scaled by the batch",
         synth.run(replace(COSINE, lr=0.375e-3), steps=1000, batch_size=96, declared=ASKED)),
    Case("not yet at its peak",
         synth.run(Warmup(replace(COSINE, T_max=10_000), 3000), steps=1000, complete=False, declared=ASKED)),
    Case("the log begins after the peak", synth.run(COSINE, steps=1000, first_step=500, declared=ASKED)),
    Case("a DeepSpeed file whose scheduler has a peak of its own", synth.config(DEEPSPEED.format(6e-4), "ds.json"),
         fires=True, cured=synth.config(DEEPSPEED.format(1e-4), "ds.json")),
    Case("a DeepSpeed file with one learning rate", synth.config(DEEPSPEED.format(1e-4), "ds.json")),
    Case("lr0 beside `optimizer: auto`", synth.config(YOLO.format("auto"), "args.yaml"), fires=True,
         cured=synth.config(YOLO.format("AdamW"), "args.yaml")),
    Case("a DeepSpeed file that disagrees with the trainer that names it", synth.config(TRAINER, "train.yaml",
         beside={"ds.json": DEEPSPEED.format(6e-4)}), fires=True,
         cured=synth.config(TRAINER, "train.yaml", beside={"ds.json": DEEPSPEED.format(1e-4)})),
)  # fmt: skip


@rule("LR402")
def configured_lr_overridden(
    run: Run, trajectory: Trajectory, identification: Identification, *, tolerance: float = 0.02, factor: float = 2.0
) -> Iterator[Finding]:
    asked = [hint for hint in run.hints if hint.name == "lr" and _number(hint) is not None and hint.detail is None]
    lead, group = identification.lead, trajectory.lead
    if not asked or lead is None or group is None or len(group.lr) < MIN_POINTS or trajectory.step_unit == "env-step":
        return
    fit = lead.fits[0]
    if fit.family == "RangeTest":
        return
    exact = fit.sure and fit.exact and not fit.assumed and fit.peak_lr <= UNSEEN * trajectory.peak_lr
    peak = fit.peak_lr if exact else trajectory.peak_lr
    peaks = [peak, *(float(np.nanmax(other.lr)) for other in trajectory.groups[1:] if len(other.lr))]
    allowed = 1.0 + tolerance if exact else factor
    if not peak > 0 or any(_near(one, hint, allowed) for one in peaks for hint in asked):
        return
    closest = min(asked, key=lambda hint: abs(math.log(peak / float(_number(hint) or peak))))
    ratio = peak / float(_number(closest) or peak)
    if ratio < 1.0 and not _peak_was_seen(group, trajectory, exact):
        return
    if not _usual_scaling(ratio, run, trajectory):
        yield _finding(run, trajectory, fit, closest, peak, ratio)


def _number(hint: Hint) -> float | None:
    value = hint.value
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _near(peak: float, hint: Hint, allowed: float) -> bool:
    value = _number(hint)
    return value is not None and peak > 0 and max(peak / value, value / peak) <= allowed


def _peak_was_seen(group: GroupTrajectory, trajectory: Trajectory, exact: bool) -> bool:
    """Whether a higher learning rate cannot have gone unseen: before the first point, or after the last one."""
    top = int(np.nanargmax(group.lr))
    begins = group.steps[0] <= max(1.0, 0.02 * trajectory.steps) and not any(
        part.resumed for part in trajectory.segments[:1]
    )
    turned = top <= SEEN * (len(group.lr) - 1) and (exact or len(group.lr) >= 2 * MIN_POINTS)
    return bool(begins and turned)


def _usual_scaling(ratio: float, run: Run, trajectory: Trajectory) -> bool:
    """Whether devices, accumulation or the batch explain the ratio."""
    batch = trajectory.batch_size
    known = [float(str(run.declared(name))) for name in ("world_size", "grad_accum") if run.declared(name)]
    scales: list[float] = [*map(float, COUNTS), *known]
    if batch:
        scales += [batch / reference * times for reference in REFERENCES for times in (1.0, *known)]
    return any(_same(ratio, scale) for base in scales for scale in (base, 1.0 / base, math.sqrt(base), base**-0.5))


def _same(ratio: float, scale: float) -> bool:
    return abs(ratio / scale - 1.0) <= SCALING


def _finding(run: Run, trajectory: Trajectory, fit: Fit, hint: Hint, peak: float, ratio: float) -> Finding:
    asked = float(_number(hint) or peak)
    schedule = scaled(fit.whole, 1.0 / ratio)
    seen = contrast(trajectory, fit.whole, schedule)
    times = f"{ratio:.3g} times" if ratio >= 1.0 else f"1/{1.0 / ratio:.3g} of"
    return Finding(
        measured=f"The learning rate peaks at {peak:.4g}, {times} what {hint.key} in {_name(hint.path)} says.",
        expected=(
            f"{hint.key} = {asked:.4g}: {seen.expected:.3g} at step {seen.worst_step:.0f}, where {seen.observed:.3g} "
            f"was used (different from step {seen.first_step:.0f} on)."
        ),
        consequence=f"Something else sets the learning rate{_owner(run)}: this is not the run its settings describe.",
        first_step=seen.first_step,
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence={
            "configured_lr": asked,
            "configured_in": hint.path,
            "key": hint.key,
            "executed_peak_lr": peak,
            "ratio": round(ratio, 6),
            **seen.evidence(),
        },
        remedy=Remedy(
            "Let one place own the learning rate; here the schedule at the configured one, if that was meant.",
            schedule,
        ),
    )


def _name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def _owner(run: Run) -> str:
    """The usual second owner in a framework."""
    owners: Sequence[tuple[str, str]] = (
        ("ultralytics", " (optimizer=auto ignores lr0)"),
        ("deepspeed", " (a scheduler in the DeepSpeed file)"),
    )
    return next((text for name, text in owners if run.framework == name), "")


@rule("LR402")
def configured_lr_ignored(config: Plan) -> Iterator[Finding]:
    for item in config.ignored:
        if item.about == "override":
            instead = item.instead
            known = instead is not None and isinstance(instead.value, float)
            yield config_finding(
                config,
                item.setting,
                f"{item.setting.key} is {item.setting.value:.3g}, and {item.why}.",
                f"The learning rate in use is {instead.value:.3g}, of {instead.key}."
                if known and instead is not None
                else "One place should decide the learning rate.",
                "What is reviewed and swept here is not what the run trains with.",
                f"{item.cure[:1].upper()}{item.cure[1:]}.",
                evidence={
                    "configured_lr": item.setting.value,
                    "used_lr": instead.value if known and instead is not None else None,
                },
                severity=item.severity,
            )
