"""Runs made to order: a schedule, what was logged of it, and what was saved; and configs. For rules' cases and tests.

    spec = synth.run(CosineAnnealingLR(0.1, T_max=1000), steps=1000, optimizer="SGD")  # cheap: nothing is computed
    run = spec.build()  # a Run, as the readers return it

A built run goes the same way as a real one: reconstruct, identify, rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import cleandoc

import numpy as np

from lrdoctor.model.arrays import FloatArray, floats, ints
from lrdoctor.model.run import Checkpoint, Hint, OptimizerState, Run, Scalar, SchedulerState, Series, Source
from lrdoctor.model.schedule import Schedule
from lrdoctor.schedules import (
    Constant,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    InverseSqrt,
    MultiStepLR,
    OneCycleLR,
    RangeTest,
    Sequence,
    Stepped,
    Unknown,
    Warmup,
    WarmupStableDecay,
)

NOISE_SEED = 20
_STATEFUL = ("Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "Adagrad")  # these keep a step counter; SGD keeps none


@dataclass(frozen=True, slots=True)
class Loss:
    """floor + fall * (1 + step / 100) ** -0.5 plus Gaussian noise; non-finite from step `breaks_at` on.

    `sawtooth` falls away over each epoch, as the running mean of a loss meter that is reset at the epoch's end does.
    A new value is measured every `held` steps and logged until the next, as the mean of an epoch is.
    """

    floor: float = 2.0
    fall: float = 3.0
    noise: float = 0.02
    sawtooth: float = 0.0
    breaks_at: int | None = None
    held: int = 1


@dataclass(frozen=True, slots=True)
class Spike:
    """The loss is `height` higher from step `at` on, for `lasts` steps."""

    at: int
    height: float
    lasts: int = 10**9


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint written after `step` steps, and which parts it holds.

    `detached` is the schedule of a scheduler that drives another optimizer than the one saved; `lost` are the updates
    that the optimizer's own count lacks, all of them where its state is empty; `state` is the scheduler's where it is
    not simply that of the run's schedule; `entries` are further ones of the optimizer's group.
    """

    step: int
    scheduler: bool = True
    optimizer: bool = True
    recomputes: str | None = None
    detached: Schedule | None = None
    lost: int = 0
    state: SchedulerState | None = None
    entries: tuple[tuple[str, Scalar], ...] = ()


