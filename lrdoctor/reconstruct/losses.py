"""The other curves: losses, momentum, gradient norm and metrics, on the trajectory's step axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from lrdoctor.model.arrays import floats, ints
from lrdoctor.model.run import Run, Series
from lrdoctor.model.trajectory import Choice, Curve
from lrdoctor.reconstruct.axis import Axis
from lrdoctor.reconstruct.logged import Logged, gather
from lrdoctor.reconstruct.names import Role, eval_rank, is_eval, is_reinforcement, is_total_loss, lr_name, role_of
from lrdoctor.reconstruct.recording import EVENTS, Recording, recordings
from lrdoctor.reconstruct.sessions import Sessions
from lrdoctor.reconstruct.stitch import stitch

MAX_CURVES = 40  # chosen by us: what a report can show; losses come first
_SUM = "sum of "
_ROLES: tuple[Role, ...] = ("train-loss", "eval-loss", "momentum", "grad-norm", "metric")


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    tag: str
    role: Role
    pieces: tuple[Series, ...]
    own_recording: bool

    @property
    def rank(self) -> tuple[int, bool, bool, int, int, str]:
        """By role; the LR's own recording, totals before parts, validation before test, then the most points."""
        points = sum(len(one) for one in self.pieces)
        total = "loss" not in self.role or is_total_loss(self.tag)
        held_out = eval_rank(self.tag) if self.role == "eval-loss" else 0
        return _ROLES.index(self.role), not total, not self.own_recording, held_out, -points, self.tag


def pick_curves(
    run: Run, record: Recording, axis: Axis, clock: Logged, sessions: Sessions, loss_tag: str | None
) -> tuple[tuple[Curve, ...], tuple[Choice, ...]]:
    """All curves worth keeping, the best of each role first."""
    candidates = _candidates(run, record, loss_tag)
    candidates.sort(key=lambda found: (found.tag != loss_tag, found.rank))
    curves: list[Curve] = []
    seen: set[tuple[str, Role]] = set()
    for found in candidates:
        if (found.tag, found.role) in seen or len(curves) >= MAX_CURVES:
            continue
        curve = _curve(found, axis, clock, sessions)
        if len(curve):
            seen.add((found.tag, found.role))
            curves.append(curve)
    made = _with_sum(curves)
    return tuple(made), tuple(_choices(made, loss_tag))


def _candidates(run: Run, record: Recording, loss_tag: str | None) -> list[_Candidate]:
    """Series with a role, of the LR's recording and of others that have the same kind of axis."""
    found = []
    for other in (record, *(one for one in recordings(run) if one.place != record.place)):
        own = other is record
        evaluating = is_eval(PurePosixPath(other.place).name) if other.kind == EVENTS else False
        for tag in other.tags:
            role = "train-loss" if tag == loss_tag else role_of(tag, evaluating=evaluating)
            if role is not None and (role == "momentum" or lr_name(tag) is None):
                found.append(_Candidate(tag, role, other.of_tag(tag), own))
    return found


def _curve(found: _Candidate, axis: Axis, clock: Logged, sessions: Sessions) -> Curve:
    extra = tuple(dict.fromkeys(one.path for one in found.pieces if one.path not in clock.paths))
    logged = gather(found.tag, found.pieces, axis, (*clock.paths, *extra))
    stitched = stitch(logged, clock, sessions)
    return Curve(found.tag, found.role, stitched.steps, stitched.values, stitched.segment)


def _with_sum(curves: list[Curve]) -> list[Curve]:
    """Where only parts of a loss were logged (detection), their sum stands first."""
    made = list(curves)
    for role in ("eval-loss", "train-loss"):
        parts = [curve for curve in curves if curve.role == role]
        if len(parts) < 2 or any(is_total_loss(part.tag) or is_reinforcement(part.tag) for part in parts):
            continue
        alike = _beside(parts)
        if len(alike) >= 2:
            total = np.sum([part.values for part in alike], axis=0)
            tag = _SUM + ", ".join(sorted(part.tag for part in alike))
            made.insert(0, Curve(tag, role, alike[0].steps, floats(total), ints(alike[0].segment)))
    return made


def _beside(parts: Sequence[Curve]) -> list[Curve]:
    """The parts logged at the very steps of the first, under the same prefix."""
    first = parts[0]
    prefix = first.tag.rpartition("/")[0]
    same = (part for part in parts if part.tag.rpartition("/")[0] == prefix)
    return [part for part in same if np.array_equal(part.steps, first.steps)]


def _choices(curves: Sequence[Curve], loss_tag: str | None) -> list[Choice]:
    choices = []
    for role, what in (("train-loss", "training loss"), ("eval-loss", "evaluation loss")):
        tags = [curve.tag for curve in curves if curve.role == role]
        if tags:
            choices.append(Choice(what, tags[0], _reason(tags, loss_tag), tuple(tags[1:])))
    return choices


def _reason(tags: Sequence[str], loss_tag: str | None) -> str:
    if tags[0] == loss_tag:
        return "named on the command line"
    if tags[0].startswith(_SUM):
        return "only the parts of the loss were logged, not the whole"
    return "the whole loss with the most points" if len(tags) > 1 else "the only one logged"
