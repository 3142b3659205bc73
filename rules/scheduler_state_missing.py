"""The scheduler's state was lost between two sessions, so its clock started over.

## What it does
Looks for the loss in three places. In the log after a resume: the learning rate jumps back to where the schedule began;
or it goes on from the value it had, and only the clock behind it is back at zero (torch's StepLR, MultiStepLR,
LinearLR, PolynomialLR and CosineAnnealingLR do that when the optimizer's state was loaded and the scheduler's was not).
In the checkpoints' counters: the scheduler's count is behind by exactly the step of an earlier checkpoint. And in a
checkpoint that holds an optimizer with the marks of a scheduler (`initial_lr`), but no scheduler.

## Why is this bad?
The rest of the run follows a schedule nobody planned: a second warmup or a second peak in the middle of training, or a
decay that comes too late, so that the run ends at a learning rate that is far too high. The silent form shows no jump.

## How to fix it
Save `scheduler.state_dict()` beside the optimizer's. On resume build the optimizer and the scheduler first, then load
the state of both. Hugging Face: leave `save_only_model` off. Lightning: leave `save_weights_only` off and pass
`ckpt_path`. Without a saved state, build both, call `scheduler.step()` as often as it had been called, and load the
optimizer last.

Not reported: frameworks that compute the schedule from the step (timm, Ultralytics, torchtune, fairseq, mmcv), warm
restarts on their period, a new stage after the schedule had ended or with settings of its own, a run started again from
scratch, checkpoints without an optimizer, and trainings at a constant learning rate.

## Options
- `tolerance`: how far, as a fraction of the peak, the learning rate may lie from the schedule that explains it.
- `damage`: report only where the learning rate is off by at least this fraction of the peak.

## References
- PyTorch tutorial "Saving and loading a general checkpoint"
- lightly-ai/lightly-train issue 301, XPixelGroup/BasicSR issue 327, KaiyangZhou/deep-person-reid issue 270
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from lrdoctor import (
    Case,
    Checkpoint,
    Constant,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    Finding,
    Fit,
    Identification,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    Remedy,
    Run,
    Schedule,
    Sequence,
    StepLR,
    Trajectory,
    Warmup,
    rule,
    synth,
)

Array = npt.NDArray[np.float64]
Severity = Literal["error", "warning", "info"]

COMPLETED = 0.98
"""From this share of its horizon on a schedule counts as ended: a restart is then a new stage (chosen by us)."""
MIN_POINTS = 5
"""A restart is told from this many logged points after it (chosen by us)."""
LEAP = 0.02
"""A change at the resume of less than this fraction of the peak is a continuation (chosen by us)."""
MAX_GAP = 256
"""Where the resume lies within a gap of the log, at most this many places for it are tried."""
SCRATCH = 0.5
"""A loss that goes back this far towards its start says the model itself started over (chosen by us)."""
LOSS_POINTS = 10
MEDIAN_ERROR = 0.6
"""Standard error of a median of so many normal points, in median absolute deviations: 1.48 x 1.25 / sqrt(10)."""
MAX_DROPS = 50
"""A learning rate that changes more often is no schedule of milestones."""
MIN_COUNT = 5
"""Counters smaller than this agree by accident (chosen by us)."""
RECOMPUTING = ("timm", "ultralytics", "torchtune", "fairseq", "mmcv", "openpcdet", "yolox", "mae", "nanogpt")
"""Frameworks that derive the learning rate from the step at every resume."""

COSINE, LOWER = CosineAnnealingLR(0.1, T_max=600), CosineAnnealingLR(0.0579, T_max=600)
CYCLE = OneCycleLR(0.1, total_steps=600)
WARM = Warmup(LinearLR(1e-3, total_iters=540), 60)
RESTARTS = CosineAnnealingWarmRestarts(0.1, T_0=300)
STEPS = StepLR(0.1, step_size=100, gamma=0.5)
UNSAVED = (synth.Saved(270, scheduler=False),)


def _resumed(*parts: Schedule, at: int = 270, **settings: object) -> synth.RunSpec:
    schedule = Sequence(parts, (at,)) if len(parts) > 1 else parts[0]
    settings = {"steps": 600, "resume_at": (at,), "optimizer": "AdamW", **settings}
    return synth.run(schedule, **settings)  # type: ignore[arg-type]  # keywords of synth.run


CASES = (
    Case("OneCycleLR jumps back to the start of its rise", _resumed(CYCLE, CYCLE), fires=True),
    Case("the cosine goes on from its value with its clock at zero", _resumed(COSINE, LOWER), fires=True),
    Case("StepLR's drops come as late as after the start",
         _resumed(STEPS, replace(STEPS, lr=0.025), at=250), fires=True),
    Case("warmup and linear decay start over, seen from a checkpoint at the resume",
         _resumed(WARM, WARM, resume_at=(), checkpoints=UNSAVED, declared={"scheduler": "linear"}),
         fires=True, cured=_resumed(WARM, resume_at=(), checkpoints=(270,))),
    Case("an unfinished run's checkpoint without its scheduler",
         _resumed(COSINE, steps=280, resume_at=(), complete=False, checkpoints=UNSAVED),
         fires=True, cured=_resumed(COSINE, steps=280, resume_at=(), complete=False, checkpoints=(270,))),
    Case("the same without any log of the learning rate",
         _resumed(COSINE, steps=280, resume_at=(), complete=None, log_lr=False, checkpoints=UNSAVED),
         fires=True, cured=_resumed(COSINE, steps=280, resume_at=(), log_lr=False, checkpoints=(270,))),
    Case("the counters of two checkpoints tell it",
         _resumed(COSINE, LOWER, resume_at=(), log_lr=False, checkpoints=(270, 600)),
         fires=True, cured=_resumed(COSINE, resume_at=(), log_lr=False, checkpoints=(270, 600))),
    Case("resumed with everything", _resumed(COSINE, checkpoints=(270, 600))),
    Case("no scheduler saved, yet the schedule went on: it is computed from the step",
         _resumed(COSINE, checkpoints=UNSAVED)),
    Case("a framework that computes its schedule, stopped",
         _resumed(COSINE, steps=280, resume_at=(), complete=False, framework="timm",
                  checkpoints=(synth.Saved(270, scheduler=False, recomputes="timm"),))),
    Case("warm restarts on their period, one of them at a resume", _resumed(RESTARTS, at=300, checkpoints=(300,))),
    Case("a second stage with settings of its own", _resumed(COSINE, CosineAnnealingLR(0.02, T_max=330))),
    Case("a second stage after the first had ended", _resumed(replace(COSINE, T_max=300), replace(COSINE, T_max=300),
                                                              at=300)),
    Case("a constant learning rate", _resumed(Constant(0.1), checkpoints=UNSAVED)),
    Case("weights alone are saved",
         _resumed(COSINE, checkpoints=(synth.Saved(270, scheduler=False, optimizer=False),))),
    Case("StepLR resumed in full", _resumed(STEPS, at=250, checkpoints=(250, 600))),
    Case("lost so near the end that less than 1 % of the peak is at stake",
         _resumed(COSINE, replace(LOWER, lr=4.37e-4), at=575)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Restart:
    """The schedule `family` began anew at `step`, which `planned` would not have done.

    `silent` where the learning rate went on from its value. `seen` (T,) was logged at `steps` (T,) since. `sure` where
    no other plain reading is left.
    """

    family: str
    step: float
    silent: bool
    steps: Array
    seen: Array
    planned: Schedule
    sure: bool = True

    @property
    def due(self) -> Array:
        """What the schedule would have given at `steps`."""
        due: Array = self.planned.lr_at(self.steps)
        return due

    @property
    def first(self) -> int:
        """The index of the first point that shows it: where it jumped, else the first of all."""
        off = np.abs(self.seen - self.due)
        return 0 if self.silent else int(np.argmax(off > min(LEAP * self.planned.peak_lr, float(off.max()) / 2.0)))

    @property
    def worst(self) -> int:
        """The index of the point that is farthest off."""
        return int(np.argmax(np.abs(self.seen - self.due)))


@rule("LR201", suppresses=("LR202", "LR203", "LR303", "LR306"))
def scheduler_state_missing(
    run: Run,
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...] | None,
    *,
    tolerance: float = 2e-3,
    damage: float = 0.01,
) -> Iterator[Finding]:
    saved = checkpoints or ()
    restarts = [*_restarts(trajectory, identification, tolerance, damage), *_step_restarts(trajectory, saved)]
    for restart in restarts:
        severity = _severity(restart, len(restarts), trajectory, saved)
        if severity is not None:
            yield _restart_finding(restart, trajectory, saved, severity)
    if not restarts:
        yield from _counter_findings(trajectory, saved)
        yield from _incomplete_checkpoints(run, trajectory, identification, saved)


# --- in the log: smooth schedules -------------------------------------------------------------------------------------


def _restarts(
    trajectory: Trajectory, identification: Identification, tolerance: float, damage: float
) -> Iterator[Restart]:
    """Stretches of the lead group that run the schedule before them from its beginning, before it had ended."""
    lead = identification.lead
    begun = 0.0  # where the clock of the stretch in hand started; the first may have been logged from later on
    for before, after in pairwise(lead.fits if lead is not None else ()):
        found = _restart(trajectory, before, after, begun, tolerance, damage)
        over = before.horizon_steps is not None and after.first_step - begun >= COMPLETED * before.horizon_steps
        if found is not None and not over:
            yield found
        begun = after.first_step if found is None else found.step


def _restart(
    trajectory: Trajectory, before: Fit, after: Fit, begun: float, tolerance: float, damage: float
) -> Restart | None:
    """`after` as a new start of `before`; None where it is none, or where no harm is visible."""
    group = trajectory.lead
    if group is None or before.family in ("Unknown", "Constant"):
        return None
    here, earlier = (group.steps >= after.first_step) & (group.steps <= after.last_step), group.steps < after.first_step
    steps, lrs = group.steps[here], group.lr[here]
    if len(steps) < MIN_POINTS or not earlier.any():
        return None
    due = before.whole.lr_at(steps)
    peak = float(np.abs(before.whole.lr_at(group.steps[earlier])).max())
    allowed = tolerance * peak + trajectory.lr_quantum
    if np.abs(lrs - due).max() < max(damage * peak, 3.0 * allowed):
        return None
    # Steps after a checkpoint are logged twice: the earlier session may have gone on past the place.
    last = min(float(group.steps[earlier][-1]), float(steps[0]) - _interval(trajectory))
    for step in _places(trajectory, last, float(steps[0])):
        for silent in (True, False):
            anew = _continued(before, begun, steps, lrs, step) if silent else _anew(before, begun, steps - step)
            # A scheduler that was built before the optimizer's state was loaded sets its LR at its first step only.
            carried = (steps < step + before.steps_per_tick) & (np.abs(lrs - due) <= LEAP * peak)
            if np.all(carried | (np.abs(lrs - anew) <= allowed)) and not carried.all():
                return Restart(before.family, step, silent, steps, lrs, before.whole)
    return None


def _places(trajectory: Trajectory, last: float, first: float) -> list[float]:
    """Where the new session may have begun, between the logged points `last` and `first`: the likely places first."""
    known = [part.first_step for part in trajectory.segments if part.resumed and last < part.first_step <= first]
    between = np.unique(np.round(np.linspace(last + 1.0, first, int(min(MAX_GAP, max(first - last, 1.0))))))
    logged_after_step = [first + 1.0, first - 1.0, last]
    return [*known, *between[::-1].tolist(), *logged_after_step]


def _anew(before: Fit, begun: float, ages: Array) -> Array:
    """The schedule from its beginning."""
    anew: Array = before.whole.lr_at(begun + np.maximum(ages, 0.0))
    return anew


def _continued(before: Fit, begun: float, steps: Array, lrs: Array, step: float) -> Array:
    """The schedule from its beginning at `step`, scaled to go on from the value it had; NaN where `lrs` does not.

    torch's recursive schedulers scale the distance to `eta_min` that they find in the optimizer.
    """
    floor = float(getattr(before.schedule, "eta_min", 0.0))
    shape = _anew(before, begun, np.concatenate([[0.0], steps - step])) - floor
    if shape[1] <= 0.0:
        return np.full_like(lrs, np.nan)
    scaled: Array = floor + shape * (float(lrs[0]) - floor) / shape[1]
    due = float(before.whole.lr_at([step])[0])
    return scaled[1:] if abs(scaled[0] - due) <= LEAP * before.whole.peak_lr else np.full_like(lrs, np.nan)


# --- in the log: schedules of steps -----------------------------------------------------------------------------------


def _step_restarts(trajectory: Trajectory, saved: tuple[Checkpoint, ...]) -> Iterator[Restart]:
    """Sessions after which the drops of a stepwise schedule come as late as they came after the start of training.

    The learning rate goes on from its value, so a list of odd milestones explains it as well: two drops must agree; or
    one, where the schedule was a StepLR before or a checkpoint lacks its scheduler.
    """
    group, drops = trajectory.lead, _drops(trajectory)
    if group is None or not drops:
        return
    near, begun = _interval(trajectory), 0.0
    starts = [part.first_step for part in trajectory.segments if part.resumed]
    for start, end in pairwise([*starts, float(group.steps[-1]) + 1.0]):
        before = [drop - begun for drop in drops if begun < drop <= start]
        after = [drop - start for drop in drops if start < drop < end]
        agreed = _agreed(before, after, end - start, near)
        regular = len(before) > 1 and _even(before, near)
        going_on = _even([drop - begun for drop in drops if begun < drop < end], near)
        if going_on or agreed < (1 if regular or _unsaved_at(trajectory, start, saved) else 2):
            continue
        here, sure = group.steps >= start, agreed > 1 or _unsaved_at(trajectory, start, saved)
        planned = _planned_steps(trajectory, drops[0], before, after)
        yield Restart("stepwise schedule", start, True, group.steps[here], group.lr[here], planned, sure)
        begun = start


def _drops(trajectory: Trajectory) -> list[float]:
    """The steps at which a learning rate that is constant in between falls, always by the same factor."""
    group = trajectory.lead
    if group is None or len(group.lr) < MIN_POINTS or not np.all(group.lr > 0):
        return []
    ratios = group.lr[1:] / group.lr[:-1]
    at = np.flatnonzero(np.abs(ratios - 1.0) > 1e-3)
    same = len(at) > 0 and np.allclose(ratios[at], ratios[at[0]], rtol=1e-2) and ratios[at[0]] < 1.0
    return group.steps[at + 1].tolist() if same and len(at) <= MAX_DROPS else []


def _agreed(before: list[float], after: list[float], left: float, near: float) -> int:
    """How many drops repeat the earlier ones, counted from the new session; 0 as soon as one does not."""
    expected = [drop for drop in before if drop <= left - near]
    early = [age for age in after if before and age <= before[-1] + near]
    same = len(early) == len(expected) and all(abs(a - b) <= near for a, b in zip(early, expected, strict=True))
    return len(expected) if same else 0


def _even(drops: list[float], near: float) -> bool:
    """Whether they lie on multiples of one step size: then nothing started over."""
    count = np.arange(1.0, len(drops) + 1.0)
    size = float(count @ np.asarray(drops)) / float(count @ count) if drops else 0.0
    return bool(np.all(np.abs(drops - count * size) <= near))


def _planned_steps(trajectory: Trajectory, first: float, before: list[float], after: list[float]) -> Schedule:
    """The schedule without the restart: the drops before it, and those after it at the age they came."""
    group = trajectory.lead
    assert group is not None
    marks = sorted({*before, *(age for age in after if age > before[-1] + 1.0)})
    at = int(np.searchsorted(group.steps, first))
    start, gamma = float(group.lr[0]), float(group.lr[at] / group.lr[at - 1])
    if len(marks) > 1 and _even(marks, _interval(trajectory)):
        return StepLR(start, round(marks[0]), gamma)
    return MultiStepLR(start, tuple(round(mark) for mark in marks), gamma)


def _unsaved_at(trajectory: Trajectory, start: float, saved: tuple[Checkpoint, ...]) -> bool:
    point = _saved_at(trajectory, start, saved)
    return point is not None and _lacks_scheduler(point)


# --- how sure, and in words -------------------------------------------------------------------------------------------


def _severity(
    restart: Restart, restarts: int, trajectory: Trajectory, saved: tuple[Checkpoint, ...]
) -> Severity | None:
    """Sure where a session or a checkpoint begins there; without either only the loss can say the training went on."""
    scratch = _from_scratch(trajectory, restart.step)
    if scratch:
        return None
    if _session_at(trajectory, restart.step) or _saved_at(trajectory, restart.step, saved) is not None:
        return "error" if restart.sure else "warning"
    return "warning" if scratch is False and restarts == 1 else None


def _interval(trajectory: Trajectory) -> float:
    """Steps between two logged points."""
    group = trajectory.lead
    return float(np.median(np.diff(group.steps))) if group is not None and len(group.steps) > 1 else 1.0


def _session_at(trajectory: Trajectory, step: float) -> bool:
    near = _interval(trajectory)
    return any(segment.resumed and abs(segment.first_step - step) <= near for segment in trajectory.segments)


def _saved_at(trajectory: Trajectory, step: float, saved: tuple[Checkpoint, ...]) -> Checkpoint | None:
    """The checkpoint the session at `step` may have started from."""
    near = 1.0 + _interval(trajectory)
    places = ((_step_of(point, trajectory), point) for point in saved)
    return next((point for place, point in places if place is not None and abs(place - step) <= near), None)


def _step_of(checkpoint: Checkpoint, trajectory: Trajectory) -> float | None:
    """The trajectory step at which a checkpoint was written."""
    if trajectory.step_unit == "epoch":
        return checkpoint.epoch
    if checkpoint.global_step is not None:
        return float(checkpoint.global_step)
    return float(checkpoint.optimizer.step) if checkpoint.optimizer and checkpoint.optimizer.step else None


def _from_scratch(trajectory: Trajectory, step: float) -> bool | None:
    """Whether the loss went back to where training began; None where no loss tells, or its noise is too large to."""
    loss = trajectory.loss
    if loss is None:
        return None
    before, after = loss.values[loss.steps < step][-LOSS_POINTS:], loss.values[loss.steps >= step][:LOSS_POINTS]
    if len(before) < LOSS_POINTS or len(after) < LOSS_POINTS:
        return None
    start, low, now = (float(np.median(part)) for part in (loss.values[:LOSS_POINTS], before, after))
    noise, since = (float(np.median(np.abs(part - middle))) for part, middle in ((before, low), (after, now)))
    if not np.isfinite(start - low) or start - low <= 4.0 * noise:
        return None
    above = now - low - SCRATCH * (start - low)
    return above > 0 if abs(above) > MEDIAN_ERROR * max(noise, since) else None


def _restart_finding(
    restart: Restart, trajectory: Trajectory, saved: tuple[Checkpoint, ...], severity: Severity
) -> Finding:
    unit = "epoch" if trajectory.step_unit == "epoch" else "step"
    seen, due, first, worst = restart.seen, restart.due, restart.first, restart.worst
    form = (
        f"goes on from {seen[first]:.4g} while its clock is back at 0"
        if restart.silent
        else f"jumps to {seen[first]:.4g}, where it begins, from a planned {due[first]:.4g}"
    )
    return Finding(
        measured=f"At {unit} {restart.step:.0f} the {restart.family} starts over: the learning rate {form}.",
        expected=f"Continued, it would have been {due[worst]:.4g} at {unit} {restart.steps[worst]:.0f};",
        consequence=f"the run used {seen[worst]:.4g} there.{_cause(restart, trajectory, saved)}",
        first_step=restart.step,
        last_step=float(restart.steps[-1]),
        evidence={
            "resume_step": restart.step,
            "form": "silent" if restart.silent else "jump",
            "lr_at_resume": float(seen[first]),
            "planned_lr_at_resume": float(due[first]),
            "worst_step": float(restart.steps[worst]),
            "worst_lr": float(seen[worst]),
            "planned_worst_lr": float(due[worst]),
        },
        remedy=_remedy(restart.planned),
        severity=severity,
    )


def _cause(restart: Restart, trajectory: Trajectory, saved: tuple[Checkpoint, ...]) -> str:
    point = _saved_at(trajectory, restart.step, saved)
    if point is not None and not point.schedulers:
        return f" The checkpoint {point.path} holds no scheduler."
    if point is not None:
        return f" The checkpoint {point.path} holds the scheduler's state, so it was not loaded."
    if not _session_at(trajectory, restart.step):
        return " Nothing logged marks a resume there; the loss says that training went on."
    doubt = "" if restart.sure else ", unless just this milestone was planned"
    return f" The session that begins there did not load the scheduler's state{doubt}."


def _remedy(schedule: Schedule | None) -> Remedy:
    return Remedy(
        "Save the scheduler's state with the optimizer's and load both on resume; here the schedule as it was planned.",
        schedule,
        'torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),\n'
        '            "scheduler": scheduler.state_dict(), "step": step}, path)\n'
        "# on resume: build the optimizer, then the scheduler, then load\n"
        "state = torch.load(path)\n"
        'optimizer.load_state_dict(state["optimizer"])\n'
        'scheduler.load_state_dict(state["scheduler"])',
    )


# --- in the checkpoints -----------------------------------------------------------------------------------------------


def _counter_findings(trajectory: Trajectory, saved: tuple[Checkpoint, ...]) -> Iterator[Finding]:
    """The scheduler's count behind by exactly the count of an earlier checkpoint: its clock started over there."""
    for name, count in _COUNTERS:
        for earlier, later in _pairs(saved):
            lost = _lost(earlier, later, count)
            if lost is not None:
                yield _counter_finding(trajectory, later, lost, name)
                return


