"""Tensors in a pickle, stepped over in one go: torch describes each by the same thirty instructions.

A checkpoint names hundreds of tensors and a reader wants to know a few of them. The whole call that rebuilds one, as
protocol 2 spells it once its names are in the memo, is matched by one pattern; its parts are looked at when asked for.
"""

from __future__ import annotations

import re
from typing import Protocol

from lrdoctor.readers.skeleton import Global, Storage, Tensor

REBUILD = Global("torch._utils", "_rebuild_tensor_v2")

_GET = rb"(?:h.|j....)"
_PUT = rb"(?:q.|r....)"
_INT = rb"(?:K.|M..|J....|\x8a\x05.{5}|\x8a\x06.{6})"
_INTS = rb"(?:\)|%(i)s\x85%(p)s|%(i)s{2}\x86%(p)s|%(i)s{3}\x87%(p)s|\(%(i)s{4,8}t%(p)s)" % {b"i": _INT, b"p": _PUT}
_DIGITS = b"|".join(rb"\x%02x\x00{3}\d{%d}" % (length, length) for length in range(1, 10))
_KEY = rb"(?:X(?:%s)%s|%s)" % (_DIGITS, _PUT, _GET)
# Behind the function: ((storage, type, key, location, count), offset, size, stride, requires_grad, hooks), the call.
_PARTS = (
    *(rb"\(\(", _GET, rb"(?P<type>%s)" % _GET, rb"(?P<key>%s)" % _KEY, _GET, rb"(?P<count>%s)t" % _INT, _PUT),
    *(rb"Q(?P<offset>%s)" % _INT, rb"(?P<size>%s)" % _INTS, rb"(?P<stride>%s)" % _INTS, rb"[\x88\x89]", _GET),
    *(rb"\)R", _PUT, rb"t", _PUT, rb"R", rb"(?P<put>%s)" % _PUT),
)
_CALL = re.compile(b"".join(_PARTS), re.DOTALL)
CALL = re.compile(re.sub(rb"\?P<\w+>", rb"?:", b"".join(_PARTS)), re.DOTALL)
"""The whole call; the same without names for its parts, as naming them takes half as long again."""
_NUMBER = re.compile(_INT, re.DOTALL)


class Memory(Protocol):
    """The pickle, and its memo, also of what the calls stepped over would have put there."""

    data: bytes

    def recall(self, index: int) -> object: ...


class Deferred(Tensor):
    """A tensor whose parts are read from the call that was stepped over, when one of them is first asked for.

    `at` is where in the pickle the call is, behind its function.
    """

    __slots__ = ("at", "memory")

    def __init__(self, memory: Memory, at: int) -> None:
        # The fields of Tensor stay unset, so that asking for one ends in __getattr__.
        self.memory = memory
        self.at = at

    def __getattr__(self, name: str) -> object:
        if name not in Tensor.__slots__:
            raise AttributeError(name)
        kind, key, count, offset, size, stride, _ = self._parts()
        self.storage = Storage(kind_named(self.memory, _index(kind)), self._key(key), _number(count))
        self.offset = _number(offset)
        self.size = _numbers(size)
        self.stride = _numbers(stride)
        self.dtype = None
        return getattr(self, name)

    def call(self) -> bytes:
        """The instructions that were stepped over."""
        found = CALL.match(self.memory.data, self.at)
        assert found is not None
        return found[0]

    def _parts(self) -> tuple[bytes, ...]:
        found = _CALL.match(self.memory.data, self.at)
        assert found is not None
        return found.groups()

    def _key(self, piece: bytes) -> str:
        if piece[0] == _BINUNICODE:
            return piece[5 : 5 + piece[1]].decode("ascii", "replace")
        kept = self.memory.recall(_index(piece))
        return kept[:64] if isinstance(kept, str) else ""

    @property
    def put(self) -> int:
        """The memo's index of the tensor itself."""
        return _index(self._parts()[-1])


def kind_named(memory: Memory, index: int) -> str:
    """The name of a storage's type, which the memo has at `index`."""
    named = memory.recall(index)
    return named.name if isinstance(named, Global) else ""


_BINUNICODE, _MARK = b"X("


def _index(piece: bytes) -> int:
    return int.from_bytes(piece[1:], "little")


def _number(piece: bytes) -> int:
    """The number an instruction pushes: K and M without a sign, J and LONG1 with one."""
    if piece[0] == 0x8A:
        return int.from_bytes(piece[2:], "little", signed=True)
    return int.from_bytes(piece[1:], "little", signed=piece[0] == 0x4A)


def _numbers(piece: bytes) -> tuple[int, ...]:
    found = []
    at = 1 if piece[0] == _MARK else 0
    while at < len(piece) and (number := _NUMBER.match(piece, at)):
        found.append(_number(number[0]))
        at = number.end()
    return tuple(found)
