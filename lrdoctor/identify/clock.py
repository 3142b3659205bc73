"""How often the scheduler was stepped: the clocks a stretch may be read on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lrdoctor.identify.candidate import digits
from lrdoctor.identify.stretch import Stretch
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.schedule import Schedule, Unit
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.schedules import Stepped

_OFFSETS = (
    0,
    1,
    -1,
)  # updates by which a log's epochs may be off: the LR is logged before or after the scheduler's step
_FEWEST_TICKS = 4  # plateaus of one length: fewer may be chance
_FEWEST_APART = 3  # changes that are one tick apart
_MOST_LENGTHS = 4  # that a sparse log leaves open
_SHORTEST_EPOCH = 16  # updates: shorter plateaus may as well be accumulated gradients, or a log that repeats itself
_MOST_LOOSE = 0.02  # share of plateaus that may be off by one update: a last batch dropped now and then


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """One tick is `per_tick` trajectory steps from step `first` on. `points` is the stretch in ticks, one point a tick.

    `certain` where the log shows that the LR stood still between ticks.
    """

    unit: Unit | None
    per_tick: float
    first: float
    points: Stretch
    certain: bool = False
    assumed: tuple[str, ...] = ()

    def over_steps(self, schedule: Schedule, shift: float) -> Schedule:
        """A schedule in ticks as one over trajectory steps."""
        if self.per_tick == 1.0 and self.first == 0.0 and shift == 0.0:
            return schedule
        return Stepped(schedule, self.per_tick, self.unit, self.first, shift)


def clocks(trajectory: Trajectory, stretch: Stretch, first: float) -> list[Clock]:
    """The clocks to try on a stretch in trajectory steps since `first`; the per-epoch one alone where it is certain."""
    if trajectory.step_unit == "epoch":
        return [Clock("epoch", 1.0, first, stretch)]
    if trajectory.step_unit != "update":
        return [Clock(None, 1.0, first, stretch)]
    plain = Clock("update", 1.0, first, stretch)
    per_epoch = trajectory.steps_per_epoch
    if per_epoch is not None and per_epoch > 1:
        slow = next(_epoch_clocks(stretch, per_epoch, first), None)
        return [plain] if slow is None else [slow] if slow.certain else [plain, slow]
    told = _plateau_clock(stretch, first)
    return [plain, told] if told is not None else [plain, *_stair_clocks(stretch, first)]


def _epoch_clocks(stretch: Stretch, per_epoch: float, first: float) -> Iterator[Clock]:
    """Clocks that tick once an epoch and under which the LR never changes within a tick, most natural first."""
    for offset in _OFFSETS:
        ticks = np.floor((stretch.t + offset) / per_epoch + 1e-9)
        if ticks[0] < 0:
            continue
        same = np.diff(ticks) == 0
        if bool((same & stretch.changed).any()) or not stretch.changed.any():
            continue
        yield Clock("epoch", per_epoch, first - offset, _one_a_tick(stretch, ticks, per_epoch), bool(same.any()))


def _one_a_tick(stretch: Stretch, ticks: FloatArray, per_tick: float) -> Stretch:
    """The first point of each tick; planned lengths in ticks, and in steps too: the two get mixed up."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(ticks)) + 1])
    planned = (*(end / per_tick for end in stretch.planned), *stretch.planned)
    spacing = stretch.spacing / per_tick if stretch.spacing > per_tick else 0.0
    return replace(stretch.at(starts), t=ticks[starts], planned=tuple(dict.fromkeys(planned)), spacing=spacing)


def _plateau_clock(stretch: Stretch, first: float) -> Clock | None:
    """Where no epochs were logged: plateaus of one and the same length are the ticks of a slower clock."""
    changed = np.flatnonzero(stretch.changed)
    if len(changed) < _FEWEST_TICKS or len(stretch) < 3 * len(changed):
        return None
    lengths = np.diff(stretch.t[changed + 1])
    length = float(np.median(lengths))
    if length < 2 or np.mean(lengths != length) > _MOST_LOOSE:
        return None
    start = float(stretch.t[changed[0] + 1]) - length  # where the first whole plateau began, if it was whole
    return None if start > 0 else _of_length(stretch, first, start, length)


def _stair_clocks(stretch: Stretch, first: float) -> Iterator[Clock]:
    """The same where the log is sparse, or plateaus last for several ticks: every change falls on a whole tick.

    The first changes are taken for one tick apart, as those of a warmup or of a smooth decline are.
    """
    changed = np.flatnonzero(stretch.changed)
    if not _FEWEST_TICKS <= len(changed) < len(stretch) - 1 or stretch.t[0] != 0:
        return
    before, at = stretch.t[changed], stretch.t[changed + 1]
    count = np.arange(1, len(changed) + 1)
    low, high = np.maximum.accumulate(before / count), np.minimum.accumulate(at / count)
    apart = int(np.argmin(low < high)) if not (low < high).all() else len(changed)
    if apart < _FEWEST_APART:
        return
    lengths = np.arange(math.floor(low[apart - 1]) + 1, math.floor(high[apart - 1] + 1e-9) + 1)
    lengths = lengths[lengths > max(1.0, float(np.median(np.diff(stretch.t))))]
    whole = (np.floor(at / lengths[:, None] + 1e-9) > np.floor(before / lengths[:, None] + 1e-9)).all(axis=1)
    left = lengths[whole].tolist()
    plainest = sorted(left, key=lambda ticks: (digits(ticks), abs(ticks - left[len(left) // 2])))
    for length in plainest[:_MOST_LENGTHS]:
        clock = _of_length(stretch, first, 0.0, float(length))
        if clock is not None:
            yield clock


def _of_length(stretch: Stretch, first: float, start: float, length: float) -> Clock | None:
    """The clock of ticks of that many updates from `start` on; None where the log begins before it."""
    ticks = np.floor((stretch.t - start) / length + 1e-9)
    if ticks[0] < 0:
        return None
    unit: Unit | None = "epoch" if length >= _SHORTEST_EPOCH else None
    assumed = (f"an epoch is {length:g} updates, the length of the plateaus",) if unit else ()
    return Clock(unit, length, first + start, _one_a_tick(stretch, ticks, length), False, assumed)