def _pairs(saved: tuple[Checkpoint, ...]) -> Iterator[tuple[Checkpoint, Checkpoint]]:
    for index, later in enumerate(saved):
        for earlier in saved[:index]:
            yield earlier, later


def _updates(checkpoint: Checkpoint) -> float | None:
    return None if checkpoint.global_step is None else float(checkpoint.global_step)


def _epochs(checkpoint: Checkpoint) -> float | None:
    return checkpoint.epoch


_COUNTERS: tuple[tuple[str, Callable[[Checkpoint], float | None]], ...] = (("updates", _updates), ("epochs", _epochs))


def _lost(
    earlier: Checkpoint, later: Checkpoint, count: Callable[[Checkpoint], float | None]
) -> tuple[float, float, float] | None:
    """(scheduler's count, training's count, the count of the resume) where the difference is the earlier checkpoint."""
    then, now = count(earlier), count(later)
    behind, ahead = _clock(earlier), _clock(later)
    if then is None or now is None or ahead is None or then < MIN_COUNT or now <= then:
        return None
    in_step = behind is None or abs(behind - then) <= 1.0
    missing = now - ahead
    return (ahead, now, then) if in_step and ahead >= MIN_COUNT and abs(missing - then) <= 1.0 else None


def _clock(checkpoint: Checkpoint) -> float | None:
    state = checkpoint.scheduler
    return None if state is None else state.last_epoch


