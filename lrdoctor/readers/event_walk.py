"""One TensorBoard event, walked field by field: its clock, its step, and the scalars in it. Nothing else is decoded.

Field numbers: tensorflow/core/util/event.proto, framework/summary.proto, framework/tensor.proto, framework/types.proto.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from lrdoctor.readers.protowire import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Data,
    Field,
    WireError,
    double_at,
    fields,
    signed,
    text,
    varint,
)

_EVENT_WALL, _EVENT_STEP, _EVENT_SUMMARY = 1, 2, 5
_VALUE_TAG, _VALUE_SIMPLE, _VALUE_TENSOR, _VALUE_METADATA = 1, 2, 8, 9
_TENSOR_DTYPE, _TENSOR_SHAPE, _TENSOR_CONTENT = 1, 2, 4
_SHAPE_DIM, _SHAPE_UNKNOWN_RANK = 2, 3
_METADATA_PLUGIN, _PLUGIN_CONTENT = 1, 2
HPARAMS_TAG = "_hparams_/session_start_info"
_MAX_TAG_BYTES = 4096
# DataType -> numpy code of one element in `tensor_content`.
_CONTENT_CODES = {
    1: "<f4", 2: "<f8", 3: "<i4", 4: "|u1", 5: "<i2", 6: "|i1", 9: "<i8", 10: "|u1", 14: "bf16",
    17: "<u2", 19: "<f2", 22: "<u4", 23: "<u8",
}  # fmt: skip
_FLOAT_VAL, _DOUBLE_VAL, _INT_VAL, _INT64_VAL = 5, 6, 7, 10
_BOOL_VAL, _HALF_VAL, _UINT32_VAL, _UINT64_VAL = 11, 13, 16, 17
_FIXED_VALUES = {_FLOAT_VAL: ("<f4", 4), _DOUBLE_VAL: ("<f8", 8)}
_VARINT_VALUES = frozenset({_INT_VAL, _INT64_VAL, _BOOL_VAL, _HALF_VAL, _UINT32_VAL, _UINT64_VAL})
_STRUCT = {code: struct.Struct(layout) for code, layout in {
    "<f4": "<f", "<f8": "<d", "<i4": "<i", "|u1": "B", "<i2": "<h", "|i1": "b", "<i8": "<q",
    "<u2": "<H", "<f2": "<e", "<u4": "<I", "<u8": "<Q",
}.items()}  # fmt: skip
_HALF, _BFLOAT16 = 19, 14


class Number(NamedTuple):
    """A scalar: its value, and where its bytes lie as what numpy code (-1 and "" where they are a varint)."""

    value: float
    at: int
    code: str


class Scalar(NamedTuple):
    tag: str
    number: Number


@dataclass(slots=True)
class Event:
    """`wall_at` is the position of the clock's 8 bytes, `step_at` [start, stop) of the step's varint, or None."""

    wall_time: float = float("nan")
    wall_at: int | None = None
    step: int = 0
    step_at: tuple[int, int] | None = None
    scalars: list[Scalar] = field(default_factory=list)
    hparams: bytes | None = None


def walk(data: Data, start: int, end: int) -> Event:
    """The event in data[start:end]. `WireError` where it is not one."""
    event = Event()
    for found in fields(data, start, end):
        if found.name == _EVENT_WALL and found.wire == FIXED64:
            event.wall_time, event.wall_at = double_at(data, found.start), found.start
        elif found.name == _EVENT_STEP and found.wire == VARINT:
            event.step, event.step_at = signed(found.number), (found.start, found.stop)
        elif found.name == _EVENT_SUMMARY and found.wire == BYTES:
            for value in fields(data, found.start, found.stop):
                if value.name == 1 and value.wire == BYTES:
                    _take_value(data, value, event)
    return event


def _take_value(data: Data, whole: Field, event: Event) -> None:
    tag: str | None = None
    number: Number | None = None
    metadata: Field | None = None
    for found in fields(data, whole.start, whole.stop):
        if found.name == _VALUE_TAG and found.wire == BYTES and found.stop - found.start <= _MAX_TAG_BYTES:
            tag = text(data, found)
        elif found.name == _VALUE_SIMPLE and found.wire == FIXED32:
            number = _fixed(data, found.start, "<f4")
        elif found.name == _VALUE_TENSOR and found.wire == BYTES:
            number = _tensor_scalar(data, found)
        elif found.name == _VALUE_METADATA and found.wire == BYTES:
            metadata = found
    if tag is None:
        return
    if number is not None:
        event.scalars.append(Scalar(tag, number))
    elif tag == HPARAMS_TAG and metadata is not None:
        event.hparams = _plugin_content(data, metadata)


def _plugin_content(data: Data, metadata: Field) -> bytes | None:
    for plugin in fields(data, metadata.start, metadata.stop):
        if plugin.name == _METADATA_PLUGIN and plugin.wire == BYTES:
            for found in fields(data, plugin.start, plugin.stop):
                if found.name == _PLUGIN_CONTENT and found.wire == BYTES:
                    return bytes(data[found.start : found.stop])
    return None


def _tensor_scalar(data: Data, tensor: Field) -> Number | None:
    """The number of a tensor of no dimensions; None for any other tensor."""
    dtype, number, content = 0, None, None
    for found in fields(data, tensor.start, tensor.stop):
        if found.name == _TENSOR_DTYPE and found.wire == VARINT:
            dtype = found.number
        elif found.name == _TENSOR_SHAPE and found.wire == BYTES:
            if _has_dimensions(data, found):
                return None
        elif found.name == _TENSOR_CONTENT and found.wire == BYTES:
            content = found
        elif found.name in _FIXED_VALUES:
            number = _fixed_value(data, found)
        elif found.name in _VARINT_VALUES:
            number = _varint_value(data, found, dtype)
    if content is not None and content.stop > content.start:
        return _from_content(data, content, dtype)
    # proto3 leaves out nothing of a repeated field, so a tensor without any value is not a scalar 0.
    return number


def _has_dimensions(data: Data, shape: Field) -> bool:
    return any(found.name in (_SHAPE_DIM, _SHAPE_UNKNOWN_RANK) for found in fields(data, shape.start, shape.stop))


def _fixed_value(data: Data, found: Field) -> Number | None:
    code, width = _FIXED_VALUES[found.name]
    return _fixed(data, found.start, code) if found.stop - found.start == width else None


def _varint_value(data: Data, found: Field, dtype: int) -> Number | None:
    """One number of `int_val` and its like, packed or not; `half_val` holds the 16 bits of a half or a bfloat16."""
    bits = found.number
    if found.wire == BYTES:
        bits, stop = varint(data, found.start, found.stop)
        if stop != found.stop:
            return None
    elif found.wire != VARINT:
        return None
    if found.name == _HALF_VAL:
        return Number(_half(bits & 0xFFFF, dtype), -1, "")
    unsigned = found.name in (_UINT32_VAL, _UINT64_VAL)
    return Number(float(bits if unsigned else signed(bits)), -1, "")


def _half(bits: int, dtype: int) -> float:
    if dtype == _BFLOAT16:
        return float(struct.unpack("<f", struct.pack("<I", bits << 16))[0])
    return float(struct.unpack("<e", struct.pack("<H", bits))[0])


def _from_content(data: Data, content: Field, dtype: int) -> Number | None:
    code, size = _CONTENT_CODES.get(dtype), content.stop - content.start
    if code == "bf16":
        bits = int.from_bytes(data[content.start : content.start + 2], "little")
        return Number(_half(bits, _BFLOAT16), -1, "") if size == 2 else None
    if code is None or size != _STRUCT[code].size:
        return None
    return _fixed(data, content.start, code)


def _fixed(data: Data, at: int, code: str) -> Number:
    layout = _STRUCT[code]
    return Number(float(layout.unpack(data[at : at + layout.size])[0]), at, code)


__all__ = ["HPARAMS_TAG", "Event", "Number", "Scalar", "WireError", "walk"]
