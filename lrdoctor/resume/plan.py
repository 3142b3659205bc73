"""Which schedule a run was meant to follow, and where on it a checkpoint stands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lrdoctor.errors import ReadError, UsageError
from lrdoctor.identify.declared import stated_whole
from lrdoctor.model.finding import Finding
from lrdoctor.model.identification import Identification
from lrdoctor.model.run import Checkpoint, Run
from lrdoctor.model.schedule import Schedule, Unit
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.resume.torch_state import NoTorchStateError, at_base, base_lr, has_torch_class
from lrdoctor.schedules import Constant, ExponentialLR, MultiStepLR, StepLR, Stepped, Warmup
from lrdoctor.schedules import Sequence as Joined

SAME_LR = 1e-4
"""Relative difference up to which an optimizer's LR is the schedule's (chosen by us: above the rounding of logs)."""
ROUNDING = 1e-5
"""A base LR that was read from a log this close to the optimizer's own `initial_lr` is that one."""
_LAMBDA_NAMES = ("linear", "cosine", "polynomial", "constant", "inverse_sqrt", "warmup_stable_decay")


@dataclass(frozen=True, slots=True)
class Clocked:
    """A schedule in ticks, and how many updates (or epochs, where the run counts in them) a tick takes."""

    schedule: Schedule
    per_tick: float = 1.0

    def ticks_after(self, steps: float) -> int:
        return math.floor(steps / self.per_tick + 1e-9)


@dataclass(frozen=True, slots=True)
class Position:
    """`groups`: the schedule of each parameter group, in ticks. `tick`: the `last_epoch` at the checkpoint.

    `lr_tick` is the tick in the schedule's own count; it differs from `tick` where the scheduler is stepped several
    times an update (accelerate on several processes). `as_lambda`: the script builds a LambdaLR. `moved` is what the
    scheduler moves beside the LR ("momentum", "betas"). `why` says, a sentence each, what the position rests on.
    """

    groups: tuple[Schedule, ...]
    tick: int
    lr_tick: int
    as_lambda: bool
    moved: str | None = None
    why: tuple[str, ...] = ()


def clocked(whole: Schedule) -> Clocked:
    """The schedule taken off its clock. The constant lead of a log (`first_tick`) is no part of the scheduler."""
    match whole:
        case Stepped(schedule=inner, updates_per_tick=per_tick):
            return Clocked(inner, per_tick)
        case Warmup(main=Stepped(schedule=inner, updates_per_tick=1.0)):
            return Clocked(Warmup(inner, whole.steps, whole.start_factor, whole.kind))
        case Joined():
            raise NoTorchStateError("several schedules follow one another")
        case _:
            return Clocked(whole)


def planned(
    run: Run, trajectory: Trajectory, identification: Identification, findings: Iterable[Finding], step: float | None
) -> tuple[Schedule, str]:
    """The schedule the run was meant to follow over trajectory steps, and where it was taken from.

    A broken resume is told by a finding, whose remedy is the schedule as it would have gone on; a constant there stands
    for one that is not known. `ReadError` where nothing was identified.
    """
    for finding in findings:
        schedule = finding.remedy.schedule if finding.remedy is not None else None
        if finding.code.startswith("LR2") and schedule is not None and not isinstance(schedule, Constant):
            return schedule, f"the remedy of {finding.code}: the schedule before it was interrupted"
    lead = identification.lead
    sure = [fit for fit in lead.fits if fit.sure] if lead is not None else []
    if lead is not None and sure and len(sure) == len(lead.fits):
        fit = next((fit for fit in reversed(sure) if step is None or fit.first_step <= step), sure[0])
        return fit.whole, f"the executed LR, which is {fit.family} within {fit.fit_error:.1e} of the peak"
    stated = _stated(run.checkpoints)
    if stated is not None:
        return stated
    why = "no learning rate was logged" if lead is None else "no known schedule explains the logged learning rate"
    raise ReadError("No schedule was identified.", where=run.path, why=why, hint="give the folder with the LR's log")


