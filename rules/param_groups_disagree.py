"""A parameter group keeps its learning rate while the schedule moves the others.

## What it does
Compares the parameter groups of one optimizer, by their logged learning rates or by those saved in three or more
checkpoints. It reports a group that stays where it is, above zero, while another one moves by more than a tenth.

## Why is this bad?
The group is outside the schedule: it gets neither warmup nor annealing, and its layers train at full learning rate to
the end. It happens in loops that write `optimizer.param_groups[0]["lr"]` alone, and when layers are unfrozen and added
with `add_param_group` after a LambdaLR (and so any Hugging Face schedule) was built: older versions of torch leave the
new group out without a word, newer ones refuse to step.

## How to fix it
Build the scheduler again after adding a group, or add all groups before it and keep frozen ones at
`requires_grad=False`. In a loop of your own, scale every group: `group["lr"] = group["initial_lr"] * factor`.

Not reported: groups at different heights (layer-wise decay), a floor that they share, groups at zero, a bias group that
warms up from above (Ultralytics), and different optimizers.

## Options
- `moves`: part of its peak by which another group must have moved.

## References
- huggingface/transformers issue 20029 (an unfrozen group stays constant), speedinghzl/pytorch-segmentation-toolbox 12
- PyTorch documentation of Optimizer.add_param_group and LambdaLR
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lrdoctor import (
    Case,
    Checkpoint,
    Constant,
    CosineAnnealingLR,
    Finding,
    Remedy,
    Trajectory,
    rule,
    synth,
)

Array = npt.NDArray[np.float64]

MIN_POINTS = 10
"""So many logged points of a group are needed (chosen by us)."""
MIN_CHECKPOINTS = 3
STILL = 1e-6
"""A group moves from this part of its peak on: float32 rounds by a tenth of it."""
ANOTHER_OPTIMIZER = re.compile(r"lr-\w+-\d+(/|$)")
"""How Lightning names the second optimizer of a class: its groups are none of the first one's."""

