"""The gradient scaler skipped updates, and the scheduler went on without them.

## What it does
Compares the scheduler's count with the optimizer's in each checkpoint: under fp16 the optimizer lags by the updates
that were skipped for overflowing gradients. DeepSpeed's own count of skipped steps is read too, and the loss scale,
each halving of which was a skip.

## Why is this bad?
The schedule runs ahead of the training by the skipped updates. A few at the start are how the scaler finds its scale,
and harmless. Many say that gradients overflow all the time: that is an instability, of which the schedule is the least.

## How to fix it
Step the scheduler only where the optimizer stepped: compare `scaler.get_scale()` before and after `scaler.update()`,
and leave the scheduler alone where it fell. For many skips lower the learning rate or `init_scale`, clip gradients
after `scaler.unscale_(optimizer)`, or train in bf16, which needs no scaler.

Not reported: the first ten skips, bf16, schedules stepped per epoch, and counts that a lost optimizer state explains.

## Options
- `normal`: so many skips are the scaler's search for its scale.
- `share`: above this share of the steps it is a warning.

## References
- PyTorch documentation, "Automatic Mixed Precision examples" and GradScaler: steps with infinite gradients are skipped
- pytorch/pytorch issues 55585 and 67590, huggingface/transformers issue 11144
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from lrdoctor import (
    Case,
    Checkpoint,
    CosineAnnealingLR,
    Counts,
    Finding,
    Remedy,
    Run,
    ScalerState,
    Schedule,
    Trajectory,
    counts_of,
    rule,
    stated_whole,
    synth,
)

INITIAL_SCALE = 65536.0
"""torch's GradScaler begins at 2 ** 16."""
MOST = 1.5
"""More scheduler steps per update than this are no skipped updates (chosen by us)."""
SCALED = ("fp16", "float16", "16", "16-mixed", "amp", "half")
"""Precisions that need a gradient scaler, as settings spell them."""

COSINE = CosineAnnealingLR(1e-3, T_max=2000)


def _run(
    *saved: synth.Saved, schedule: Schedule = COSINE, precision: str = "fp16", **settings: object
) -> synth.RunSpec:
    settings = {
        "steps": 2000, "optimizer": "AdamW", "checkpoints": saved, "declared": {"precision": precision}, **settings
    }  # fmt: skip
    return synth.run(schedule, **settings)  # type: ignore[arg-type]  # keywords of synth.run


