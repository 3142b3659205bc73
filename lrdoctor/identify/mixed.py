"""Two clocks: a schedule stepped once per epoch, behind a ramp that is stepped at every update (mmcv, mmengine)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from lrdoctor.identify.candidate import Candidate
from lrdoctor.identify.heads import behind_heads
from lrdoctor.identify.stretch import Stretch
from lrdoctor.identify.tails import Tail
from lrdoctor.schedules import Stepped

_COST = -2.0  # that every change falls on the start of an epoch speaks for it
_FEWEST = 3  # epochs that were seen without the ramp

Read = Callable[[Stretch], Iterable[Candidate]]


def mixed_candidates(stretch: Stretch, per_epoch: float, read: Read) -> Iterator[Candidate]:
    """Readings in updates: the later epochs, read by `read` on their own clock, tell what the ramp stands before."""
    begin = _ramp_end(stretch, per_epoch)
    if begin is None:
        return
    slow = _by_epoch(stretch.at(slice(begin, None)), per_epoch)
    thin = _head_and_first(stretch, begin)
    for main in read(slow) if len(slow) >= _FEWEST else ():
        if main.family != "Constant" and main.warmup is None and main.shift in (0.0, 1.0) and main.misfit(slow) <= 1.0:
            whole = Stepped(main.schedule, per_epoch, "epoch", 0.0, main.shift)
            told = Tail(whole, 0.0, (), main.cost + _COST)
            for found in behind_heads(thin, told, len(thin) - 1, stretch.last):
                if found.warmup is not None:
                    warmup = replace(found.warmup, unit="update")
                    yield replace(found, schedule=main.schedule, warmup=warmup, shift=0.0, per_tick=per_epoch)


def _ramp_end(stretch: Stretch, per_epoch: float) -> int | None:
    """Index of the first point of the epoch from which on the LR never changes within an epoch; None without a ramp."""
    ticks = np.floor(stretch.t / per_epoch + 1e-9)
    within = np.flatnonzero((np.diff(ticks) == 0) & stretch.changed)
    if not len(within) or not bool((np.diff(ticks) == 0).any()):
        return None
    begin = int(np.searchsorted(ticks, ticks[within[-1]] + 1))
    return begin if 0 < begin < len(stretch) and within[-1] < len(stretch) // 2 else None


def _by_epoch(rest: Stretch, per_epoch: float) -> Stretch:
    """One point an epoch, in epochs."""
    ticks = np.floor(rest.t / per_epoch + 1e-9)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(ticks)) + 1])
    planned = tuple(end / per_epoch for end in rest.planned)
    return replace(rest.at(starts), t=ticks[starts], planned=planned)


def _head_and_first(stretch: Stretch, begin: int) -> Stretch:
    """The points before `begin`, thinned, and the one there."""
    index = np.unique(np.linspace(0, begin, min(begin + 1, 240)).round().astype(np.int64))
    return stretch.at(index)