def _stated(checkpoints: Sequence[Checkpoint]) -> tuple[Schedule, str] | None:
    """The schedule that another checkpoint's scheduler states."""
    for point in reversed(checkpoints):
        state = point.scheduler
        schedule = stated_whole(state) if state is not None else None
        if schedule is not None:
            return schedule, f"the scheduler's state in {point.path}"
    return None


def steps_of(checkpoint: Checkpoint, trajectory: Trajectory) -> tuple[float, ...]:
    """How many trajectory steps were done when the checkpoint was written: one answer, or those that are possible.

    `UsageError` where its counters contradict each other or it has none.
    """
    epoch, per_epoch = checkpoint.epoch, trajectory.steps_per_epoch
    if trajectory.step_unit == "epoch":
        per_epoch = 1.0
    else:
        k = checkpoint.optimizer.step if checkpoint.optimizer is not None else None
        g = checkpoint.global_step
        if k is not None and g is not None and abs(k - g) > 1:
            raise UsageError(
                "The checkpoint contradicts itself about its step.",
                where=checkpoint.path,
                why=f"its optimizer counts {k} updates, its own counter says {g}",
                hint="say which it is with --step N",
            )
        if k is not None or g is not None:
            return (float(k if k is not None else g or 0),)
    if epoch is None or per_epoch is None:
        raise UsageError(
            "The checkpoint does not say after how many updates it was written.",
            where=checkpoint.path,
            why="neither its optimizer nor a counter of its own tells",
            hint="say it with --step N",
        )
    return (epoch + 1.0) * per_epoch, epoch * per_epoch  # counted from 0 by most scripts, from 1 by others


def check_length(checkpoint: Checkpoint, trajectory: Trajectory, steps: float) -> None:
    """`UsageError` where the run ended well before the checkpoint was written: they do not belong together."""
    lead = trajectory.lead
    if lead is None or len(lead.steps) < 2:
        return
    gap = float(np.max(np.diff(lead.steps)))
    last = max(float(trajectory.steps), float(lead.steps[-1]) + 1.0)
    if steps > last + gap + 1.0:
        raise UsageError(
            "The run and the checkpoint disagree about the step.",
            where=checkpoint.path,
            why=f"it was written after {steps:,.0f} steps, the run's log ends after {last:,.0f}",
            hint="check --run, or say the step with --step N",
        )


def position(
    checkpoint: Checkpoint,
    run: Run,
    trajectory: Trajectory,
    whole: Schedule,
    *,
    step: float | None = None,
    stepped: Unit | None = None,
    as_lambda: bool | None = None,
) -> Position:
    """Where on the schedule the checkpoint stands. `UsageError` where run and checkpoint disagree about the step.

    `stepped` says how often the script steps its scheduler, where plateaus alone do not tell.
    """
    reference = _reference(checkpoint, run)
    on = _clock(checkpoint, whole, reference, trajectory, stepped)
    possible = (step,) if step is not None else steps_of(checkpoint, trajectory)
    for one in possible[:1]:
        check_length(checkpoint, trajectory, one)
    groups, missing = _groups(checkpoint, reference, on.schedule)
    tick, why = _settled(checkpoint, groups[0], [on.ticks_after(one) for one in possible])
    calls, lead = _calls(reference, on, trajectory) if step is None else (1, 0)
    if calls != 1 or lead != 0:
        why = f"its last_epoch is counted as in {reference.path if reference else ''}"
    lambda_like = _is_lambda(run, reference or checkpoint, groups[0]) if as_lambda is None else as_lambda
    if calls > 1 and not lambda_like:
        raise UsageError(
            "The scheduler's state cannot be reconstructed.",
            where=checkpoint.path,
            why=f"the run stepped its scheduler {calls} times an update, which only a LambdaLR's state can follow",
        )
    _check_family((reference, checkpoint), groups[0], lambda_like)
    lr_tick = tick + (lead if calls == 1 else 0)
    return Position(
        groups,
        lr_tick * calls,
        lr_tick,
        lambda_like,
        _moved(checkpoint),
        tuple(text for text in (why, missing) if text),
    )