@dataclass(frozen=True, slots=True)
class RunSpec:
    """How to make a run. `schedule` is what was executed, over steps 0 to `steps` - 1; see `run` for the rest."""

    schedule: Schedule
    steps: int
    steps_per_epoch: int | None = None
    log_every: int = 1
    first_step: int = 0
    log_lr: bool = True
    further_groups: tuple[Schedule, ...] = ()
    loss: Loss | None = field(default_factory=Loss)
    spikes: tuple[Spike, ...] = ()
    curves: tuple[tuple[str, Schedule], ...] = ()
    resume_at: tuple[int, ...] = ()
    checkpoints: tuple[Saved, ...] = ()
    declared: tuple[tuple[str, Scalar], ...] = ()
    framework: str | None = None
    path: str = "synth/run"

    def build(self) -> Run:
        """The run as the readers would have read it."""
        series = self._series()
        points = sum(len(one) for one in series)
        return Run(
            path=self.path,
            series=series,
            checkpoints=tuple(_checkpoint(self, saved) for saved in self.checkpoints),
            hints=tuple(Hint(name, value, f"{self.path}/hparams.yaml", name) for name, value in self.declared),
            sources=(Source(f"{self.path}/metrics.csv", "csv", points),),
            framework=self.framework,
        )

    def _series(self) -> tuple[Series, ...]:
        steps = np.arange(self.first_step, self.steps, self.log_every, dtype=np.float64)
        axes = {"step": floats(steps)}
        if self.steps_per_epoch:
            axes["epoch"] = floats(steps // self.steps_per_epoch)
        session = ints(np.searchsorted(self.resume_at, steps, side="right")) if self.resume_at else None
        values = {}
        if self.log_lr and not self.further_groups:
            values["train/lr"] = self.schedule.lr_at(steps)
        elif self.log_lr:
            for index, group in enumerate((self.schedule, *self.further_groups)):
                values[f"train/lr/pg{index}"] = group.lr_at(steps)
        if self.loss is not None:
            values["train/loss"] = _losses(self.loss, self.spikes, steps, self.steps_per_epoch)
        values |= {tag: curve.lr_at(steps) for tag, curve in self.curves}
        lines = ints(np.arange(2, len(steps) + 2))
        file = f"{self.path}/metrics.csv"
        return tuple(
            Series(file, tag, floats(data), axes, lines, "csv", session=session) for tag, data in values.items()
        )


def run(
    schedule: Schedule,
    *,
    steps: int,
    per_epoch: int | None = None,
    steps_per_epoch: int | None = None,
    log_every: int = 1,
    first_step: int = 0,
    log_lr: bool = True,
    further_groups: tuple[Schedule, ...] = (),
    loss: Loss | None = Loss(),
    spikes: tuple[Spike, ...] = (),
    curves: Mapping[str, Schedule] | None = None,
    resume_at: tuple[int, ...] = (),
    checkpoints: tuple[int | Saved, ...] = (),
    batch_size: int | None = None,
    optimizer: str | None = None,
    complete: bool | None = True,
    framework: str | None = None,
    declared: Mapping[str, Scalar] | None = None,
    path: str = "synth/run",
) -> RunSpec:
    """A run of `steps` optimizer updates under `schedule`, nothing computed yet.

    `per_epoch` steps the schedule once every that many updates (an epoch) instead of at each. `log_every` thins the
    log, `first_step` cuts its head off, `log_lr=False` leaves the LR out; `further_groups` are the schedules of the
    parameter groups after the first, over updates. `curves` are further series by tag (a metric, the momentum), each a
    function of the update like a schedule. `resume_at` are the steps at which a new
    session continued. `checkpoints` are steps (a complete checkpoint) or `Saved`. `complete` declares the run's
    length, so that it can be told that it finished (True) or was cut at half (False); None declares nothing.
    `declared` are further hints by lrdoctor's names for them ("model", "scheduler", "finetune"...).
    """
    if per_epoch is not None:
        schedule, steps_per_epoch = Stepped(schedule, per_epoch, "epoch"), per_epoch
    planned = {True: steps, False: 2 * steps, None: None}[complete]
    facts: dict[str, Scalar] = {"max_steps": planned, "batch_size": batch_size, "optimizer": optimizer}
    known = {name: value for name, value in {**facts, **(declared or {})}.items() if value is not None}
    return RunSpec(
        schedule=schedule,
        steps=steps,
        steps_per_epoch=steps_per_epoch,
        log_every=log_every,
        first_step=first_step,
        log_lr=log_lr,
        further_groups=further_groups,
        loss=loss,
        spikes=spikes,
        curves=tuple((curves or {}).items()),
        resume_at=resume_at,
        checkpoints=tuple(item if isinstance(item, Saved) else Saved(item) for item in checkpoints),
        declared=tuple(known.items()),
        framework=framework,
        path=path,
    )


def _losses(loss: Loss, spikes: tuple[Spike, ...], steps: FloatArray, per_epoch: int | None) -> FloatArray:
    values = loss.floor + loss.fall * (1.0 + steps / 100.0) ** -0.5
    values += np.random.default_rng(NOISE_SEED).normal(0.0, loss.noise, len(steps))
    if loss.sawtooth and per_epoch:
        values += loss.sawtooth * (1.0 - (steps % per_epoch) / per_epoch)
    for spike in spikes:
        values[(steps >= spike.at) & (steps < spike.at + spike.lasts)] += spike.height
    if loss.breaks_at is not None:
        values[steps >= loss.breaks_at] = np.nan
    _, first = np.unique(steps // loss.held, return_inverse=True)
    return values if loss.held == 1 else values[np.unique(first, return_index=True)[1]][first]


def _checkpoint(spec: RunSpec, saved: Saved) -> Checkpoint:
    state = saved.state or _state(saved.detached or spec.schedule, float(saved.step))
    return Checkpoint(
        path=f"{spec.path}/step_{saved.step:06d}.pt",
        kind="torch",
        model=True,
        optimizer=_optimizer(spec, saved, state) if saved.optimizer else None,
        schedulers=(state,) if state is not None and saved.scheduler else (),
        global_step=saved.step,
        epoch=float(saved.step // spec.steps_per_epoch) if spec.steps_per_epoch else None,
        framework=spec.framework,
        recomputes_schedule=saved.recomputes,
    )


def _optimizer(spec: RunSpec, saved: Saved, state: SchedulerState | None) -> OptimizerState:
    """One parameter group, with what a torch scheduler leaves in it."""
    name = next((str(value) for key, value in spec.declared if key == "optimizer"), "SGD")
    group: dict[str, Scalar] = {"lr": float(spec.schedule.lr_at([float(saved.step)])[0])}
    if state is not None and state.base_lrs and saved.detached is None:
        group["initial_lr"] = state.base_lrs[0]
        group |= {key: _plain(state.params[key]) for key in ("max_lr",) if key in state.params}
    group |= dict(saved.entries)
    further: tuple[dict[str, Scalar], ...] = tuple(
        {"lr": float(other.lr_at([float(saved.step)])[0])} for other in spec.further_groups
    )
    counted = saved.step - saved.lost
    step = counted if name in _STATEFUL and counted else None
    return OptimizerState(name, (group, *further), step, state_size=2 if counted else 0, param_count=2)


def _plain(value: object) -> Scalar:
    return value if isinstance(value, int | float | str) else None


def _state(schedule: Schedule, step: float) -> SchedulerState | None:
    """The state_dict of the torch scheduler behind `schedule` after `step` steps; None where there would be none."""
    if isinstance(schedule, Stepped):
        return _state(schedule.schedule, float(schedule.ticks([step])[0]))
    if isinstance(schedule, Sequence):  # a clock that started over: the state of the scheduler that made these steps
        begun = [0.0, *(start for start in schedule.milestones if start < step)]
        return _state(schedule.parts[len(begun) - 1], step - begun[-1])
    if isinstance(schedule, Constant | Unknown):
        return None
    if isinstance(schedule, InverseSqrt | WarmupStableDecay | RangeTest):  # torch has no class: a function of the step
        lr = (float(schedule.lr_at([step])[0]),)
        return SchedulerState("LambdaLR", step, int(step) + 1, lr, (schedule.peak_lr,), {})
    if isinstance(schedule, Warmup):
        return _sequential(schedule, step)
    return SchedulerState(
        family=schedule.family,
        last_epoch=step,
        step_count=0 if isinstance(schedule, CosineAnnealingWarmRestarts) else int(step) + 1,
        last_lr=(float(schedule.lr_at([step])[0]),),
        base_lrs=(_base_lr(schedule),),
        params=_params(schedule),
    )


def _base_lr(schedule: Schedule) -> float:
    match schedule:
        case OneCycleLR():
            return schedule.initial_lr
        case CyclicLR():
            return schedule.base_lr
        case _:
            return schedule.peak_lr


def _params(schedule: Schedule) -> dict[str, Scalar | tuple[float, ...]]:
    if isinstance(schedule, MultiStepLR):
        return {"milestones": tuple(float(mark) for mark in schedule.milestones), "gamma": schedule.gamma}
    return {key: value for key, value in schedule.params().items() if isinstance(value, int | float | str)}


def _sequential(schedule: Warmup, step: float) -> SchedulerState:
    """SequentialLR([LinearLR, main], milestones=[steps])."""
    main = _state(schedule.main, max(step - schedule.steps, 0.0))
    ramp = SchedulerState(
        family="LinearLR",
        last_epoch=min(step, schedule.steps),
        step_count=int(min(step, schedule.steps)) + 1,
        base_lrs=(schedule.peak_lr,),
        params={"start_factor": schedule.start_factor, "end_factor": 1.0, "total_iters": schedule.steps},
    )
    return SchedulerState(
        family="SequentialLR",
        last_epoch=step,
        step_count=None,
        last_lr=(float(schedule.lr_at([step])[0]),),
        base_lrs=(schedule.peak_lr,),
        params={"milestones": (schedule.steps,)},
        children=(ramp,) if main is None else (ramp, main),
    )


@dataclass(frozen=True, slots=True)
class ConfigSpec:
    """The text of a training config as `lrdoctor check` would find it; see `config`."""

    text: str
    name: str
    beside: tuple[tuple[str, str], ...] = ()
    dataset_size: int | None = None
    world_size: int | None = None
    steps_per_epoch: int | None = None
    versions: tuple[tuple[str, str], ...] = ()
    against: str | None = None


def config(
    text: str,
    name: str = "train.yaml",
    *,
    beside: Mapping[str, str] | None = None,
    dataset_size: int | None = None,
    world_size: int | None = None,
    steps_per_epoch: int | None = None,
    versions: Mapping[str, str] | None = None,
    against: str | None = None,
) -> ConfigSpec:
    """A config file `name` that holds `text` (indented as you like).

    `beside` are files it may name, by their names; the sizes are what `--dataset-size` and its kin give; `versions` the
    pinned versions of frameworks; `against` the text of the same file before the change.
    """
    return ConfigSpec(
        text=cleandoc(text) + "\n",
        name=name,
        beside=tuple((other, cleandoc(content) + "\n") for other, content in (beside or {}).items()),
        dataset_size=dataset_size,
        world_size=world_size,
        steps_per_epoch=steps_per_epoch,
        versions=tuple((versions or {}).items()),
        against=None if against is None else cleandoc(against) + "\n",
    )
