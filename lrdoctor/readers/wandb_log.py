"""W&B's .wandb files (the local record of a run) -> series of its history, and its config as hints.

Field numbers: wandb/proto/wandb_internal.proto.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from lrdoctor.errors import ReadError
from lrdoctor.limits import raised_by
from lrdoctor.model.run import Hint, Note, Series
from lrdoctor.readers.flat import numbers_in
from lrdoctor.readers.opening import absent_data
from lrdoctor.readers.protowire import BYTES, Field, WireError, fields, signed, text
from lrdoctor.readers.rows import Rows
from lrdoctor.readers.setting_names import hints_from
from lrdoctor.readers.storage import open_binary
from lrdoctor.readers.wandb_blocks import MAGIC, Records

KIND = "wandb"
_HISTORY, _CONFIG, _RUN, _EXIT = 2, 5, 17, 18  # of a Record
_ITEM, _STEP, _STEP_NUMBER = 1, 2, 1  # of a HistoryRecord; its items and a ConfigRecord's updates look alike
_CONFIG_OF_RUN = 4
_KEY, _NESTED_KEY, _VALUE_JSON = 1, 2, 16  # of an item
_STEP_NAME = "_step"
_MAX_VALUE = 1 << 20  # characters of JSON in one item: longer ones are tables and plots


def sniff(path: str, head: bytes) -> bool:
    return head.startswith(MAGIC)


def read(path: str) -> Iterator[Series | Note | Hint]:
    """A series per key of the history. `ReadError` where not one record can be read."""
    absent = absent_data(path)
    if absent is not None:
        yield absent
        return
    found = _Found(path)
    with open_binary(path) as stream:
        records = Records(stream)
        for at, record in records:
            found.take(at, record)
    if not found.records:
        raise ReadError("This is not a W&B file.", where=path, why="its first record is damaged or cut off")
    yield from found.rows.series()
    yield from hints_from(found.config, path)
    yield from _complaints(found, records)


def _complaints(found: _Found, records: Records) -> Iterator[Note]:
    if not len(found.rows):
        yield Note(found.path, "no history in it: nothing was logged before the run ended")
    if records.trouble is not None:
        yield Note(found.path, f"{records.trouble}: the process was killed or still runs", f"byte {records.end}")
    elif not found.exited:
        yield Note(found.path, "no exit record: the process was killed or still runs")
    if records.oversized:
        message = f"a record was not read: longer than {raised_by('record_bytes')}"
        yield Note(found.path, message, f"byte {records.oversized[0]}")
    damaged = sorted({*records.damaged, *found.damaged})
    if damaged:
        count = f"{len(damaged):,} record{'' if len(damaged) == 1 else 's'}"
        yield Note(found.path, f"{count} skipped: damaged", f"byte {damaged[0]}")


@dataclass(slots=True)
class _Found:
    """What the records held. `config` is the run's as last updated."""

    path: str
    records: int = 0
    exited: bool = False
    config: dict[str, object] = field(default_factory=dict)
    damaged: list[int] = field(default_factory=list)
    rows: Rows = field(init=False)

    def __post_init__(self) -> None:
        self.rows = Rows(self.path, KIND, origin_unit="byte")

    def take(self, at: int, record: bytes) -> None:
        try:
            for part in fields(record, 0, len(record)):
                self._take_part(at, record, part)
        except WireError:
            self.damaged.append(at)
        else:
            self.records += 1

    def _take_part(self, at: int, record: bytes, part: Field) -> None:
        if part.wire != BYTES:
            return
        if part.name == _HISTORY:
            values = numbers_in(dict(_history(record, part)))
            if values:
                self.rows.add(values, at)
        elif part.name == _CONFIG:
            self.config.update(_items(record, part))
        elif part.name == _RUN:
            for inner in fields(record, part.start, part.stop):
                if inner.name == _CONFIG_OF_RUN and inner.wire == BYTES:
                    self.config.update(_items(record, inner))
        elif part.name == _EXIT:
            self.exited = True


def _history(record: bytes, history: Field) -> Iterator[tuple[str, object]]:
    """The items, and the step of the record where no item states it."""
    step = None
    named = False
    for name, value in _items(record, history):
        named = named or name == _STEP_NAME
        yield name, value
    for part in fields(record, history.start, history.stop):
        if part.name == _STEP and part.wire == BYTES:
            step = _step_in(record, part)
    if step is not None and not named:
        yield _STEP_NAME, step


def _step_in(record: bytes, part: Field) -> int:
    """A step of 0 is not on the wire: proto3 leaves out defaults."""
    numbers = (one.number for one in fields(record, part.start, part.stop) if one.name == _STEP_NUMBER)
    return signed(next(numbers, 0))


def _items(record: bytes, holder: Field) -> Iterator[tuple[str, object]]:
    for item in fields(record, holder.start, holder.stop):
        if item.name == _ITEM and item.wire == BYTES:
            keys: list[str] = []
            value: object = None
            for part in fields(record, item.start, item.stop):
                if part.wire != BYTES:
                    continue
                if part.name in (_KEY, _NESTED_KEY):
                    keys.append(text(record, part))
                elif part.name == _VALUE_JSON:
                    value = _value(record, part)
            if keys and value is not None:
                yield "/".join(keys), value


def _value(record: bytes, part: Field) -> object:
    if part.stop - part.start > _MAX_VALUE:
        return None
    try:
        return json.loads(record[part.start : part.stop])
    except (ValueError, RecursionError):
        return None
