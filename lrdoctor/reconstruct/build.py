"""The whole way from a run as it was read to its trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrdoctor.model.arrays import ints
from lrdoctor.model.run import Run
from lrdoctor.model.trajectory import Choice, Curve, GroupTrajectory, Segment, Trajectory
from lrdoctor.reconstruct.asked import not_there
from lrdoctor.reconstruct.axis import Axis, choose_axis
from lrdoctor.reconstruct.clock import choose_clock, densest_loss
from lrdoctor.reconstruct.epochs import updates_per_epoch
from lrdoctor.reconstruct.logged import Logged, gather
from lrdoctor.reconstruct.losses import pick_curves
from lrdoctor.reconstruct.names import role_of, words
from lrdoctor.reconstruct.pick import LrSource, pick_lr
from lrdoctor.reconstruct.plan import batch_size, completeness, planned_steps
from lrdoctor.reconstruct.precision import resolution_of
from lrdoctor.reconstruct.recording import Recording, recordings
from lrdoctor.reconstruct.sessions import Sessions, find_sessions
from lrdoctor.reconstruct.stitch import Stitched, stitch

# Decimals of every logged LR: mmcv's JsonLoggerHook rounds so, flair's trainer prints so.
_FIXED_DECIMALS = {"mmcv": 5, "flair": 4}


def reconstruct(
    run: Run, *, lr_tag: str | None = None, loss_tag: str | None = None, step_tag: str | None = None
) -> Trajectory:
    """The executed learning rate of each parameter group at each optimizer step, and the losses beside it.

    `lr_tag`, `loss_tag` and `step_tag` name a series or a counter where the guess would be wrong. A run without a
    learning rate gives a trajectory without groups, whose choices say what was looked for.
    """
    found = pick_lr(run, lr_tag)
    absent = not_there(run, loss_tag, step_tag)
    if isinstance(found, LrSource):
        choices = (*found.choices, *absent)
        return _trajectory(run, found.recording, found.tags, found.tags[0], choices, loss_tag, step_tag)
    record = _fullest(run, loss_tag)
    if record is None:
        return _nothing(run, found)
    return _trajectory(run, record, (), _longest_tag(record), (found, *absent), loss_tag, step_tag)


def _nothing(run: Run, choice: Choice) -> Trajectory:
    size, _ = batch_size(run)
    return Trajectory(run.path, (), "unknown", 0, (), batch_size=size, choices=(choice,))


def _fullest(run: Run, loss_tag: str | None) -> Recording | None:
    """The recording to follow where there is no LR: the one with the longest training loss, else with most points."""

    def rank(record: Recording) -> tuple[bool, int, int, str]:
        losses = [len(one) for one in record.series if role_of(one.tag) == "train-loss"]
        asked = loss_tag is not None and loss_tag in record.tags
        return not asked, -max(losses, default=0), -sum(len(one) for one in record.series), record.place

    return min(recordings(run), key=rank, default=None)


def _longest_tag(record: Recording) -> str:
    def rank(tag: str) -> tuple[bool, int, str]:
        return role_of(tag) != "train-loss", -sum(len(one) for one in record.of_tag(tag)), tag

    return min(record.tags, key=rank)


@dataclass(frozen=True, slots=True, eq=False)
class _Body:
    """The sessions, the series they were found on, and what was stitched along them."""

    clock: Logged
    sessions: Sessions
    groups: tuple[tuple[str, Stitched], ...]
    curves: tuple[Curve, ...]
    choices: tuple[Choice, ...]


def _trajectory(
    run: Run,
    record: Recording,
    tags: Sequence[str],
    lead_tag: str,
    choices: tuple[Choice, ...],
    loss_tag: str | None,
    step_tag: str | None,
) -> Trajectory:
    axis = choose_axis(run, record, lead_tag, step_tag)
    body = _body(run, record, axis, tags, lead_tag, loss_tag)
    size, size_choice = batch_size(run)
    per_epoch = updates_per_epoch(run, record, axis, size)
    planned, plan_choice = planned_steps(run, record, axis.unit, per_epoch.value)
    steps = _length(body)
    decided = (*choices, *axis.choices, *body.choices, size_choice, per_epoch.choice, plan_choice)
    lead_values = np.concatenate([one.values for one in record.of_tag(lead_tag)])
    resolution = resolution_of(lead_values, record.kind, fixed_decimals=_fixed_decimals(run))
    points = _points_by_source(record, tags, body)
    return Trajectory(
        run_path=run.path,
        groups=tuple(_group(tag, stitched) for tag, stitched in body.groups),
        step_unit=axis.unit,
        steps=steps,
        segments=_segments(body),
        steps_per_epoch=per_epoch.value,
        epochs=_epochs(axis, steps, per_epoch.value),
        batch_size=size,
        complete=completeness(steps, planned),
        planned_steps=planned,
        lr_points=sum(count for _, count in points),
        lr_points_by_source=points,
        lr_resolution=resolution.relative,
        lr_quantum=resolution.quantum,
        curves=body.curves,
        overlaps=tuple(overlap for _, stitched in body.groups for overlap in stitched.overlaps),
        choices=tuple(choice for choice in decided if choice is not None),
        attempts=max(1, body.sessions.attempts),
    )


def _body(run: Run, record: Recording, axis: Axis, tags: Sequence[str], lead_tag: str, loss_tag: str | None) -> _Body:
    lead = gather(lead_tag, record.of_tag(lead_tag), axis, record.paths)
    clock = choose_clock(record, axis, lead)
    sessions = find_sessions(clock, densest_loss(record, axis, record.paths))
    groups = []
    for tag in tags:
        logged = lead if tag == lead_tag else gather(tag, record.of_tag(tag), axis, record.paths)
        groups.append((tag, stitch(logged, clock, sessions)))
    curves, choices = pick_curves(run, record, axis, clock, sessions, loss_tag)
    return _Body(clock, sessions, tuple(groups), curves, (*_stitch_choices(clock, sessions, groups), *choices))


def _group(tag: str, stitched: Stitched) -> GroupTrajectory:
    return GroupTrajectory(tag, tag, stitched.steps, stitched.values, stitched.segment)


def _stitch_choices(clock: Logged, sessions: Sessions, groups: Sequence[tuple[str, Stitched]]) -> list[Choice]:
    choices = []
    if sessions.attempts > 1:
        shown = _span(clock, sessions, sessions.shown)
        others = tuple(_span(clock, sessions, n) for n in range(sessions.attempts) if n != sessions.shown)
        why = f"training started from scratch {sessions.attempts} times; the longest (last of equals) is shown"
        choices.append(Choice("attempt", shown, why, others))
    if len(sessions.shown_sessions) > 1:
        again = sum(len(overlap.steps) for overlap in groups[0][1].overlaps) if groups else 0
        why = "the counter went back, or a new file or process went on"
        why += f"; {again} points that a later session trained again are set aside" if again else ""
        choices.append(Choice("sessions", f"{len(sessions.shown_sessions)} joined into one run", why))
    repeated = _repeated(groups)
    if repeated:
        why = "of several values at one step the last written is kept: the one in force afterwards"
        choices.append(Choice("repeated steps", f"{repeated} points left out", why))
    return choices


def _span(clock: Logged, sessions: Sessions, attempt: int) -> str:
    steps = clock.steps[sessions.attempt[sessions.of_point] == attempt]
    return f"attempt {attempt + 1}, steps {steps.min():g} to {steps.max():g}"


def _repeated(groups: Sequence[tuple[str, Stitched]]) -> int:
    if not groups:
        return 0
    stitched = groups[0][1]
    return stitched.logged - len(stitched.steps) - sum(len(overlap.steps) for overlap in stitched.overlaps)


def _points_by_source(record: Recording, tags: Sequence[str], body: _Body) -> tuple[tuple[str, int], ...]:
    """The lead's points as logged, in the files that the attempt shown comes from."""
    if not tags:
        return ()
    shown = set(body.clock.file[body.sessions.starts[body.sessions.shown_sessions]].tolist())
    return tuple(
        (one.path, len(one)) for one in record.of_tag(tags[0]) if record.paths.index(one.path) in shown or not shown
    )


