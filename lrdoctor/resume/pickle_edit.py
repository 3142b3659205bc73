"""Change a pickle without loading it: new entries are spliced in as opcodes, everything else stays as it was.

A dict (or list) is on top of the stack right after the opcode that last filled it. `key value SETITEM` (`value APPEND`)
written there adds the entry, or overrides the one that is there, and touches neither the memo nor the stack.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lrdoctor.errors import ReadError
from lrdoctor.readers.pickle_machine import Watcher, describe
from lrdoctor.readers.skeleton import Global

_FRAME = 0x95
_FRAME_BYTES = 9
_MAKERS = frozenset(b"}]R\x81dl")  # EMPTY_DICT, EMPTY_LIST, REDUCE, NEWOBJ, DICT, LIST
_FILLERS = frozenset(b"suae")  # SETITEM, SETITEMS, APPEND, APPENDS
_MEMOS = frozenset(b"qrp\x94")  # BINPUT, LONG_BINPUT, PUT, MEMOIZE


@dataclass(frozen=True, slots=True)
class SetItem:
    """`target[key] = value`, where `target` is a container of the skeleton that `opened_pickle` returned."""

    target: object
    key: str | int
    value: object


@dataclass(frozen=True, slots=True)
class Append:
    """`target.append(value)`."""

    target: object
    value: object


Edit = SetItem | Append


class _Places(Watcher):
    """Where each container is on top of the stack for the last time, and where frames begin."""

    def __init__(self) -> None:
        self.ends: dict[int, tuple[object, int]] = {}
        self.frames: list[int] = []

    def after(self, opcode: int, start: int, end: int, stack: Sequence[object]) -> None:
        if opcode == _FRAME:
            self.frames.append(start)
        elif opcode in _FILLERS or opcode in _MAKERS or opcode in _MEMOS:
            top = stack[-1] if stack else None
            known = id(top) in self.ends
            if isinstance(top, dict | list) and (opcode not in _MEMOS or known):
                self.ends[id(top)] = (top, end)


@dataclass(frozen=True, slots=True, eq=False)
class Editable:
    """A pickle with its skeleton `root`; `edited` returns the changed bytes."""

    data: bytes
    root: object
    places: _Places

    def edited(self, edits: Sequence[Edit]) -> bytes:
        """The pickle with the edits, in their order, and without frames, whose lengths would be wrong."""
        inserts: dict[int, bytes] = {}
        for edit in edits:
            held = self.places.ends.get(id(edit.target))
            if held is None:
                raise ReadError("The checkpoint cannot be changed.", why="it builds the part to change by a call")
            inserts[held[1]] = inserts.get(held[1], b"") + _opcodes(edit)
        dropped = dict.fromkeys(self.places.frames, _FRAME_BYTES)
        return _spliced(self.data, inserts, dropped)


def editable(data: bytes, where: str) -> Editable:
    """Open a pickle for editing. `ReadError` where it is malformed."""
    places = _Places()
    root, _ = describe(data, where=where, watcher=places)
    return Editable(data, root, places)


def _spliced(data: bytes, inserts: dict[int, bytes], dropped: dict[int, int]) -> bytes:
    parts, position = [], 0
    for place in sorted({*inserts, *dropped}):
        parts.append(data[position:place])
        parts.append(inserts.get(place, b""))
        position = place + dropped.get(place, 0)
    parts.append(data[position:])
    return b"".join(parts)


def _opcodes(edit: Edit) -> bytes:
    if isinstance(edit, Append):
        return encoded(edit.value) + b"a"
    return encoded(edit.key) + encoded(edit.value) + b"s"


def encoded(value: object) -> bytes:
    """Opcodes of protocol 2 that push a plain value, without memo: what torch's `weights_only` loader understands."""
    match value:
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            return _integer(value)
        case float():
            return b"G" + struct.pack(">d", value)
        case str():
            text = value.encode("utf-8", "surrogatepass")
            return b"X" + struct.pack("<I", len(text)) + text
        case Counter():
            return b"ccollections\nCounter\n" + encoded(dict(value)) + b"\x85R"
        case dict():
            pairs = b"".join(encoded(key) + encoded(item) for key, item in value.items())
            return b"}(" + pairs + b"u"
        case list():
            return b"](" + b"".join(map(encoded, value)) + b"e"
        case tuple():
            return b"(" + b"".join(map(encoded, value)) + b"t"
        case Global(module, name):
            return f"c{module}\n{name}\n".encode()
    raise TypeError(f"no opcodes for a {type(value).__name__}")


def _integer(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + struct.pack("<B", value)
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    length = value.bit_length() // 8 + 1
    return b"\x8a" + struct.pack("<B", length) + value.to_bytes(length, "little", signed=True)


def pickled(value: object) -> bytes:
    """A whole pickle of a plain value."""
    return b"\x80\x02" + encoded(value) + b"."
