"""Many TensorBoard events at once: records that differ only in clock, step and values are decoded as numpy columns.

A training log repeats a few layouts millions of times. The first record of a layout is walked field by field; every
other record of the same length whose remaining bytes are equal, bit by bit, must then mean the same fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import FloatArray, IntArray
from lrdoctor.readers.event_walk import Event, WireError, walk

Bytes = npt.NDArray[np.uint8]
_MOST_LAYOUTS = 256  # of one length in one batch; records of rarer layouts are walked one by one
_FEWEST_ROWS = 4
_WORD = 8


class Points(NamedTuple):
    """Points of one tag: `origins` are the bytes their records start at; all (n,)."""

    tag: str
    origins: IntArray
    steps: FloatArray
    wall_times: FloatArray
    values: FloatArray


class Walked(NamedTuple):
    """An event that was walked by itself; `event` is None where its bytes are not one."""

    origin: int
    event: Event | None


def padded_width(width: int) -> int:
    """`width` rounded up to whole 8-byte words."""
    return -(-width // _WORD) * _WORD


def decode(rows: Bytes, length: int, origins: IntArray) -> Iterator[Points | Walked]:
    """The events in `rows`, (n, whole words) of which the first `length` bytes are the record."""
    for _ in range(_MOST_LAYOUTS):
        if len(rows) < _FEWEST_ROWS:
            break
        first = _walked(rows[0], length, int(origins[0]))
        layout = None if first.event is None else _layout(rows[0], length, first.event)
        if layout is None:
            yield first
            rows, origins = rows[1:], origins[1:]
            continue
        alike = layout.fits(rows)
        if alike.all():  # the common case, and no copy is made
            yield from layout.points(rows, origins)
            return
        yield from layout.points(rows[alike], origins[alike])
        rows, origins = rows[~alike], origins[~alike]
    for row, origin in zip(rows, origins.tolist(), strict=True):
        yield _walked(row, length, origin)


def _walked(row: Bytes, length: int, origin: int) -> Walked:
    try:
        return Walked(origin, walk(row[:length].tobytes(), 0, length))
    except WireError:
        return Walked(origin, None)


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Words to compare: `mask` has a 1 for each bit that must equal the `pattern`'s."""

    event: Event
    mask: npt.NDArray[np.uint64]
    pattern: npt.NDArray[np.uint64]

    def fits(self, rows: Bytes) -> npt.NDArray[np.bool_]:
        words = rows.view(np.uint64)
        differing = np.zeros(len(rows), dtype=np.uint64)
        for place, (mask, pattern) in enumerate(zip(self.mask, self.pattern, strict=True)):
            if mask:
                differing |= (words[:, place] & mask) ^ pattern
        same: npt.NDArray[np.bool_] = differing == 0
        return same

    def points(self, rows: Bytes, origins: IntArray) -> Iterator[Points]:
        steps, walls = self._steps(rows), self._walls(rows)
        for tag, number in self.event.scalars:
            yield Points(tag, origins, steps, walls, _numbers(rows, number.at, number.code))

    def _steps(self, rows: Bytes) -> FloatArray:
        if self.event.step_at is None:
            return np.zeros(len(rows))
        start, stop = self.event.step_at
        steps = np.zeros(len(rows), dtype=np.uint64)
        for place in range(start, stop):
            steps |= (rows[:, place] & 0x7F).astype(np.uint64) << np.uint64(7 * (place - start))
        return steps.view(np.int64).astype(np.float64)

    def _walls(self, rows: Bytes) -> FloatArray:
        if self.event.wall_at is None:
            return np.full(len(rows), np.nan)
        return _numbers(rows, self.event.wall_at, "<f8")


def _numbers(rows: Bytes, at: int, code: str) -> FloatArray:
    width = np.dtype(code).itemsize
    return np.ascontiguousarray(rows[:, at : at + width]).view(code)[:, 0].astype(np.float64)


def _layout(row: Bytes, length: int, event: Event) -> _Layout | None:
    """The layout of one walked record; None where it holds no scalar, or one that is not at a fixed place."""
    if not event.scalars or any(scalar.number.at < 0 for scalar in event.scalars):
        return None
    mask = np.zeros(len(row), dtype=np.uint8)
    mask[:length] = 0xFF
    if event.wall_at is not None:
        mask[event.wall_at : event.wall_at + 8] = 0
    if event.step_at is not None:
        mask[slice(*event.step_at)] = 0x80  # the continuation bits: they say where the number ends
    for _, number in event.scalars:
        mask[number.at : number.at + np.dtype(number.code).itemsize] = 0
    pattern = (row & mask).view(np.uint64)
    return _Layout(event, mask.view(np.uint64), pattern)
