"""Candidates -> the reading of a stretch: exact before approximate, short before long, and Unknown before wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lrdoctor.identify.candidate import Candidate, digits
from lrdoctor.identify.clock import Clock, clocks
from lrdoctor.identify.cycles import onecycle_candidates, restart_candidates
from lrdoctor.identify.declared import declared_candidates
from lrdoctor.identify.declines import decline_candidates
from lrdoctor.identify.metric import followed_between, followed_patience
from lrdoctor.identify.mixed import mixed_candidates
from lrdoctor.identify.overlaid import overlaid_candidates, rise_candidates
from lrdoctor.identify.plateaus import plateau_candidates
from lrdoctor.identify.smooth import smooth_candidates
from lrdoctor.identify.stretch import Stretch
from lrdoctor.identify.sweep import sweep_candidates
from lrdoctor.identify.triangles import triangle_candidates
from lrdoctor.model.identification import Fit
from lrdoctor.model.run import Checkpoint
from lrdoctor.model.schedule import Schedule, Unit
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.schedules import ExponentialLR, PolynomialLR, ReduceLROnPlateau, Unknown

ACCEPTED_ERROR = 5e-3
"""A reading that is not exact is accepted up to this |fitted - logged| / peak."""

MIN_POINTS = 3
_POINTS_PER_NUMBER = 3  # an approximate reading needs more than so many points for each number in it
_CLOSE_COST = 2.0  # another family this close in description length, and as exact, leaves the choice open
_SAME_COST = 0.75
_PLAIN_DIGITS, _PLAIN_COST = 2.0, 13.0
_ASSUMED_COST = 0.5
_RIVAL_ERROR = 0.25
_PLATEAU_PER_UPDATE = 1.0  # a metric is looked at once an epoch
_FEW_POINTS, _FEW_POINTS_COST = 0.4, 8.0  # a long description of hardly more points than numbers is a guess
_NEARLY_ONE = 0.1
_OPEN, _FEW_MILESTONES = 0.45, 2
_SMALL_GAMMA, _FEW_PLATEAUS, _UNUSUAL = 0.75, 10, 1.0
_FOLLOWED_COST = 2.5  # of a plateau whose every cut a logged metric foretells
_MOST_EVIDENCE = 99.0  # decimal orders of odds: more say nothing more
_UNKNOWN_POINTS = 512


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A candidate on a clock. `misfit` is its largest residual in roundings of the log, `error` that over the peak."""

    candidate: Candidate
    clock: Clock
    error: float
    misfit: float
    cost: float

    @property
    def exact(self) -> bool:
        return self.misfit <= 1.0

    @property
    def rank(self) -> tuple[bool, float]:
        """Smaller is better: exact ones by length; of the others, four more digits must save a factor e of error."""
        return not self.exact, self.cost if self.exact else math.log(self.error + 1e-9) + 0.25 * self.cost


def read_stretch(
    trajectory: Trajectory, stretch: Stretch, first: float, checkpoints: Sequence[Checkpoint], quick: bool = False
) -> Fit:
    """The reading of a stretch given in trajectory steps since `first`. `quick` makes no search of the slow kind."""
    if len(stretch) < MIN_POINTS or stretch.peak <= 0:
        return unknown(stretch, first)
    judged = _best_first(_judged(trajectory, stretch, first, checkpoints, quick))
    if not judged or not _accepted(judged[0], len(stretch)):
        return unknown(stretch, first, _nearest(judged))
    return _fit(judged, stretch, first)


def _nearest(judged: list[Judged]) -> str | None:
    return min(judged, key=lambda one: one.error).candidate.family if judged else None


def _judged(
    trajectory: Trajectory, stretch: Stretch, first: float, checkpoints: Sequence[Checkpoint], quick: bool
) -> Iterator[Judged]:
    """Every candidate, judged on the points that fitting looks at."""
    for clock in clocks(trajectory, stretch, first):
        for candidate in _on(clock, checkpoints, trajectory, quick):
            found = _judge(candidate, clock, clock.points.thin)
            if found is not None:
                yield _with_metric(found, trajectory)


def _with_metric(found: Judged, trajectory: Trajectory) -> Judged:
    """Cuts that a logged metric foretells need no description; those at single updates hardly follow one."""
    plateau, clock = found.candidate.schedule, found.clock
    if not isinstance(plateau, ReduceLROnPlateau) or not found.exact:
        return found
    alone = found.candidate.whole is plateau
    patience = followed_patience(trajectory, clock, plateau, found.candidate.shift) if alone else None
    if patience is None:
        patience = _followed_in_steps(trajectory, clock, plateau)
    if patience is None:
        return replace(found, cost=found.cost + _PLATEAU_PER_UPDATE) if clock.unit == "update" else found
    known = replace(plateau, patience=patience)
    candidate = replace(found.candidate, schedule=known, whole=known, cost=_FOLLOWED_COST)
    return replace(found, candidate=candidate, cost=_FOLLOWED_COST)


