"""TensorBoard event files: scalars as `simple_value` or as tensors of no dimensions, and logged hyper-parameters.

Images, histograms, graphs and text make up most bytes of many event files; they are stepped over, never decoded.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.model.arrays import FloatArray, IntArray, floats, ints
from lrdoctor.model.run import Hint, Note, Series
from lrdoctor.readers.checksum import masked_crc_of, masked_crcs
from lrdoctor.readers.event_columns import Points, Walked, decode, padded_width
from lrdoctor.readers.event_walk import Event, WireError, walk
from lrdoctor.readers.hparams_plugin import hints_of
from lrdoctor.readers.opening import absent_data
from lrdoctor.readers.pages import Pages
from lrdoctor.readers.protowire import Data
from lrdoctor.readers.storage import open_binary
from lrdoctor.readers.tfrecord import FOOTER_BYTES, HEADER_BYTES, Batch, Frames, length_in, pieces

KIND = "tensorboard"
_LONGEST_ROW = 1024  # bytes: longer records are rarely scalars and are looked at one by one


def sniff(path: str, head: bytes) -> bool:
    """By its name, or by a first record whose header matches its checksum."""
    return bool(head) and ("tfevents" in Path(path).name or length_in(head[:HEADER_BYTES]) is not None)


def read(path: str) -> Iterator[Series | Note | Hint]:
    """A series per tag, sorted as first met. `ReadError` where not one whole record can be read."""
    absent = absent_data(path)
    if absent is not None:
        yield absent
        return
    tail = Tail(path)
    tail.advance()
    yield from tail.items()


class Tail:
    """An event file as far as it was read: `advance` reads the whole records behind byte `at`, `items` tells them all.

    `advance` raises `ReadError` where not one whole record was read yet.
    """

    def __init__(self, path: str) -> None:
        self.at = 0
        self._found = _Found(path)
        self._trouble: tuple[str, int] | None = None  # what ended the walk, and the bytes behind it

    def advance(self) -> None:
        path = self._found.path
        try:
            with open_binary(path) as stream:
                frames = Frames(stream, stream.seek(0, 2), self.at)
                for batch in frames.batches():
                    _take(batch, stream, self._found)
                    self.at = frames.at
        except OSError as error:
            raise ReadError("The file cannot be opened.", where=path, why=error.strerror or str(error)) from error
        self._trouble = (frames.trouble, frames.size - frames.at) if frames.trouble else None
        if not self._found.records:
            raise ReadError("This is not an event file.", where=path, why="its first record is damaged or cut off")

    def items(self) -> Iterator[Series | Note | Hint]:
        found = self._found
        yield from found.series()
        yield from found.hints()
        if not found.tags:
            yield Note(found.path, "no scalar in it: nothing was logged before the writer closed or the process ended")
        if self._trouble is not None:
            why, unread = self._trouble
            yield Note(found.path, f"{why}; {unread:,} bytes were not read", at=f"byte {self.at}")
        yield from found.complaints()


def _take(batch: Batch, stream: BinaryIO, found: _Found) -> None:
    found.records += len(batch.starts) + (batch.long is not None)
    short = batch.lengths <= _LONGEST_ROW
    for length in np.unique(batch.lengths[short]).tolist():
        _take_alike(batch, length, found)
    for start, length in zip(batch.starts[~short].tolist(), batch.lengths[~short].tolist(), strict=True):
        _take_one(batch.data, start, length, batch.base, found)
    if batch.long is not None:
        start, length = batch.long
        _take_one(Pages(stream, start + length + FOOTER_BYTES), start, length, 0, found)


def _take_alike(batch: Batch, length: int, found: _Found) -> None:
    """All records of one length, as the rows of a table."""
    starts = batch.starts[batch.lengths == length]
    taken = length + FOOTER_BYTES
    rows = pieces(batch.data, starts, padded_width(taken))
    whole = masked_crcs(rows[:, :length]) == np.ascontiguousarray(rows[:, length:taken]).view("<u4")[:, 0]
    origins = starts + (batch.base - HEADER_BYTES)
    if not whole.all():
        found.damaged += origins[~whole].tolist()
        rows, origins = rows[whole], origins[whole]
    for item in decode(rows, length, origins):
        found.take(item)


def _take_one(data: Data, start: int, length: int, base: int, found: _Found) -> None:
    """A record by itself; its checksum is looked at where it gives numbers."""
    origin, stop = base + start - HEADER_BYTES, start + length
    try:
        event = walk(data, start, stop)
    except WireError:
        found.damaged.append(origin)
        return
    if event.scalars or event.hparams:
        stated = int.from_bytes(data[stop : stop + FOOTER_BYTES], "little")
        if masked_crc_of(data, start, stop) != stated:
            found.damaged.append(origin)
            return
    found.take(Walked(origin, event))


@dataclass(slots=True)
class _Single:
    """Points of one tag that came one by one."""

    origins: array[int] = field(default_factory=lambda: array("q"))
    steps: array[float] = field(default_factory=lambda: array("d"))
    wall_times: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def points(self, tag: str) -> Points:
        columns = (np.array(column) for column in (self.steps, self.wall_times, self.values))
        return Points(tag, np.array(self.origins, dtype=np.int64), *columns)


@dataclass(slots=True)
class _Found:
    """What the events held, in any order; `damaged` are the bytes where records that fail their checksum start."""

    path: str
    records: int = 0
    damaged: list[int] = field(default_factory=list)
    refused: bool = False
    tags: dict[str, list[Points]] = field(default_factory=dict)
    _single: dict[str, _Single] = field(default_factory=lambda: defaultdict(_Single))
    _hparams: list[bytes] = field(default_factory=list)

    def take(self, item: Points | Walked) -> None:
        if isinstance(item, Points):
            if self._welcome(item.tag):
                self.tags[item.tag].append(item)
        elif item.event is None:
            self.damaged.append(item.origin)
        else:
            self._take_event(item.origin, item.event)

    def _welcome(self, tag: str) -> bool:
        if tag not in self.tags and len(self.tags) >= limits().tags:
            self.refused = True
            return False
        self.tags.setdefault(tag, [])
        return True

    def _take_event(self, origin: int, event: Event) -> None:
        if event.hparams is not None:
            self._hparams.append(event.hparams)
        for tag, number in event.scalars:
            if self._welcome(tag):
                single = self._single[tag]
                single.origins.append(origin)
                single.steps.append(float(event.step))
                single.wall_times.append(event.wall_time)
                single.values.append(number.value)

    def series(self) -> Iterator[Series]:
        """In order of first appearance in the file."""
        whole = [_in_file_order([*parts, *self._rest(tag)]) for tag, parts in self.tags.items()]
        for points in sorted(whole, key=lambda points: (int(points.origins[0]), points.tag)):
            yield Series(
                path=self.path,
                tag=points.tag,
                values=floats(points.values),
                axes={"step": floats(points.steps)},
                origin=ints(points.origins),
                kind=KIND,
                origin_unit="byte",
                wall_time=None if np.isnan(points.wall_times).all() else floats(points.wall_times),
            )

    def _rest(self, tag: str) -> list[Points]:
        return [self._single[tag].points(tag)] if tag in self._single else []

    def hints(self) -> Iterator[Hint]:
        for content in self._hparams[-1:]:
            yield from hints_of(content, self.path)

    def complaints(self) -> Iterator[Note]:
        if self.damaged:
            damaged = sorted(self.damaged)
            several = f"{len(damaged):,} damaged records were left out, the first"
            message = several if len(damaged) > 1 else "a damaged record was left out"
            yield Note(self.path, message, f"byte {damaged[0]}")
        if self.refused:
            yield Note(self.path, f"too many tags in one file ({raised_by('tags')}); the rest was not read")


def _in_file_order(parts: list[Points]) -> Points:
    """Layouts were decoded one after another: back to the order of the file, values of one record in their order."""
    origins: IntArray = np.concatenate([part.origins for part in parts])
    order = np.argsort(origins, kind="stable")
    columns: list[FloatArray] = [
        np.concatenate(column)[order] for column in zip(*(part[2:] for part in parts), strict=True)
    ]
    return Points(parts[0].tag, origins[order], *columns)