def _clock(
    checkpoint: Checkpoint,
    whole: Schedule,
    reference: Checkpoint | None,
    trajectory: Trajectory,
    stepped: Unit | None,
) -> Clocked:
    """The schedule in ticks. Steps of one length read as well on a clock per epoch as on one per update."""
    unknown_epochs = trajectory.steps_per_epoch is None and trajectory.step_unit == "update"
    if isinstance(whole, StepLR) and unknown_epochs:
        whole = Stepped(ExponentialLR(whole.lr, whole.gamma), float(whole.step_size), "epoch")
    slow, fast = clocked(whole), _per_update(whole)
    if fast is None or stepped == "epoch":
        return slow
    if stepped == "update":
        return fast
    state = reference.scheduler if reference is not None else None
    if state is not None and state.family is not None:
        return fast if state.family == _class_of(fast.schedule) != _class_of(slow.schedule) else slow
    if not unknown_epochs:
        return slow
    raise UsageError(
        "The log does not say how often the scheduler was stepped.",
        where=checkpoint.path,
        why=f"its LR changes every {slow.per_tick:g} updates: a {_class_of(fast.schedule)} stepped at each update does "
        f"that, and so does a {_class_of(slow.schedule)} stepped once in an epoch of so many updates",
        hint="say which with --stepped update or --stepped epoch",
    )


def _per_update(whole: Schedule) -> Clocked | None:
    """A stepwise schedule on a clock of plateaus, as one that is stepped at each update; None for any other."""
    if not isinstance(whole, Stepped) or whole.updates_per_tick <= 1 or not float(whole.updates_per_tick).is_integer():
        return None
    times, inner = int(whole.updates_per_tick), whole.schedule
    match inner:
        case ExponentialLR():
            return Clocked(StepLR(inner.lr, times, inner.gamma))
        case StepLR():
            return Clocked(replace(inner, step_size=inner.step_size * times))
        case MultiStepLR():
            return Clocked(replace(inner, milestones=tuple(mark * times for mark in inner.milestones)))
    return None


def _class_of(schedule: Schedule) -> str:
    """The torch class the script builds for it."""
    if isinstance(schedule, Warmup):
        return "SequentialLR"
    return "ConstantLR" if isinstance(schedule, Constant) else schedule.family


def _groups(
    checkpoint: Checkpoint, reference: Checkpoint | None, schedule: Schedule
) -> tuple[tuple[Schedule, ...], str]:
    """The schedule of each of the optimizer's parameter groups: their base LRs differ by the ratio of `initial_lr`.

    Where the checkpoint has no optimizer those of the run's other checkpoint count; the text says what is missing.
    """
    source = checkpoint if _has_groups(checkpoint) else reference
    if source is None or not _has_groups(source):
        bases = reference.scheduler.base_lrs if reference is not None and reference.scheduler is not None else ()
        missing = "" if bases else "the checkpoint holds no optimizer: one parameter group is assumed"
        return (schedule,) * max(len(bases), 1), missing
    return _by_ratio(source, schedule), ""


def _by_ratio(checkpoint: Checkpoint, schedule: Schedule) -> tuple[Schedule, ...]:
    held = checkpoint.optimizer.param_groups if checkpoint.optimizer is not None else ()
    bases = [group.get("initial_lr", group.get("lr")) for group in held]
    known = [float(base) for base in bases if isinstance(base, int | float) and base > 0]
    if len(known) < len(bases) or not known:
        return (schedule,) * max(len(bases), 1)
    base = base_lr(schedule)
    first = known[0] if abs(known[0] - base) <= ROUNDING * base else base
    marked = all("initial_lr" in group for group in held)
    ratios = [one / known[0] for one in known] if marked or len(known) == 1 else [1.0] * len(known)
    return tuple(at_base(schedule, first * ratio) for ratio in ratios)