def _followed_in_steps(trajectory: Trajectory, clock: Clock, plateau: ReduceLROnPlateau) -> int | None:
    """The patience that a curve logged at its own pace tells."""
    points, cuts = clock.points, len(set(plateau.cuts))
    changed = np.flatnonzero(points.changed)[-cuts:]
    if len(changed) < cuts:
        return None
    steps = clock.first + points.t * clock.per_tick
    return followed_between(trajectory, plateau, steps[changed], steps[changed + 1])


def _judge(candidate: Candidate, clock: Clock, points: Stretch) -> Judged | None:
    try:
        off = np.abs(candidate.residual(points))
    except (ValueError, ArithmeticError):
        return None
    error, misfit = float(off.max()) / points.peak, float((off / points.tol).max())
    if not np.isfinite(error) or (misfit > 1.0 and _is_nearly_a_line(candidate.schedule)):
        return None
    cost = candidate.cost + _ASSUMED_COST * len(candidate.assumed) + _cost_of_plateaus(candidate.schedule, clock)
    return Judged(candidate, clock, error, misfit, cost)


def _cost_of_plateaus(schedule: Schedule, clock: Clock) -> float:
    """Plateaus that fall by one factor are epochs of an exponential decay or the steps of a StepLR: the same numbers.

    Who writes a small factor, or a few steps, writes StepLR; who writes one near 1 an ExponentialLR.
    """
    if not clock.assumed or not isinstance(schedule, ExponentialLR):
        return 0.0
    steps = schedule.gamma < _SMALL_GAMMA or len(clock.points) < _FEW_PLATEAUS
    return digits(clock.per_tick) + (_UNUSUAL if steps else -_UNUSUAL)


def _is_nearly_a_line(schedule: Schedule) -> bool:
    """A power close to one that is not exact is a straight line with noise."""
    return isinstance(schedule, PolynomialLR) and abs(schedule.power - 1.0) < _NEARLY_ONE


def _best_first(found: Iterable[Judged]) -> list[Judged]:
    """Best first; the best has been judged on every point."""
    ranked = sorted(found, key=lambda one: one.rank)
    checked: set[int] = set()
    while ranked and id(ranked[0].candidate) not in checked:
        best = ranked[0]
        checked.add(id(best.candidate))
        whole = _judge(best.candidate, best.clock, best.clock.points)
        ranked = sorted([*([whole] if whole else []), *ranked[1:]], key=lambda one: one.rank)
    return ranked


def _on(clock: Clock, checkpoints: Sequence[Checkpoint], trajectory: Trajectory, quick: bool) -> Iterator[Candidate]:
    """The candidates on a clock; on the clock of the updates also those of two clocks."""
    per_epoch = trajectory.steps_per_epoch
    if clock.unit == "update" and per_epoch is not None and per_epoch > 1:
        yield from mixed_candidates(clock.points, per_epoch, _flat_or_falling)
    yield from _candidates(clock.points, checkpoints, trajectory, quick)


def _flat_or_falling(points: Stretch) -> Iterator[Candidate]:
    yield from plateau_candidates(points)
    yield from decline_candidates(points)


def _candidates(
    points: Stretch, checkpoints: Sequence[Checkpoint], trajectory: Trajectory, quick: bool
) -> Iterable[Candidate]:
    """The slow searches only where none of the quick ones is exact; a cycle competes with a decline behind a warmup."""
    if len(points) < MIN_POINTS:
        return
    exact = quick
    for source in (
        declared_candidates(points, checkpoints),
        plateau_candidates(points),
        sweep_candidates(points, trajectory),
        triangle_candidates(points),
        decline_candidates(points),
    ):
        for candidate in source:
            exact = exact or (_is_plain(candidate) and _is_exact(candidate, points))
            yield candidate
    yield from restart_candidates(points)
    yield from onecycle_candidates(points)
    if not exact:
        yield from smooth_candidates(points)
        yield from overlaid_candidates(points)
        yield from rise_candidates(points)


def _is_plain(candidate: Candidate) -> bool:
    """Whether it is what a person would write; else another statement of the same curve may be."""
    return (
        not candidate.assumed and digits(candidate.schedule.peak_lr) <= _PLAIN_DIGITS and candidate.cost < _PLAIN_COST
    )


def _is_exact(candidate: Candidate, points: Stretch) -> bool:
    try:
        return candidate.misfit(points.thin) <= 1.0
    except (ValueError, ArithmeticError):
        return False


