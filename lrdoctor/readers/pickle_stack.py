"""The state of a pickle's interpreter: the bytes and how far it is, the stacks, and the memo."""

from __future__ import annotations

import struct

from lrdoctor.errors import ReadError
from lrdoctor.limits import raised_by
from lrdoctor.readers.pickle_calls import call
from lrdoctor.readers.skeleton import Global

U4 = struct.Struct("<I")
# What an attack on whoever loads a pickle is made of; no checkpoint of a training has a use for it.
_RUNNERS = frozenset(
    {"os", "posix", "nt", "subprocess", "pty", "shutil", "socket", "runpy", "importlib", "ctypes", "webbrowser"}
)
_BUILTINS = ("builtins", "__builtin__")
_RUNNING_BUILTINS = frozenset({"eval", "exec", "execfile", "compile", "open", "__import__", "breakpoint", "input"})


class Stack:
    """The stack, the stacks below the marks, and the memo. Byte strings longer than `keep` are not kept.

    `commands` are the functions named so far that run programs, `most_copied` how many items calls may copy.
    """

    __slots__ = ("commands", "copied", "data", "keep", "memo", "most_copied", "pos", "stack", "under")

    def __init__(self, data: bytes, start: int, keep: int, most_copied: int) -> None:
        self.data = data
        self.pos = start
        self.keep = keep
        self.stack: list[object] = []
        self.under: list[list[object]] = []
        self.memo: dict[int, object] = {}
        self.commands: set[str] = set()
        self.copied = 0
        self.most_copied = most_copied

    def settle_all(self) -> None:
        """Have everything in the memo that was put there."""

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        piece = self.data[self.pos : self.pos + count]
        if count < 0 or len(piece) < count:
            self.pos = len(self.data)
            raise IndexError("truncated")
        self.pos += count
        return piece

    def skip(self, count: int) -> None:
        if count < 0 or self.pos + count > len(self.data):
            self.pos = len(self.data)
            raise IndexError("truncated")
        self.pos += count

    def line(self, encoding: str = "utf-8") -> str:
        """The next text up to a line feed, as protocol 0 writes arguments."""
        end = self.data.find(b"\n", self.pos)
        if end < 0:
            self.pos = len(self.data)
            raise IndexError("truncated")
        text = self.data[self.pos : end]
        self.pos = end + 1
        return text.decode(encoding, "surrogateescape")

    def number(self, layout: struct.Struct) -> int:
        (value,) = layout.unpack_from(self.data, self.pos)
        self.pos += layout.size
        return int(value)

    def called(self, function: object, args: tuple[object, ...]) -> object:
        """The call's description. What calls copy is bounded: a short pickle can name one long list many times."""
        given = args[0] if args else None
        self.copied += len(given) if isinstance(given, list | tuple | dict | str | bytes) else 0
        if self.copied > self.most_copied:
            why = f"it copies the same contents over and over ({raised_by('pickle_instructions')})"
            raise ReadError("The pickled part is too large.", why=why)
        return call(function, args)

    def named(self, module: str, name: str) -> Global:
        """A class or function the pickle names; one that runs programs is remembered."""
        package = module.partition(".")[0]
        if package in _RUNNERS or (package in _BUILTINS and name in _RUNNING_BUILTINS):
            self.commands.add(f"{module}.{name}")
        return Global(module, name)

    def marked(self) -> list[object]:
        """What was pushed since the last mark."""
        items = self.stack
        self.stack = self.under.pop()
        return items
