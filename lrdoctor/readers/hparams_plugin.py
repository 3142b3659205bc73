"""Hyper-parameters as TensorBoard's HParams plugin stores them (`SummaryWriter.add_hparams`) -> hints.

Field numbers: tensorboard/plugins/hparams/plugin_data.proto and google/protobuf/struct.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

from lrdoctor.model.run import Hint, Scalar
from lrdoctor.readers.protowire import BYTES, FIXED64, VARINT, WireError, double_at, fields, text
from lrdoctor.readers.setting_names import hints_from

_SESSION_START, _HPARAMS = 3, 1
_KEY, _VALUE = 1, 2
_NUMBER, _STRING, _BOOL = 2, 3, 4


def hints_of(content: bytes, path: str) -> Iterator[Hint]:
    """The hyper-parameters lrdoctor has a name for; none where the content is damaged."""
    try:
        settings = dict(_hparams(content))
    except WireError:
        return
    yield from hints_from(settings, path)


def _hparams(content: bytes) -> Iterator[tuple[str, Scalar]]:
    for start in fields(content, 0, len(content)):
        if start.name == _SESSION_START and start.wire == BYTES:
            for entry in fields(content, start.start, start.stop):
                if entry.name == _HPARAMS and entry.wire == BYTES:
                    yield _entry(content, entry.start, entry.stop)


def _entry(content: bytes, start: int, stop: int) -> tuple[str, Scalar]:
    key, value = "", None
    for found in fields(content, start, stop):
        if found.name == _KEY and found.wire == BYTES:
            key = text(content, found)
        elif found.name == _VALUE and found.wire == BYTES:
            value = _value(content, found.start, found.stop)
    return key, value


def _value(content: bytes, start: int, stop: int) -> Scalar:
    value: Scalar = None
    for found in fields(content, start, stop):
        if found.name == _NUMBER and found.wire == FIXED64:
            number = double_at(content, found.start)
            value = int(number) if number.is_integer() and abs(number) < 1 << 53 else number
        elif found.name == _STRING and found.wire == BYTES:
            value = text(content, found)
        elif found.name == _BOOL and found.wire == VARINT:
            value = bool(found.number)
    return value