def _fixed_decimals(run: Run) -> int | None:
    return _FIXED_DECIMALS.get((run.framework or "").lower())


def _length(body: _Body) -> int:
    """Steps trained: the last step of a group or a loss, plus one. A test after training says one step too many."""
    ends = [float(stitched.steps[-1]) for _, stitched in body.groups if len(stitched.steps)]
    ends += [float(curve.steps[-1]) for curve in _of_training(body)]
    return int(np.floor(max(ends))) + 1 if ends else 0


def _of_training(body: _Body) -> tuple[Curve, ...]:
    """The curves that were logged while training went on."""
    losses = (curve for curve in body.curves if curve.role in ("train-loss", "eval-loss"))
    return tuple(curve for curve in losses if "test" not in words(curve.tag))


def _epochs(axis: Axis, steps: int, per_epoch: float | None) -> float | None:
    if axis.unit == "epoch":
        return float(steps)
    return steps / per_epoch if per_epoch else None


def _segments(body: _Body) -> tuple[Segment, ...]:
    """One per session of the attempt shown; a session trained again as a whole keeps the span it logged."""
    clock, sessions = body.clock, body.sessions
    shown = sessions.shown_sessions
    kept_steps = [stitched.steps for _, stitched in body.groups] + [curve.steps for curve in _of_training(body)]
    kept_of = [stitched.segment for _, stitched in body.groups] + [curve.segment for curve in _of_training(body)]
    steps = np.concatenate([*kept_steps, np.empty(0)])
    of = np.concatenate([*kept_of, ints([])]).astype(np.int64)
    segments = []
    for position, session in enumerate(shown.tolist()):
        mine = steps[of == position]
        logged = mine if len(mine) else clock.steps[sessions.of_point == session]
        path = clock.paths[int(clock.file[sessions.starts[session]])]
        segments.append(Segment(max(float(logged.min()), 0.0), float(logged.max()), path, resumed=position > 0))
    return tuple(segments)
