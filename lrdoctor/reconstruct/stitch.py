"""One trajectory out of several sessions: what a later session trained again replaces what an earlier one logged."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lrdoctor.model.arrays import FloatArray, IntArray, floats, ints
from lrdoctor.model.trajectory import Overlap
from lrdoctor.reconstruct.logged import Logged
from lrdoctor.reconstruct.sessions import Sessions


class Stitched(NamedTuple):
    """The executed points, all (T,), steps strictly increasing; and the logged ones that were trained again.

    `logged` counts the points of the attempt shown, repeated and overlapping ones included.
    """

    steps: FloatArray
    values: FloatArray
    segment: IntArray
    overlaps: tuple[Overlap, ...]
    logged: int


def stitch(logged: Logged, clock: Logged, sessions: Sessions) -> Stitched:
    """The part of a series that belongs to the attempt shown. Segments are numbered within that attempt.

    `clock` is the series the sessions were found on.
    """
    session = _session_of(logged, clock, sessions)
    shown = sessions.attempt[session] == sessions.shown
    first = int(sessions.shown_sessions[0]) if sessions.count else 0
    steps, values, segment = logged.steps[shown], logged.values[shown], session[shown] - first
    replaced = _trained_again(steps, segment)
    overlaps = tuple(
        Overlap(logged.tag, floats(steps[here]), floats(values[here]), int(number))
        for number in np.unique(segment[replaced])
        if (here := replaced & (segment == number)).any()
    )
    kept = _last_of_each_step(steps[~replaced])
    executed, trained = floats(steps[~replaced][kept]), floats(values[~replaced][kept])
    return Stitched(executed, trained, ints(segment[~replaced][kept]), overlaps, len(steps))


def _session_of(logged: Logged, clock: Logged, sessions: Sessions) -> IntArray:
    """The session of each point: by its place in the file, by its wall time in another, by its step at last."""
    if not sessions.count or not len(logged):
        return np.zeros(len(logged), dtype=np.int64)
    if logged is clock:
        return sessions.of_point
    session = np.full(len(logged), -1, dtype=np.int64)
    for file in np.unique(logged.file):
        here = np.flatnonzero(logged.file == file)
        session[here] = _within_file(logged, here, clock, sessions, int(file))
    return session


def _within_file(logged: Logged, here: IntArray, clock: Logged, sessions: Sessions, file: int) -> IntArray:
    numbers = np.flatnonzero(clock.file[sessions.starts] == file)
    if len(numbers):
        bounds = [_boundary(logged, here, clock, int(sessions.starts[number])) for number in numbers[1:]]
        later = np.searchsorted(np.array(bounds, dtype=np.int64), np.arange(len(here)), side="right")
        return np.asarray(numbers[0] + later, dtype=np.int64)
    wall = clock.wall[sessions.starts]
    if np.isfinite(wall).all() and np.isfinite(logged.wall[here]).all() and bool((np.diff(wall) > 0).all()):
        return np.clip(np.searchsorted(wall, logged.wall[here], side="right") - 1, 0, None)
    return _by_own_restarts(logged.steps[here], sessions)


def _boundary(logged: Logged, here: IntArray, clock: Logged, start: int) -> int:
    """Index into `here` of the first point of the session whose first clock point is `start`.

    Between the last clock point of the old session and the first of the new one, the series' own step back decides:
    losses are often logged more densely than the LR.
    """
    origin = logged.origin[here]
    low = int(np.searchsorted(origin, clock.origin[start - 1], side="right"))
    high = int(np.searchsorted(origin, clock.origin[start], side="left"))
    own = np.flatnonzero(np.diff(logged.steps[here][max(low - 1, 0) : high + 1]) < 0)
    return max(low - 1, 0) + int(own[0]) + 1 if len(own) else high


def _by_own_restarts(steps: FloatArray, sessions: Sessions) -> IntArray:
    """Without clocks: as many steps back as the clock has sessions match them one by one, else the steps decide."""
    own = np.concatenate([[0], np.cumsum(np.diff(steps) < 0)])
    if int(own[-1]) + 1 == sessions.count:
        return own
    shown = sessions.shown_sessions
    last_start = np.minimum.accumulate(sessions.first_step[shown][::-1])[::-1]
    place = np.clip(np.searchsorted(last_start, steps, side="right") - 1, 0, len(shown) - 1)
    return np.asarray(shown[0] + place, dtype=np.int64)


def _trained_again(steps: FloatArray, segment: IntArray) -> np.ndarray:
    """Points at or after the first step of a later session."""
    if not len(steps):
        return np.zeros(0, dtype=bool)
    first = np.full(int(segment.max()) + 1, np.inf)
    np.minimum.at(first, segment, steps)
    later = np.append(np.minimum.accumulate(first[::-1])[::-1][1:], np.inf)
    replaced: np.ndarray = steps >= later[segment]
    return replaced


def _last_of_each_step(steps: FloatArray) -> IntArray:
    """Indices in step order; of several points of one step the last written (the value in force afterwards)."""
    order = np.argsort(steps, kind="stable")
    ordered = steps[order]
    last = np.append(np.diff(ordered) > 0, True) if len(ordered) else np.zeros(0, dtype=bool)
    kept: IntArray = order[last]
    return kept
