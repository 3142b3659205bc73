"""The learning rate starts over at the beginning of every epoch.

## What it does
Lays the epochs over one another. It reports a learning rate that runs through the same values in each of them and jumps
back at the boundary, and a scheduler whose count in the checkpoints is that of the steps within the epoch.

## Why is this bad?
The schedule was built, or is stepped, with a count that starts at zero in each epoch. The run sees only the first
stretch of it, again and again: a warmup that disturbs the training at every epoch, a decay that never gets far, or a
full peak in the last epoch.

## How to fix it
Build the scheduler once, before the loop over the epochs, and give it the updates of the whole training
(`epochs * len(loader)`). Where the step is computed by hand, use the global step: `epoch * len(loader) + batch`.

Not reported as a fault: cosine cycles of exactly one epoch, which may be warm restarts on purpose (a remark says so,
unless a checkpoint shows that they are), triangular cycles (CyclicLR), and schedules that change between epochs.

## Options
- `epochs`: report only after this many whole epochs.
- `tolerance`: how far the epochs may differ, as a fraction of the range within an epoch.
- `depth`: the least range within an epoch, as a fraction of the peak.

## References
- PyTorch documentation of CosineAnnealingWarmRestarts, for restarts on purpose
- Vision-CAIR/MiniGPT-4 issue 263, Lightning issues 624 and 3205
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lrdoctor import (
    Case,
    Checkpoint,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    Finding,
    Identification,
    LinearLR,
    Remedy,
    Schedule,
    Sequence,
    Trajectory,
    Warmup,
    counts_of,
    first_apart,
    rule,
    synth,
)

Array = npt.NDArray[np.float64]

MIN_POINTS = 4
"""Fewer logged points an epoch show no shape (chosen by us)."""
AGREE = 0.98
"""Share of the points that must lie on the common shape (chosen by us)."""
JUMP = 3.0
"""A jump is this many times the change from point to point on both sides of it (chosen by us)."""
STRAIGHT = 0.02
"""A fall this close to a line, as a fraction of its range, is one (chosen by us)."""

N, E = 30, 8


def _again(part: Schedule, epochs: int = E, **settings: object) -> synth.RunSpec:
    """The schedule built anew at each of the epochs of 30 updates."""
    schedule = Sequence((part,) * epochs, tuple(float(N * epoch) for epoch in range(1, epochs)))
    return synth.run(schedule, steps=N * epochs, steps_per_epoch=N, **settings)  # type: ignore[arg-type]


CASES = (
    Case("a cosine of 240 updates that never gets beyond 30", _again(CosineAnnealingLR(0.1, T_max=N * E)), fires=True),
    Case("an exponential decay of which each epoch logs other updates",
         _again(ExponentialLR(0.1, 0.93), log_every=7), fires=True),
    Case("and of which each logs the same five", _again(ExponentialLR(0.1, 0.93), log_every=6), fires=True),
    Case("an exponential decay that goes on", synth.run(ExponentialLR(0.1, 0.99), steps=N * E, steps_per_epoch=N,
                                                        log_every=7)),
    Case("seen in the checkpoints alone",
         _again(CosineAnnealingLR(0.1, T_max=N * E), log_lr=False, checkpoints=(75, 135, 225), optimizer="Adam"),
         fires=True, cured=synth.run(CosineAnnealingLR(0.1, T_max=N * E), steps=N * E, steps_per_epoch=N, log_lr=False,
                                     checkpoints=(75, 135, 225), optimizer="Adam")),
    Case("the cosine built once", synth.run(CosineAnnealingLR(0.1, T_max=N * E), steps=N * E, steps_per_epoch=N)),
    Case("warm restarts of one epoch, as the checkpoint says",
         synth.run(CosineAnnealingWarmRestarts(0.1, T_0=N), steps=N * E, steps_per_epoch=N, checkpoints=(N * E,))),
    Case("warm restarts of two epochs",
         synth.run(CosineAnnealingWarmRestarts(0.1, T_0=2 * N), steps=N * E, steps_per_epoch=N)),
    Case("warm restarts twice an epoch",
         synth.run(CosineAnnealingWarmRestarts(0.1, T_0=N // 2), steps=N * E, steps_per_epoch=N)),
    Case("a schedule stepped per epoch", synth.run(CosineAnnealingLR(0.1, T_max=8), steps=N * E, per_epoch=N)),
    Case("the cosine in each of two epochs", _again(CosineAnnealingLR(0.1, T_max=N * E), 2)),
    Case("in each of three", _again(CosineAnnealingLR(0.1, T_max=N * E), 3), fires=True),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Epoch:
    """The common shape of the epochs: `lr` (n,) at `phase` (n,), updates since an epoch began; `length` of an epoch."""

    phase: Array
    lr: Array
    length: float
    epochs: int

    @property
    def depth(self) -> float:
        """The range within an epoch, as a fraction of the peak."""
        return float(np.ptp(self.lr) / self.lr.max())

    @property
    def jump(self) -> float:
        """The change at the boundary."""
        return float(self.lr[0] - self.lr[-1])


@rule("LR106", suppresses=("LR302", "LR303", "LR305", "LR306", "LR307", "LR502"))
def schedule_resets_each_epoch(
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    epochs: int = 3,
    tolerance: float = 0.01,
    depth: float = 0.01,
) -> Iterator[Finding]:
    saved = checkpoints or ()
    length = trajectory.steps_per_epoch
    if length is None or trajectory.step_unit != "update" or _restarts_on_purpose(saved):
        return
    counted = _counted_within_epochs(saved, length)
    epoch = _common_epoch(trajectory, length, tolerance)
    if epoch is None or epoch.epochs < epochs or epoch.depth < depth or not _jumps(epoch):
        if counted is not None and epoch is None and trajectory.lead is None:
            yield _finding_of_counts(counted, length, trajectory)
        return
    yield _finding(epoch, trajectory, sure=counted is not None or not _like_warm_restarts(identification, length))


def _restarts_on_purpose(saved: tuple[Checkpoint, ...]) -> bool:
    return any(
        state.family in ("CosineAnnealingWarmRestarts", "CyclicLR") for point in saved for state in point.schedulers
    )


def _like_warm_restarts(identification: Identification, length: float) -> bool:
    """Whether cosine cycles of exactly one epoch are what was read: nothing tells them from restarts on purpose."""
    fit = identification.lead.fit if identification.lead is not None else None
    if fit is None or not isinstance(fit.schedule, CosineAnnealingWarmRestarts):
        return False
    return fit.schedule.T_mult == 1 and abs(fit.schedule.T_0 * fit.steps_per_tick - length) <= 1.0


def _common_epoch(trajectory: Trajectory, length: float, tolerance: float) -> Epoch | None:
    """The shape that every epoch has; None where they differ, or are too few points to tell."""
    group = trajectory.lead
    if group is None or not np.isfinite(group.lr).all() or len(group.lr) < MIN_POINTS:
        return None
    number, phase = np.floor_divide(group.steps, length), np.mod(group.steps, length)
    counts = np.bincount(number.astype(np.int64))
    mine = number == int(np.argmax(counts))
    if np.max(counts) < MIN_POINTS or not group.lr[mine].max() > 0:
        return None
    complete = int(np.count_nonzero(counts >= MIN_POINTS))
    rounding = trajectory.lr_quantum + trajectory.lr_resolution * float(group.lr.max())
    one = Epoch(phase[mine], group.lr[mine], length, complete)
    if _agree(one, phase, group.lr, tolerance, rounding):
        return one
    odd = np.mod(number, 2.0) == 1.0
    if complete < 2 or not all(
        _agree(_overlaid(phase[half], group.lr[half], one), phase[~half], group.lr[~half], tolerance, rounding)
        for half in (odd, ~odd)
    ):
        return None
    return _overlaid(phase, group.lr, one)


def _agree(shape: Epoch, phase: Array, lr: Array, tolerance: float, rounding: float) -> bool:
    """Whether these points lie on the shape, where it reaches."""
    inside = (phase >= shape.phase[0]) & (phase <= shape.phase[-1])
    off = np.abs(lr - np.interp(phase, shape.phase, shape.lr))[inside]
    return bool(len(off) and np.mean(off <= tolerance * float(np.ptp(shape.lr)) + rounding) >= AGREE)


def _overlaid(phase: Array, lr: Array, one: Epoch) -> Epoch:
    """Epochs laid over one another: a log of every fifth update meets other updates in each, and the gaps close."""
    order = np.lexsort((lr, phase))
    phases, start, count = np.unique(phase[order], return_index=True, return_counts=True)
    return replace(one, phase=phases, lr=lr[order][start + count // 2])


def _jumps(epoch: Epoch) -> bool:
    """Whether the learning rate leaps from the end of an epoch to the beginning of the next, and not within.

    Where it goes one way all through an epoch, it can only leap back; few points make each of its changes large.
    """
    ways, changes = np.sign(np.diff(epoch.lr)), np.abs(np.diff(epoch.lr))
    leaps = _leaps(changes)
    if ways[0] and np.all(ways == ways[0]) and not leaps.any():
        return True
    beside = float(max(changes[0], changes[-1]))
    return abs(epoch.jump) > JUMP * beside and not np.any(changes[1:-1][leaps] > abs(epoch.jump) / 2.0)


def _leaps(changes: Array) -> npt.NDArray[np.bool_]:
    """(n - 2,) which of the changes is much larger than those beside it."""
    leaps: npt.NDArray[np.bool_] = changes[1:-1] > JUMP * np.maximum(changes[:-2], changes[2:])
    return leaps


def _counted_within_epochs(saved: tuple[Checkpoint, ...], length: float) -> tuple[float, float] | None:
    """(scheduler's count, updates) where two checkpoints count the steps within an epoch."""
    found = []
    for counts in counts_of(saved):
        within = np.mod(counts.updates, length)
        late = counts.updates >= 2 * length and counts.ticks != counts.updates // length
        same = min(abs(counts.ticks - within), abs(counts.ticks - within - length * (within == 0))) <= 1.0
        if late:
            found.append((counts.ticks, counts.updates) if same else None)
    return found[-1] if len(found) > 1 and None not in found else None


def _planned(trajectory: Trajectory) -> int:
    return trajectory.planned_steps or trajectory.steps


def _whole_run(epoch: Epoch, total: int) -> Schedule:
    """The shape of the epoch spread over the run: its warmup, then its fall to the end."""
    top = int(np.argmax(epoch.lr))
    peak, warmup = float(epoch.lr[top]), round(float(epoch.phase[top]))
    left = max(total - warmup, 1)
    line = np.interp(epoch.phase[top:], epoch.phase[[top, -1]], epoch.lr[[top, -1]])
    straight = np.abs(epoch.lr[top:] - line).max() <= STRAIGHT * max(float(np.ptp(epoch.lr[top:])), 1e-300)
    main: Schedule = LinearLR(peak, left) if straight else CosineAnnealingLR(peak, left)
    return Warmup(main, warmup, float(epoch.lr[0]) / peak) if 0 < warmup < total else main


def _finding(epoch: Epoch, trajectory: Trajectory, *, sure: bool) -> Finding:
    group, total = trajectory.lead, _planned(trajectory)
    schedule = _whole_run(epoch, total)
    apart = first_apart(group, schedule) if group is not None else None
    last = float(group.steps[-1]) if group is not None else 0.0
    due = float(schedule.lr_at([last])[0])
    doubt = "" if sure else " Unless these are warm restarts on purpose: their cycles would be one epoch."
    return Finding(
        measured=(
            f"In each of {epoch.epochs} epochs of {epoch.length:.0f} updates the learning rate starts at "
            f"{epoch.lr[0]:.4g}, ends at {epoch.lr[-1]:.4g}, and jumps back."
        ),
        expected=f"A schedule over all {total} updates would be at {due:.4g} at step {last:.0f};",
        consequence=(
            f"the run used {group.lr[-1]:.4g} there. " if group is not None else ""
        ) + f"The schedule counts the steps within an epoch.{doubt}",
        first_step=apart.step if apart is not None else epoch.length,
        last_step=last,
        evidence={
            "updates_per_epoch": epoch.length,
            "epochs": epoch.epochs,
            "lr_at_epoch_start": float(epoch.lr[0]),
            "lr_at_epoch_end": float(epoch.lr[-1]),
            "first_apart_step": apart.step if apart is not None else None,
            "observed_lr": apart.observed if apart is not None else None,
            "expected_lr": apart.expected if apart is not None else None,
        },
        remedy=Remedy(
            "Build the scheduler once and index it by the global step; here the shape of an epoch over the whole run.",
            schedule,
            _CODE,
        ),
        severity=None if sure else "info",
    )  # fmt: skip


def _finding_of_counts(counted: tuple[float, float], length: float, trajectory: Trajectory) -> Finding:
    ticks, updates = counted
    return Finding(
        measured=f"The scheduler stands at {ticks:.0f} after {updates:.0f} updates, in epochs of {length:.0f}.",
        expected=f"Built once and stepped at every update it would stand at {updates:.0f};",
        consequence="its count is that of the steps within the epoch, so the schedule starts over in each.",
        first_step=length,
        last_step=float(max(trajectory.steps - 1, length)),
        evidence={"scheduler_steps": ticks, "expected_scheduler_steps": updates, "updates_per_epoch": length},
        remedy=Remedy("Build the scheduler once and step it at every update.", None, _CODE),
    )


_CODE = (
    "scheduler = ...  # once, before the epochs, for epochs * len(loader) updates\n"
    "for epoch in range(epochs):\n"
    "    for batch in loader:\n"
    "        ...\n"
    "        optimizer.step()\n"
    "        scheduler.step()"
)
