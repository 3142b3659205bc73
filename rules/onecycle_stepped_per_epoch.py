"""OneCycleLR was built for every update but stepped once an epoch, so almost none of its cycle was visited.

## What it does
Looks for a one-cycle schedule whose clock ticks once an epoch while `total_steps` counts optimizer updates. It needs
one of two signs: the logged learning rate climbs in plateaus of one epoch along the first sliver of the rise, or a
checkpoint's scheduler has made h steps where the optimizer has made k = h x N (N updates an epoch).

In a training config: a OneCycleLR in LightningCLI's `lr_scheduler`, which steps it once an epoch, with a `total_steps`
that the epochs come nowhere near.

## Why is this bad?
After E epochs the schedule stands at tick E of N x E. With the defaults it starts at a 25th of `max_lr` and rises with
the square of the epoch, so the run trains at about 4 % of the intended peak from beginning to end, and never anneals.
(It does not race through the cycle in the first epoch; that is what `total_steps=epochs` stepped per update does.)

## How to fix it
Call `scheduler.step()` after every `optimizer.step()`. In Lightning return
`{"scheduler": scheduler, "interval": "step"}` as `lr_scheduler`, since the default interval is the epoch. Or keep
stepping per epoch and build the schedule with `total_steps=epochs`.

Not reported: `total_steps=epochs` stepped per epoch (a coarse cycle, but a complete one), a cycle stepped per update
and logged once an epoch, and a run that was stopped before its cycle was over.

## Options
- `visited`: report only where less than this fraction of the cycle was visited.
- `epochs`: report only after this many steps of the scheduler.

## References
- Smith and Topin 2017, "Super-Convergence": the policy is defined per iteration
- PyTorch documentation of OneCycleLR: "step should be called after a batch has been used for training"
- pytorch/pytorch issue 65417, Lightning issue 5631
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from lrdoctor import (
    Case,
    Checkpoint,
    CosineAnnealingLR,
    Finding,
    Fit,
    OneCycleLR,
    Plan,
    Remedy,
    SchedulerState,
    Stepped,
    Trajectory,
    config_finding,
    planned_lrs,
    rule,
    synth,
)

HORIZON_TOLERANCE = 0.02
"""How far total_steps may be from the planned updates: loaders drop a last batch, plans round (chosen by us)."""
MADE_TOLERANCE = 0.005
"""How far it may be from the updates made where nothing states a plan (chosen by us)."""
USUAL_PCT_START = 0.3
"""torch's default."""
OTHER_PCT_STARTS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.4, 0.5)
PCT_START_RANGE = (0.05, 0.6)
FEW_UPDATES = 10
"""With fewer updates an epoch a cycle of epochs that was cut short looks much the same (chosen by us)."""
ARGUMENTS = ("max_lr", "total_steps", "pct_start", "anneal_strategy", "div_factor", "final_div_factor", "three_phase")
MANY_EPOCHS = 1000
"""Nobody plans a cycle of this many epochs and stops it within its first sliver (chosen by us)."""