WHOLE = _run(synth.Saved(2000))
CASES = (
    Case("100 of 2000 updates were skipped", _run(synth.Saved(2000, lost=100)), fires=True, cured=WHOLE),
    Case("15 were, which is a remark", _run(synth.Saved(2000, lost=15)), fires=True, cured=WHOLE),
    Case("none were", WHOLE),
    Case("10 were: the scaler looked for its scale", _run(synth.Saved(2000, lost=10))),
    Case("11 were", _run(synth.Saved(2000, lost=11)), fires=True, cured=WHOLE),
    Case("bf16 has no scaler", _run(synth.Saved(2000, lost=100), precision="bf16")),
    Case("the optimizer lost its count at a checkpoint", _run(synth.Saved(100), synth.Saved(2000, lost=100))),
    Case("stepped per epoch",
         _run(synth.Saved(2000, lost=100), schedule=CosineAnnealingLR(1e-3, T_max=20), per_epoch=100)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Skips:
    """`skipped` of `steps` updates were, as `where` says.

    `recent` is their share since the checkpoint before, or since the scaler had found its scale.
    """

    skipped: int
    steps: float
    recent: float
    where: str
    counts: Counts | None = None


@rule("LR103")
def scheduler_ahead_of_skipped_updates(
    run: Run, trajectory: Trajectory, checkpoints: tuple[Checkpoint, ...], *, normal: int = 10, share: float = 0.01
) -> Iterator[Finding]:
    skips = _told(checkpoints, normal) or _counted(run, trajectory, checkpoints, normal)
    if skips is None or skips.skipped <= normal:
        return
    yield _finding(skips, trajectory, checkpoints[-1].scaler, grave=skips.recent > share)


def _told(checkpoints: tuple[Checkpoint, ...], normal: int) -> Skips | None:
    """What DeepSpeed counted."""
    known = [(point, point.scaler.skipped) for point in checkpoints if point.scaler is not None and point.global_step]
    told = [(point, skipped, float(point.global_step or 0)) for point, skipped in known if skipped is not None]
    if not told:
        return None
    point, skipped, steps = told[-1]
    before, since = (told[-2][1], told[-2][2]) if len(told) > 1 else (normal, 0.0)
    recent = (skipped - before) / (steps - since) if steps > since else skipped / steps
    return Skips(skipped, steps, recent, f"as {point.path} counts them")


def _counted(run: Run, trajectory: Trajectory, checkpoints: tuple[Checkpoint, ...], normal: int) -> Skips | None:
    """The scheduler's lead over the optimizer, where a scaler can be the reason."""
    known = [counts for counts in counts_of(checkpoints) if counts.own]
    if not known or not 1.0 < known[-1].ratio < MOST or not _may_skip(run, known[-1].checkpoint):
        return None
    last = known[-1]
    lead = round(last.ticks - last.updates)
    earlier = [float(point.global_step) for point in checkpoints if point.global_step]
    resumed = [part.first_step for part in trajectory.segments if part.resumed]
    if any(abs(lead - start) <= 1.0 for start in (*earlier, *resumed)):
        return None  # the optimizer's count started over there
    before, since = (known[-2].ticks - known[-2].updates, known[-2].ticks) if len(known) > 1 else (normal, 0.0)
    recent = (lead - before) / (last.ticks - since) if last.ticks > since else lead / last.ticks
    return Skips(lead, last.ticks, recent, f"in {last.checkpoint.path}", last)


def _may_skip(run: Run, point: Checkpoint) -> bool:
    """Whether the training scales its gradients."""
    precision = str(run.declared("precision") or "").lower()
    return point.scaler is not None or precision in SCALED


def _finding(skips: Skips, trajectory: Trajectory, scaler: ScalerState | None, *, grave: bool) -> Finding:
    due = stated_whole(skips.counts.state) if skips.counts is not None else None
    values = due.lr_at([skips.counts.ticks, skips.counts.updates]) if due is not None and skips.counts else None
    scale = f" The loss scale stands at {scaler.scale:.4g}{_halvings(scaler)}." if scaler and scaler.scale else ""
    return Finding(
        measured=(
            f"{skips.skipped} of {skips.steps:.0f} updates were skipped ({skips.where}), "
            f"{skips.recent:.2%} of the latest.{scale}"
        ),
        expected=(
            f"After {skips.counts.updates:.0f} updates the learning rate would be {values[1]:.4g};"
            if values is not None and skips.counts is not None
            else "The scheduler stands still where the optimizer does."
        ),
        consequence=(f"it is {values[0]:.4g}, {skips.skipped} steps ahead. " if values is not None else "")
        + ("Gradients overflow all the time." if grave else "That is little; the schedule ends so much earlier."),
        first_step=0.0,
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence={
            "skipped_updates": skips.skipped,
            "scheduler_steps": skips.steps,
            "optimizer_updates": skips.steps - skips.skipped,
            "recent_share": skips.recent,
            "loss_scale": scaler.scale if scaler is not None else None,
            "observed_lr": float(values[0]) if values is not None else None,
            "expected_lr": float(values[1]) if values is not None else None,
        },
        remedy=Remedy(
            "Step the scheduler only where the optimizer stepped" + ("; train in bf16." if grave else "."),
            None,
            "scale = scaler.get_scale()\n"
            "scaler.step(optimizer)\n"
            "scaler.update()\n"
            "if scaler.get_scale() >= scale:  # it falls where the update was skipped\n"
            "    scheduler.step()",
        ),
        severity="warning" if grave else None,
    )


def _halvings(scaler: ScalerState) -> str:
    """How many skips the scale itself shows, if it began where torch begins."""
    back = scaler.backoff_factor
    if scaler.scale is None or not back or not 0.0 < back < 1.0 or scaler.scale >= INITIAL_SCALE:
        return ""
    return f", {math.log(INITIAL_SCALE / scaler.scale) / -math.log(back):.0f} reductions below torch's initial one"