COSINE = CosineAnnealingLR(0.1, T_max=400)
LOW, STUCK = replace(COSINE, lr=0.01), Constant(0.01)
SAVED = (100, 200, 400)
CASES = (
    Case("the second group stays", synth.run(COSINE, steps=400, further_groups=(STUCK,)), fires=True,
         cured=synth.run(COSINE, steps=400, further_groups=(LOW,))),
    Case("seen in three checkpoints",
         synth.run(COSINE, steps=400, log_lr=False, further_groups=(STUCK,), checkpoints=SAVED), fires=True,
         cured=synth.run(COSINE, steps=400, log_lr=False, further_groups=(LOW,), checkpoints=SAVED)),
    Case("groups at different heights", synth.run(COSINE, steps=400, further_groups=(LOW,), checkpoints=SAVED)),
    Case("a floor they share",
         synth.run(replace(COSINE, eta_min=5e-3), steps=400, further_groups=(replace(LOW, eta_min=5e-3),))),
    Case("a frozen group at zero", synth.run(COSINE, steps=400, further_groups=(Constant(0.0),))),
    Case("all constant", synth.run(Constant(0.1), steps=400, further_groups=(STUCK,))),
    Case("the others moved by less than a tenth so far",
         synth.run(COSINE, steps=80, complete=None, further_groups=(STUCK,))),
    Case("the others moved by a little more",
         synth.run(COSINE, steps=90, complete=None, further_groups=(STUCK,)), fires=True,
         cured=synth.run(COSINE, steps=90, complete=None, further_groups=(LOW,))),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """`lrs` (groups, points) of the groups `names` at `steps` (points,); `where` they were seen."""

    names: tuple[str, ...]
    steps: Array
    lrs: Array
    where: str

    @property
    def travel(self) -> Array:
        """(groups,) how far each moved, as a part of its peak; NaN for a group at zero."""
        top = self.lrs.max(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            moved: Array = (top - self.lrs.min(axis=1)) / top
        return np.where(top > 0, moved, np.nan)


@rule("LR404")
def param_groups_disagree(
    trajectory: Trajectory, checkpoints: tuple[Checkpoint, ...] | None, *, moves: float = 0.1
) -> Iterator[Finding]:
    groups = _logged(trajectory) or _saved(checkpoints or ())
    if groups is None:
        return
    travel = groups.travel
    moving = np.flatnonzero(travel > moves)
    if len(moving):
        for index in np.flatnonzero(travel <= STILL):
            yield _finding(groups, int(index), int(moving[np.argmax(travel[moving])]))


def _logged(trajectory: Trajectory) -> Groups | None:
    """The groups at the steps at which all of them were logged."""
    groups = trajectory.groups
    if len(groups) < 2 or any(ANOTHER_OPTIMIZER.match(group.name) for group in groups):
        return None
    steps = groups[0].steps
    for group in groups[1:]:
        steps = np.intersect1d(steps, group.steps)
    if len(steps) < MIN_POINTS:
        return None
    lrs = np.stack([group.lr[np.searchsorted(group.steps, steps)] for group in groups])
    good = np.isfinite(lrs).all(axis=0)
    if good.sum() < MIN_POINTS or trajectory.lr_quantum:
        return None
    return Groups(tuple(group.name for group in groups), steps[good], lrs[:, good], "in the log")


def _saved(checkpoints: tuple[Checkpoint, ...]) -> Groups | None:
    """The groups as checkpoints hold them, where all of them have the same number of them."""
    rows, steps = [], []
    for point in checkpoints:
        if point.optimizer is None or point.global_step is None or len(point.schedulers) > 1:
            continue
        lrs = [group.get("lr") for group in point.optimizer.param_groups]
        if all(isinstance(lr, int | float) for lr in lrs):
            rows.append([float(str(lr)) for lr in lrs])
            steps.append(float(point.global_step))
    if len(rows) < MIN_CHECKPOINTS or len({len(row) for row in rows}) != 1 or len(rows[0]) < 2:
        return None
    names = tuple(f"param_groups[{index}]" for index in range(len(rows[0])))
    return Groups(names, np.asarray(steps), np.asarray(rows).T, f"in {len(rows)} checkpoints")


def _finding(groups: Groups, still: int, moving: int) -> Finding:
    lr, other = groups.lrs[still], groups.lrs[moving]
    healthy = lr[0] * other / other[0] if other[0] > 0 else lr.max() * other / other.max()
    off = np.abs(healthy - lr)
    worst, first = int(np.argmax(off)), int(np.argmax(off > 0.01 * healthy.max()))
    return Finding(
        measured=(
            f"{groups.names[still]} stays at {lr[0]:.3g} ({groups.where}), while {groups.names[moving]} goes from "
            f"{other.max():.3g} to {other.min():.3g}."
        ),
        expected=(
            f"In proportion it would be {healthy[worst]:.3g} at step {groups.steps[worst]:.0f}, where {lr[worst]:.3g} "
            f"was used (different from step {groups.steps[first]:.0f} on)."
        ),
        consequence="That group is outside the schedule, unless it was meant to be: no warmup, no annealing.",
        first_step=float(groups.steps[first]),
        last_step=float(groups.steps[-1]),
        evidence={
            "group_lr": float(lr[0]),
            "other_group": groups.names[moving],
            "other_highest_lr": float(other.max()),
            "other_lowest_lr": float(other.min()),
            "differs_from_step": float(groups.steps[first]),
            "worst_step": float(groups.steps[worst]),
            "observed_lr": float(lr[worst]),
            "expected_lr": float(healthy[worst]),
        },
        remedy=Remedy(
            "Put every parameter group under the schedule; the schedule itself stays.",
            None,
            'optimizer.add_param_group({"params": head.parameters(), "lr": lr})\n'
            "scheduler = make_scheduler(optimizer)  # after the last group was added, then load its state",
        ),
        group=groups.names[still],
    )