def _accepted(best: Judged, points: int) -> bool:
    """Exact readings need more points than numbers; approximate ones more of them, and a small error."""
    count = len(best.clock.points)
    if best.exact:
        return count > best.candidate.free or points > 2 * best.candidate.free
    return best.error <= ACCEPTED_ERROR and count > _POINTS_PER_NUMBER * best.candidate.free


def _fit(judged: list[Judged], stretch: Stretch, first: float) -> Fit:
    best = judged[0]
    others = [one for one in judged if one.candidate.family != best.candidate.family]
    rival = min(others, key=lambda one: (not one.exact, one.cost if one.exact else one.error), default=None)
    candidate, clock = best.candidate, best.clock
    return Fit(
        schedule=candidate.schedule,
        whole=clock.over_steps(candidate.whole, candidate.shift),
        first_step=first + float(stretch.t[0]),
        last_step=first + stretch.last,
        stepped=_unit(best, judged) if candidate.per_tick is None else "epoch",
        steps_per_tick=clock.per_tick * (candidate.per_tick or 1.0),
        fit_error=best.error,
        confidence=_confidence(best, rival),
        exact=best.exact,
        warmup=candidate.warmup,
        shift=candidate.shift,
        runner_up=rival.candidate.family if rival is not None and rival.error < _RIVAL_ERROR else None,
        evidence=_evidence(best, rival) if rival is not None and rival.error < _RIVAL_ERROR else None,
        assumed=(*candidate.assumed, *clock.assumed),
    )


def _evidence(best: Judged, rival: Judged) -> float:
    """log10 of the odds: by the digits more that the rival takes to state, and by its larger residuals."""
    worse = math.log10(max(rival.misfit, 1.0) / max(best.misfit, 1.0))
    return min(rival.cost - best.cost + len(best.clock.points.thin) * max(worse, 0.0), _MOST_EVIDENCE)


def _unit(best: Judged, judged: list[Judged]) -> Unit | None:
    """The unit of a tick; None where another clock tells the same family as exactly and about as shortly."""
    if best.clock.certain or not best.exact:
        return best.clock.unit
    others = (one for one in judged if one.exact and one.clock.unit != best.clock.unit)
    same = (one for one in others if one.candidate.family == best.candidate.family)
    return None if any(one.cost - best.cost <= _SAME_COST for one in same) else best.clock.unit


def _confidence(best: Judged, rival: Judged | None) -> float:
    """How sure the family is, in [0, 1]: by exactness, spare points, and how close the next family comes."""
    spare = len(best.clock.points) - best.candidate.free
    if not best.exact:
        apart = rival is None or rival.error > 5 * best.error
        sure = 0.8 if best.error < 1e-3 and apart else 0.6
    else:
        sure = 0.99 if spare > 3 else 0.7 if best.cost < _FEW_POINTS_COST else _FEW_POINTS
        if rival is not None and rival.exact:
            sure = min(sure, 0.9 if rival.cost - best.cost > _CLOSE_COST else 0.6)
            if rival.cost - best.cost <= _CLOSE_COST and _may_follow_a_metric(best, rival):
                sure = _OPEN
        sure = min(sure, 0.85) if best.candidate.assumed else sure
    return min(sure, best.candidate.trust)


def _may_follow_a_metric(best: Judged, rival: Judged) -> bool:
    """Several milestones that no one would write: a metric, which is looked at once an epoch, may as well have cut."""
    milestones = best.candidate.schedule.params().get("milestones")
    several = isinstance(milestones, list) and len(milestones) > _FEW_MILESTONES and best.clock.unit != "update"
    return several and rival.candidate.family == "ReduceLROnPlateau"


def unknown(stretch: Stretch, first: float, nearest: str | None = None) -> Fit:
    """No family explains the stretch: the logged points themselves, thinned."""
    index = np.unique(np.linspace(0, len(stretch) - 1, min(len(stretch), _UNKNOWN_POINTS)).round().astype(int))
    steps, lrs = stretch.t[index] + first, stretch.lr[index]
    schedule = Unknown(tuple(steps.tolist()), tuple(lrs.tolist()))
    off = np.abs(schedule.lr_at(stretch.t + first) - stretch.lr)
    return Fit(
        schedule=schedule,
        whole=schedule,
        first_step=float(first + stretch.t[0]),
        last_step=float(first + stretch.last),
        stepped=None,
        steps_per_tick=1.0,
        fit_error=float(off.max()) / stretch.peak if stretch.peak > 0 else 0.0,
        confidence=0.0,
        exact=False,
        runner_up=nearest,
    )