CYCLE = OneCycleLR(0.1, total_steps=400)
LIGHTNING = """
    optimizer: {{class_path: torch.optim.AdamW, init_args: {{lr: 1e-5}}}}
    lr_scheduler: {{class_path: torch.optim.lr_scheduler.OneCycleLR, init_args: {{max_lr: 1e-5, total_steps: {}}}}}
    trainer: {{max_epochs: 360}}
"""
CASES = (
    Case("built for 400 updates, stepped in 20 epochs", synth.run(CYCLE, steps=400, per_epoch=20), fires=True),
    Case(
        "the same, and the run was stopped half way",
        synth.run(replace(CYCLE, total_steps=800), steps=400, per_epoch=20, complete=False),
        fires=True,
    ),
    Case(
        "seen from a checkpoint alone",
        synth.run(CYCLE, steps=400, per_epoch=20, log_lr=False, checkpoints=(400,), optimizer="Adam"),
        fires=True,
    ),
    Case("stepped at every update", synth.run(CYCLE, steps=400, steps_per_epoch=20, checkpoints=(400,))),
    Case(
        "stepped at every update, logged once an epoch",
        synth.run(CYCLE, steps=400, steps_per_epoch=20, log_every=20),
    ),
    Case(
        "built for epochs and stepped per epoch: a coarse cycle, on purpose",
        synth.run(OneCycleLR(0.1, total_steps=40), steps=800, per_epoch=20, checkpoints=(800,), optimizer="Adam"),
    ),
    Case(
        "built for epochs, stepped per epoch, stopped half way through the rise",
        synth.run(OneCycleLR(0.1, total_steps=40), steps=100, per_epoch=20, complete=None, checkpoints=(100,)),
    ),
    Case(
        "stepped at every update, stopped at a quarter",
        synth.run(CYCLE, steps=100, steps_per_epoch=20, complete=None),
    ),
    Case("a cosine stepped per epoch", synth.run(CosineAnnealingLR(0.1, T_max=20), steps=400, per_epoch=20)),
    Case("LightningCLI with a cycle of 80000 steps in 360 epochs", synth.config(LIGHTNING.format(80000)), fires=True,
         cured=synth.config(LIGHTNING.format(360))),
    Case("LightningCLI with a cycle of as many epochs", synth.config(LIGHTNING.format(360))),
    Case("LightningCLI with a cycle just above twice the epochs", synth.config(LIGHTNING.format(721)), fires=True,
         cured=synth.config(LIGHTNING.format(360))),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Clock:
    """A cycle of `total` ticks of which `ticks` passed while the optimizer made `updates`; `where` it was seen."""

    cycle: OneCycleLR
    ticks: float
    updates: float
    where: str
    assumed: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        return self.cycle.total_steps

    @property
    def per_tick(self) -> float:
        return self.updates / self.ticks

    @property
    def visited(self) -> float:
        return self.ticks / self.total

    @property
    def rise(self) -> float:
        """Ticks of the rise: all that the foot of a cycle tells for sure, whatever pct_start is."""
        return self.cycle.pct_start * self.total

    @property
    def usual_total(self) -> float:
        """The length with torch's pct_start, where the log shows no more than the foot; else the length."""
        return self.rise / USUAL_PCT_START if self.assumed else self.total


@rule("LR101", suppresses=("LR303", "LR306", "LR308", "LR405", "LR502"))
def onecycle_stepped_per_epoch(
    trajectory: Trajectory,
    fit: Fit | None,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    visited: float = 0.5,
    epochs: int = 3,
) -> Iterator[Finding]:
    clock = _clock_of_fit(trajectory, fit)
    if clock is None and not _ticks_per_update(fit):
        clock = _clock_of_checkpoints(trajectory, checkpoints or ())
    if clock is None or clock.ticks < epochs or clock.visited >= visited or clock.per_tick < 2:
        return
    planned = _planned(clock, trajectory, checkpoints or ())
    severity = _severity(clock, trajectory, planned)
    if severity is not None:
        yield _finding(clock, trajectory, planned, severity)


def _ticks_per_update(fit: Fit | None) -> bool:
    """Whether the log itself shows the scheduler moving at every update."""
    return fit is not None and fit.family == "OneCycleLR" and fit.stepped == "update"


def _clock_of_fit(trajectory: Trajectory, fit: Fit | None) -> Clock | None:
    """The clock as the logged learning rate shows it."""
    if fit is None or not isinstance(fit.schedule, OneCycleLR) or fit.stepped != "epoch":
        return None
    ticks = math.ceil((fit.last_step - fit.first_step + 1) / fit.steps_per_tick)
    per_tick = _updates_per_tick(trajectory, fit)
    return Clock(fit.schedule, ticks, ticks * per_tick, "in the log", fit.assumed) if per_tick else None


def _updates_per_tick(trajectory: Trajectory, fit: Fit) -> float | None:
    """Updates an epoch. A run of known length, logged per epoch, has as many as make the cycle fit it."""
    if trajectory.step_unit != "epoch":
        return fit.steps_per_tick
    if trajectory.steps_per_epoch or not (trajectory.complete and trajectory.planned_steps):
        return trajectory.steps_per_epoch
    return fit.schedule.horizon / trajectory.planned_steps if fit.schedule.horizon else None


def _clock_of_checkpoints(trajectory: Trajectory, checkpoints: tuple[Checkpoint, ...]) -> Clock | None:
    """The clock as the latest checkpoint with a one-cycle scheduler shows it."""
    clocks = (_clock_of_checkpoint(trajectory, point) for point in checkpoints)
    return max((clock for clock in clocks if clock is not None), key=lambda clock: clock.ticks, default=None)


def _clock_of_checkpoint(trajectory: Trajectory, checkpoint: Checkpoint) -> Clock | None:
    state, optimizer = checkpoint.scheduler, checkpoint.optimizer
    updates = optimizer.step if optimizer is not None and optimizer.step else checkpoint.global_step
    if updates is None and checkpoint.epoch and trajectory.steps_per_epoch:
        updates = round(checkpoint.epoch * trajectory.steps_per_epoch)
    if state is None or state.family != "OneCycleLR" or not state.last_epoch or not updates:
        return None
    cycle = _cycle_of(state)
    return None if cycle is None else Clock(cycle, state.last_epoch, float(updates), checkpoint.path)


def _cycle_of(state: SchedulerState) -> OneCycleLR | None:
    """The cycle a scheduler's state describes; None where it lacks the length or one peak for all groups."""
    known = {name: state.params[name] for name in ARGUMENTS if state.params.get(name) is not None}
    if not {"max_lr", "total_steps"} <= known.keys() or isinstance(known["max_lr"], tuple):
        return None
    cycle: OneCycleLR = OneCycleLR(**known)  # type: ignore[arg-type]  # plain values, checked by OneCycleLR itself
    return cycle


def _planned(clock: Clock, trajectory: Trajectory, checkpoints: tuple[Checkpoint, ...]) -> float | None:
    """The planned number of updates, where anything states it."""
    if trajectory.planned_steps and trajectory.step_unit in ("update", "epoch"):
        return trajectory.planned_steps * (clock.per_tick if trajectory.step_unit == "epoch" else 1.0)
    return next((float(point.max_steps) for point in checkpoints if point.max_steps), None)


def _severity(clock: Clock, trajectory: Trajectory, planned: float | None) -> Literal["error", "warning"] | None:
    """How sure it is that the cycle's length counts updates, not epochs; None where it may well count epochs."""
    if planned is not None:
        return "error" if _counts_updates(clock, planned) else None
    made = max(clock.updates, _updates_made(trajectory))
    if clock.assumed and clock.per_tick < FEW_UPDATES:
        return None
    if abs(clock.usual_total - made) <= max(1.0, MADE_TOLERANCE * made):
        return "error"  # the run made just as many updates as the cycle has ticks
    never = clock.usual_total > made and clock.usual_total >= MANY_EPOCHS
    return "warning" if never or _another_pct_start(clock, made) else None


def _counts_updates(clock: Clock, planned: float) -> bool:
    """Whether the cycle was built for the `planned` updates (or more of them), and not for as many epochs."""
    planned_epochs = planned / clock.per_tick
    if abs(clock.usual_total - planned_epochs) <= max(1.0, HORIZON_TOLERANCE * planned_epochs):
        return False
    if clock.usual_total >= planned - max(clock.per_tick, HORIZON_TOLERANCE * planned):
        return True
    low, high = PCT_START_RANGE
    epochs_at_most = high / clock.per_tick  # what a cycle of the planned epochs could look like
    return bool(clock.assumed) and max(low, epochs_at_most) <= clock.rise / planned <= high


def _another_pct_start(clock: Clock, made: float) -> bool:
    """Whether the rise fits `made` updates with a plain pct_start, and no whole number of epochs with the usual one."""
    share, epochs = clock.rise / made, clock.usual_total
    plain = any(abs(share - usual) <= 0.01 * usual for usual in OTHER_PCT_STARTS)
    return bool(clock.assumed) and plain and abs(epochs - round(epochs)) > 0.05


def _updates_made(trajectory: Trajectory) -> float:
    return float(trajectory.steps) if trajectory.step_unit == "update" else 0.0


def _finding(
    clock: Clock, trajectory: Trajectory, planned: float | None, severity: Literal["error", "warning"]
) -> Finding:
    cycle = clock.cycle
    reached = float(cycle.lr_at([max(clock.ticks - 1, 0.0)])[0])
    total = round(planned or max(clock.updates, _updates_made(trajectory)))
    healthy = replace(cycle, total_steps=total)
    return Finding(
        measured=(
            f"The scheduler made {clock.ticks:.0f} steps in {clock.updates:.0f} optimizer updates ({clock.where}): "
            f"one per {clock.per_tick:.0f} updates, {clock.visited:.1%} of a cycle of {clock.total:.0f}."
        ),
        expected=f"A cycle of {clock.total:.0f} steps is stepped after every update.",
        consequence=(
            f"The learning rate reached {reached:.3g}, {reached / cycle.max_lr:.1%} of max_lr = {cycle.max_lr:.3g}, "
            f"and was never annealed.{_doubts(clock, severity)}"
        ),
        first_step=0.0,
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence={
            "scheduler_steps": round(clock.ticks),
            "optimizer_updates": round(clock.updates),
            "updates_per_scheduler_step": round(clock.per_tick, 3),
            "total_steps": clock.total,
            "planned_updates": planned,
            "visited_fraction": round(clock.visited, 6),
            "max_lr": cycle.max_lr,
            "reached_lr": reached,
            "assumed": ", ".join(clock.assumed) or None,
        },
        remedy=Remedy(
            f"Step the scheduler after every optimizer update: total_steps = {total} of them.",
            healthy if trajectory.step_unit != "epoch" else Stepped(healthy, 1.0 / clock.per_tick),
            _code(healthy),
        ),
        severity=severity,
    )


def _doubts(clock: Clock, severity: Literal["error", "warning"]) -> str:
    taken = f" Taken on trust: {', '.join(clock.assumed)}." if clock.assumed else ""
    if severity == "error":
        return taken
    return f"{taken} Nothing states the planned length: this holds unless the cycle was really built for epochs."


def _code(cycle: OneCycleLR) -> str:
    return (
        f"scheduler = {cycle.torch_code()}\n"
        "for batch in loader:\n"
        "    ...\n"
        "    optimizer.step()\n"
        "    scheduler.step()  # after every update, not once an epoch\n"
        '# Lightning: return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}'
    )


@rule("LR101", suppresses=("LR303", "LR306", "LR308", "LR405", "LR502"))
def onecycle_configured_per_epoch(config: Plan, *, visited: float = 0.5, epochs: int = 3) -> Iterator[Finding]:
    total, horizon = config.total.value, config.horizon
    if config.family != "OneCycleLR" or config.unit != "epoch" or total is None or horizon is None or total < epochs:
        return
    share, planned = total / horizon.value, planned_lrs(config, total)
    if share >= visited or planned is None or config.lr is None:
        return
    highest = float(planned[1].max())
    yield config_finding(
        config,
        horizon,
        f"The one-cycle schedule has {horizon.value:,.0f} steps and is stepped once an epoch: {total:,.0f} epochs "
        f"visit {share:.2%} of it, up to a learning rate of {highest:.3g}.",
        f"Its peak, {config.lr.value:.3g}, is meant to be reached and left again.",
        f"The run trains at {highest / config.lr.value:.0%} of the peak at most, and is never annealed.",
        f"Set total_steps to the {total:,.0f} epochs, or let the module's configure_optimizers return "
        '{"scheduler": scheduler, "interval": "step"}.',
        evidence={"total_steps": horizon.value, "epochs": total, "visited_fraction": share, "highest_lr": highest},
        code=f"total_steps: {total:.0f}",
    )