def _settled(checkpoint: Checkpoint, schedule: Schedule, ticks: list[int]) -> tuple[int, str]:
    """The tick whose LR the optimizer holds, where that decides between neighbours; else the counter's own."""
    held = checkpoint.optimizer.param_groups[0].get("lr") if _has_groups(checkpoint) and checkpoint.optimizer else None
    nearby = list(dict.fromkeys([*ticks, *(tick - 1 for tick in ticks), *(tick + 1 for tick in ticks)]))
    if isinstance(held, int | float):
        same = [tick for tick in nearby if tick >= 0 and _near(held, float(schedule.lr_at([tick])[0]))]
        if same and ticks[0] not in same:
            return same[0], f"the optimizer's LR of {held:.6g} is that of tick {same[0]}"
        if same:
            return ticks[0], ""
    if len(set(ticks)) > 1:
        raise UsageError(
            "The checkpoint's epoch does not say how often the scheduler was stepped.",
            where=checkpoint.path,
            why=f"{ticks[1]} and {ticks[0]} ticks are both possible, and its LR fits neither",
            hint="say after how many updates it was written with --step N",
        )
    return ticks[0], ""


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= SAME_LR * max(abs(one), abs(other))


def _has_groups(checkpoint: Checkpoint) -> bool:
    return checkpoint.optimizer is not None and bool(checkpoint.optimizer.param_groups)


def _moved(checkpoint: Checkpoint) -> str | None:
    """What OneCycleLR and CyclicLR move beside the LR: they leave the limits in the optimizer's groups."""
    group = checkpoint.optimizer.param_groups[0] if _has_groups(checkpoint) and checkpoint.optimizer else {}
    if "base_momentum" not in group:
        return None
    return "betas" if "beta1" in group else "momentum"


def _reference(checkpoint: Checkpoint, run: Run) -> Checkpoint | None:
    """Another checkpoint of the run that holds its scheduler: it shows which class the script builds."""
    others = [point for point in run.checkpoints if point.path != checkpoint.path and point.scheduler is not None]
    return others[0] if others else None


def _calls(reference: Checkpoint | None, on: Clocked, trajectory: Trajectory) -> tuple[int, int]:
    """(calls of `step()` a tick, ticks by which last_epoch leads the updates) at the reference; (1, 0) without one."""
    state = reference.scheduler if reference is not None else None
    if reference is None or state is None or state.last_epoch is None:
        return 1, 0
    try:
        tick = on.ticks_after(steps_of(reference, trajectory)[0])
    except UsageError:
        return 1, 0
    if abs(state.last_epoch - tick) <= 1:
        return 1, round(state.last_epoch - tick)
    factor = round(state.last_epoch / tick) if tick else 1
    whole = factor > 1 and abs(state.last_epoch - factor * tick) <= 0.01 * state.last_epoch
    return (factor, 0) if whole else (1, 0)


def _is_lambda(run: Run, reference: Checkpoint | None, schedule: Schedule) -> bool:
    if reference is not None and reference.scheduler is not None and reference.scheduler.family is not None:
        return reference.scheduler.family == "LambdaLR"
    if not has_torch_class(schedule):
        return True
    declared = run.declared("scheduler")
    named = isinstance(declared, str) and declared.lower().startswith(_LAMBDA_NAMES)
    return run.framework == "transformers" or (run.framework == "accelerate" and named)


def _check_family(holders: Iterable[Checkpoint | None], schedule: Schedule, as_lambda: bool) -> None:
    """What the run's log shows must be what its checkpoints hold, the one in hand included."""
    made = "LambdaLR" if as_lambda else _class_of(schedule)
    for point in holders:
        state = point.scheduler if point is not None else None
        if point is None or state is None or state.family is None or state.family == made:
            continue
        raise UsageError(
            "The run's log and its checkpoints disagree about the scheduler.",
            where=point.path,
            why=f"that checkpoint holds a {state.family}, the log reads as {made}",
        )
