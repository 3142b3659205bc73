"""Where training stopped and started again: the sessions of a log, and the attempts they make up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrdoctor.model.arrays import FloatArray, IntArray
from lrdoctor.reconstruct.logged import Logged

_WIDE = 1.5  # intervals: a gap this wide has room for a point that was written late
_HOLE = 10.0  # intervals: a forward jump this wide inside an even log is a missing session
_UNORDERED = 0.2  # share of backward steps above which the log is not in the order of training at all
_FEWEST, _RARELY = 20, 2  # logged points, and how many steps among them were logged twice where sessions met
_NEAR_START = 2.0  # intervals from step 0 within which a session counts as started from scratch
_NEAR_START_SHARE = 0.01  # or this share of the longest logged step
_LAST_LOSSES = 5  # points whose median is the loss a session ended with
_FELL = 0.5  # share of its first loss below which a session's loss must end to tell going on from starting over


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """`of_point` (T,) numbers the session of each point of the clock; per session its first point's place and step.

    `attempt` numbers for each session the from-scratch attempt it belongs to; `shown` is the attempt to audit.
    """

    of_point: IntArray
    starts: IntArray
    first_step: FloatArray
    attempt: IntArray
    shown: int

    @property
    def count(self) -> int:
        return len(self.starts)

    @property
    def attempts(self) -> int:
        return int(self.attempt.max()) + 1 if len(self.attempt) else 0

    @property
    def shown_sessions(self) -> IntArray:
        return np.flatnonzero(self.attempt == self.shown)


def find_sessions(clock: Logged, loss: Logged | None = None) -> Sessions:
    """Sessions begin with a new file, a new writing process, a step back or twice trained, or after a hole in the log.

    `loss` is the training loss: a counter that starts over while the loss goes on where it was is no new attempt.
    """
    steps = clock.steps
    begins = np.zeros(len(steps), dtype=bool)
    if len(steps):
        begins[0] = True
        begins[1:] = (np.diff(clock.file) != 0) | (np.diff(clock.writer) != 0)
        begins[_backward_starts(steps, begins)] = True
        begins[_after_holes(steps, begins)] = True
        begins[_trained_twice(clock, loss, begins)] = True
    starts = np.flatnonzero(begins)
    of_point = np.cumsum(begins) - 1
    first_step = np.minimum.reduceat(steps, starts) if len(starts) else steps[:0]
    attempt = _attempts(steps, starts, first_step, _goes_on(clock, starts, loss))
    return Sessions(of_point, starts, first_step, attempt, _longest(steps, of_point, attempt))


def typical_interval(steps: FloatArray) -> float:
    """The median distance between successive logged steps; 0 where there is none."""
    ahead = np.diff(steps)
    ahead = ahead[ahead > 0]
    return float(np.median(ahead)) if len(ahead) else 0.0


def _backward_starts(steps: FloatArray, begins: np.ndarray) -> list[int]:
    """Points where the counter goes back and training with it; a point written late is no restart."""
    back = np.flatnonzero((np.diff(steps) < 0) & ~begins[1:]) + 1
    if len(back) > _UNORDERED * len(steps) and len(steps) > 10:
        return []
    interval = typical_interval(steps)
    found: list[int] = []
    for at in back.tolist():
        start = found[-1] if found else 0
        if not _written_late(steps, start, at, interval):
            found.append(at)
    return found


def _written_late(steps: FloatArray, start: int, at: int, interval: float) -> bool:
    """Whether the point only fills a hole just before it, and the next one goes on from the front."""
    front = steps[at - 1]
    if at + 1 < len(steps) and steps[at + 1] <= front:
        return False
    nearby = steps[max(start, at - 50) : at]
    below, above = nearby[nearby < steps[at]], nearby[nearby > steps[at]]
    if not len(below) or not len(above) or (nearby == steps[at]).any():
        return False
    return float(above.min() - below.max()) >= _WIDE * interval


def _after_holes(steps: FloatArray, begins: np.ndarray) -> IntArray:
    """Points after a forward jump of many intervals where the log is even on both sides."""
    gaps = np.diff(steps)
    interval = typical_interval(steps)
    if interval <= 0 or len(steps) < 10:
        return np.empty(0, dtype=np.int64)
    even = np.isclose(gaps, interval)
    if even.mean() < 0.95:
        return np.empty(0, dtype=np.int64)
    wide = np.flatnonzero((gaps > _HOLE * interval) & ~begins[1:])
    inner = wide[(wide > 0) & (wide < len(gaps) - 1)]
    return inner[even[inner - 1] & even[inner + 1]] + 1


def _trained_twice(clock: Logged, loss: Logged | None, begins: np.ndarray) -> IntArray:
    """The rare step that has two learning rates and two losses: a sparse log met one step of those trained again.

    A logger that writes a step twice by habit does so all along, and rarely with two losses.
    """
    again = np.flatnonzero((np.diff(clock.steps) == 0) & ~begins[1:]) + 1
    if loss is None or loss.tag == clock.tag or len(clock) < _FEWEST or len(again) > _RARELY:
        return again[:0]
    two_rates = clock.values[again] != clock.values[again - 1]
    two_losses = [len(np.unique(loss.values[loss.steps == step])) == 2 for step in clock.steps[again]]
    found: IntArray = again[two_rates & np.array(two_losses, dtype=bool)]
    return found


def _goes_on(clock: Logged, starts: IntArray, loss: Logged | None) -> np.ndarray:
    """For each session whether the loss shows that it took over the weights of the session before it."""
    found = np.zeros(len(starts), dtype=bool)
    if loss is None or not len(loss):
        return found
    begins = [int(np.searchsorted(_order(loss), key)) for key in _order(clock)[starts]]
    for number in range(1, len(starts)):
        before = loss.values[begins[number - 1] : begins[number]]
        if len(before) and begins[number] < len(loss):
            found[number] = _continues(before, float(loss.values[begins[number]]))
    return found


def _order(logged: Logged) -> np.ndarray:
    """Points as (file, place in it), to be compared."""
    order = np.zeros(len(logged), dtype=[("file", np.int64), ("origin", np.int64)])
    order["file"], order["origin"] = logged.file, logged.origin
    return order


def _continues(before: FloatArray, after: float) -> bool:
    """Whether the first loss of a session is nearer to where the one before ended than to where that one began."""
    began, ended = float(before[0]), float(np.median(before[-_LAST_LOSSES:]))
    if not (0 < ended < _FELL * began and after > 0):
        return False
    return after * after < began * ended


def _attempts(steps: FloatArray, starts: IntArray, first_step: FloatArray, goes_on: np.ndarray) -> IntArray:
    """The attempt of each session: a new one where training went back to its beginning."""
    attempt = np.zeros(len(starts), dtype=np.int64)
    if len(starts) < 2:
        return attempt
    interval = typical_interval(steps)
    near = max(1.0, _NEAR_START * interval, _NEAR_START_SHARE * float(steps.max()))
    beginning, reached = first_step[0], float(steps[: starts[1]].max())
    for number in range(1, len(starts)):
        attempt[number] = attempt[number - 1]
        first = first_step[number]
        end = starts[number + 1] if number + 1 < len(starts) else len(steps)
        last = float(steps[starts[number] : end].max())
        scratch = first <= reached and first <= near and first <= beginning + interval / 2
        if scratch and not goes_on[number]:
            attempt[number] += 1
            beginning, reached = first, last
        reached = max(reached, last)
    return attempt


def _longest(steps: FloatArray, of_point: IntArray, attempt: IntArray) -> int:
    """The attempt that reached farthest; the last of equals."""
    if not len(attempt):
        return 0
    reached = np.full(int(attempt.max()) + 1, -np.inf)
    np.maximum.at(reached, attempt[of_point], steps)
    return int(len(reached) - 1 - np.argmax(reached[::-1]))