def _counter_finding(trajectory: Trajectory, later: Checkpoint, lost: tuple[float, float, float], name: str) -> Finding:
    ahead, now, then = lost
    return Finding(
        measured=f"{later.path}: the scheduler counts {ahead:.0f} steps after {now:.0f} {name}.",
        expected=f"It would count {now:.0f}; the {now - ahead:.0f} it lacks are those of the checkpoint at {then:.0f}.",
        consequence="Its state was not restored there: everything after it ran on a clock that started at 0.",
        first_step=then if name == "updates" else 0.0,
        last_step=float(max(trajectory.steps - 1, 0)),
        evidence={"scheduler_last_epoch": ahead, name: now, "resumed_at": then, "checkpoint": later.path},
        remedy=_remedy(None),
    )


def _incomplete_checkpoints(
    run: Run, trajectory: Trajectory, identification: Identification, saved: tuple[Checkpoint, ...]
) -> Iterator[Finding]:
    """Checkpoints from which a resume would lose the schedule."""
    lacking = [point for point in saved if _lacks_scheduler(point)]
    if not lacking or run.framework in RECOMPUTING or not _scheduled(identification):
        return
    if any(segment.resumed for segment in trajectory.segments):
        return  # a resume was seen, and the schedule went on
    severity = _risk(trajectory, identification)
    point = lacking[-1]
    step = _step_of(point, trajectory)
    others = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
    yield Finding(
        measured=f"{point.path}{others}: the optimizer's state is there (with initial_lr, so a scheduler drives it), "
        "the scheduler's is not.",
        expected="A checkpoint to resume from holds both.",
        consequence=_RISKS[severity],
        first_step=float(step or 0.0),
        last_step=float(step or 0.0),
        evidence={
            "checkpoints_without_scheduler": len(lacking),
            "checkpoints": len(saved),
            "step": step,
            "complete": trajectory.complete,
        },
        remedy=_remedy(None),
        severity=severity,
    )


_RISKS: dict[Severity, str] = {
    "error": "The run has not reached its end, and resumed from here its schedule starts over at step 0.",
    "warning": "Resumed from here the schedule starts over at step 0, unless the script computes it from the step.",
    "info": "No resume shows in the log, and the run is over; one that started from here would lose its place.",
}


def _lacks_scheduler(point: Checkpoint) -> bool:
    """All torch schedulers but ReduceLROnPlateau leave `initial_lr` in the optimizer's groups."""
    marked = point.optimizer is not None and any("initial_lr" in group for group in point.optimizer.param_groups)
    return marked and not point.schedulers and point.recomputes_schedule is None


def _scheduled(identification: Identification) -> bool:
    """Whether the learning rate moved, as far as it was logged."""
    lead = identification.lead
    return lead is None or any(fit.family != "Constant" for fit in lead.fits)


def _risk(trajectory: Trajectory, identification: Identification) -> Severity:
    lead = identification.lead
    horizon = lead.fit.horizon_steps if lead is not None else None
    if trajectory.complete or (horizon is not None and trajectory.steps >= COMPLETED * horizon):
        return "info"
    return "error" if lead is not None and (trajectory.complete is False or horizon is not None) else "warning"
