"""The record framing of TensorBoard's event files: where each record lies, without looking into it.

A record is its length (8 bytes), the length's masked CRC-32C (4), the data, and the data's masked CRC-32C (4).
Source: tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details".

The file is read in windows, so that memory does not depend on its size; the data of long records is stepped over. What
a training loop logs repeats: once the lengths of the last records do, the headers of all records to come are predicted
and compared in bulk, up to the first that is another.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import IntArray
from lrdoctor.readers.checksum import masked_crc

HEADER_BYTES = 12
FOOTER_BYTES = 4
LONG_RECORD = 1 << 16  # bytes: images, graphs and the like; a window is never read for their sake
_OUTSIDE = HEADER_BYTES + FOOTER_BYTES
_SMALLEST_WINDOW, _LARGEST_WINDOW = 2 * (LONG_RECORD + _OUTSIDE), 1 << 22
_REMEMBERED = 1 << 14
_HEADER = struct.Struct("<QI")
_Headers = npt.NDArray[np.uint32]


class Batch(NamedTuple):
    """Records in file order. `data` lies at byte `base` of the file and is padded behind the last record by `PADDING`.

    `starts` (in `data`) and `lengths` of their contents are (n,), in bytes. `long` is (start in the file, length) of a
    record that follows them and is longer than `LONG_RECORD`, not in `data`.
    """

    data: bytes
    base: int
    starts: IntArray
    lengths: IntArray
    long: tuple[int, int] | None


PADDING = 8


@dataclass(slots=True)
class Frames:
    """Walks from record to record. `trouble` says what ended the walk before the end of the file, at byte `at`."""

    stream: BinaryIO
    size: int
    at: int = 0
    trouble: str | None = None
    _window: int = _SMALLEST_WINDOW
    _known: dict[bytes, int] = field(default_factory=dict)

    def batches(self) -> Iterator[Batch]:
        while self.at < self.size and self.trouble is None:
            batch = self._batch()
            if len(batch.starts) or batch.long:
                yield batch

    def _batch(self) -> Batch:
        base = self.at
        self.stream.seek(base)
        data = self.stream.read(self._window)
        last = base + len(data) >= self.size
        data += bytes(PADDING) if last else b""
        walk = _Walk(data, len(data) - PADDING, self._known)
        starts, lengths = walk.run()
        self.at = base + walk.at
        long = None if walk.stopped is None else self._beyond(walk.stopped, last)
        if self.at == base and self.trouble is None:
            self.trouble = "shorter than when it was opened"
        self._window = _SMALLEST_WINDOW if long else min(self._window * 4, _LARGEST_WINDOW)
        return Batch(data, base, starts, lengths, long)

    def _beyond(self, header: bytes, last: bool) -> tuple[int, int] | None:
        """The record that did not fit into the window, where it is a long one; `trouble` where there is none."""
        if len(header) < HEADER_BYTES:
            self.trouble = "truncated inside its last record" if last else None
            return None
        length = length_in(header)
        if length is None:
            self.trouble = "what follows is not an event record"
        elif self.at + length + _OUTSIDE > self.size:
            self.trouble = "truncated inside its last record"
        elif length > LONG_RECORD:
            start = self.at + HEADER_BYTES
            self.at = start + length + FOOTER_BYTES
            return start, length
        return None


class _Walk:
    """One window, from its first byte up to `end` or to the record that does not lie in it: its header is `stopped`."""

    def __init__(self, data: bytes, end: int, known: dict[bytes, int]) -> None:
        self.data = data
        self.end = end
        self.at = 0
        self.stopped: bytes | None = None
        self._known = known
        self._starts: list[IntArray] = []
        self._lengths: list[IntArray] = []

    def run(self) -> tuple[IntArray, IntArray]:
        steps = _FEWEST_STEPS
        while self.at < self.end and self.stopped is None:
            walked = self._step(steps)
            period = None if self.stopped is not None else _period(walked)
            leapt = self._leap(walked[-period:]) if period else 0
            steps = _FEWEST_STEPS if leapt > _WORTHWHILE * steps else min(2 * steps, _MOST_STEPS)
        if not self._starts:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        return np.concatenate(self._starts), np.concatenate(self._lengths)

    def _step(self, count: int) -> list[int]:
        """The lengths of the next `count` records, taken one by one."""
        data, end, known, at = self.data, self.end, self._known, self.at
        starts: list[int] = []
        lengths: list[int] = []
        while len(starts) < count and at < end:
            header = data[at : at + HEADER_BYTES]
            length = known.get(header)
            if length is None:
                length = self._learn(header)
            stop = at + length + _OUTSIDE
            if length < 0 or stop > end:
                self.stopped = header if at + HEADER_BYTES <= end else data[at:end]
                break
            starts.append(at + HEADER_BYTES)
            lengths.append(length)
            at = stop
        self.at = at
        self._keep(np.array(starts, dtype=np.int64), np.array(lengths, dtype=np.int64))
        return lengths

    def _keep(self, starts: IntArray, lengths: IntArray) -> None:
        self._starts.append(starts)
        self._lengths.append(lengths)

    def _learn(self, header: bytes) -> int:
        """The length a header states; -1 where it is none, or of a long record."""
        length = length_in(header)
        if length is None or length > LONG_RECORD:
            return -1
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[header] = length
        return length

    def _leap(self, cycle: list[int]) -> int:
        """Follow records whose lengths repeat `cycle` for as long as they do; how many there were."""
        lengths = np.array(cycle, dtype=np.int64)
        ends = np.cumsum(lengths + _OUTSIDE)
        span, offsets = int(ends[-1]), ends - lengths - _OUTSIDE
        expected = self._headers(self.at - span + offsets)
        leapt, cycles = 0, -(-_FIRST_LEAP // len(cycle))
        while cycles := min(cycles, (self.end - self.at) // span):
            starts = (self.at + np.arange(cycles)[:, None] * span + offsets).reshape(-1)
            differ = (self._headers(starts).reshape(cycles, -1) != expected.reshape(-1)).reshape(len(starts), -1)
            wrong = np.flatnonzero(differ.any(axis=1))
            same = int(wrong[0]) if len(wrong) else len(starts)
            self._keep(starts[:same] + HEADER_BYTES, np.tile(lengths, cycles)[:same])
            leapt += same
            if same < len(starts):
                self.at = int(starts[same])
                break
            self.at += cycles * span
            cycles *= 4
        return leapt

    def _headers(self, starts: IntArray) -> _Headers:
        """The headers at `starts`, (n, 3)."""
        return pieces(self.data, starts, HEADER_BYTES).view(np.uint32)


_FEWEST_STEPS, _MOST_STEPS = 32, 4096  # records walked one by one before lengths are looked at for repetition
_FIRST_LEAP = 512  # records; four times as many each time the guess holds
_WORTHWHILE = 8  # records leapt for one walked: below, comparing in bulk costs as much as it saves


def pieces(data: bytes, starts: IntArray, width: int) -> npt.NDArray[np.uint8]:
    """The `width` bytes at each of `starts`, as (n, width)."""
    every = np.ndarray((len(data) - width + 1,), dtype=f"V{width}", buffer=data, strides=(1,))
    return every[starts].view(np.uint8).reshape(-1, width)


def _period(lengths: list[int]) -> int | None:
    """The shortest cycle whose last two rounds are the same, None where there is none."""
    backwards = lengths[::-1]
    for period in range(1, len(lengths) // 2 + 1):
        if backwards[period] == backwards[0] and backwards[:period] == backwards[period : 2 * period]:
            return period
    return None


def length_in(header: bytes) -> int | None:
    """The length stated by a record's first 12 bytes; None where they do not match their checksum."""
    if len(header) < HEADER_BYTES:
        return None
    length, checksum = _HEADER.unpack_from(header)
    return int(length) if masked_crc(header[:8]) == checksum else None
