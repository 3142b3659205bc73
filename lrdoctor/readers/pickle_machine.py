"""A pickle interpreter that describes instead of building: it imports nothing, calls nothing, and has bounds.

Every opcode of protocols 0 to 5 is carried out on plain containers. Where Python would import a class or call it, a
`Global` or `Stub` is made. Opcodes after the Python documentation of `pickletools`.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Callable, Sequence
from typing import Protocol

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.readers.pickle_calls import call
from lrdoctor.readers.pickle_runs import Run, Runs
from lrdoctor.readers.pickle_tensors import CALL, REBUILD, Deferred, Scalars
from lrdoctor.readers.skeleton import Blob, Global, Storage, Stub

KEEP_BYTES = 1 << 16  # longer byte strings are tensor-like payload: only their length is kept
MAX_INT_BYTES = 9  # an unsigned 64-bit seed needs nine; longer numbers serve only to slow a reader down
# What an attack on whoever loads a pickle is made of; no checkpoint of a training has a use for it.
_RUNNERS = frozenset(
    {"os", "posix", "nt", "subprocess", "pty", "shutil", "socket", "runpy", "importlib", "ctypes", "webbrowser"}
)
_BUILTINS = ("builtins", "__builtin__")
_RUNNING_BUILTINS = frozenset({"eval", "exec", "execfile", "compile", "open", "__import__", "breakpoint", "input"})
_SCALARS = frozenset({str, int, float, bool, bytes, type(None)})
_MAX_KEY_PARTS = 16


class Watcher(Protocol):
    """Told of every opcode once it was carried out: the bytes `start` to `end` are the opcode and its argument."""

    def after(self, opcode: int, start: int, end: int, stack: Sequence[object]) -> None: ...


class CutError(ReadError):
    """The data ends inside the pickle."""


_ENDS_EARLY = (IndexError, struct.error)
_MALFORMED = (KeyError, ValueError, TypeError, AttributeError, OverflowError)
_LOOKED_UP = 8  # rows: about what it costs to carry out one for the memo
_LONGEST_ARGUMENT = 8  # bytes of a fixed length behind an opcode


def describe(
    data: bytes,
    start: int = 0,
    *,
    keep_bytes: int = KEEP_BYTES,
    where: str | None = None,
    watcher: Watcher | None = None,
    commands: set[str] | None = None,
) -> tuple[object, int]:
    """The object pickled at byte `start` of `data` as a skeleton, and the position behind it.

    The names of functions that run programs, where the pickle has any, are added to `commands`.
    Byte strings longer than `keep_bytes` become a `Blob`. Raises `ReadError` where the pickle is cut, malformed or
    beyond the bounds.
    """
    machine = _Machine(data, start, keep_bytes)
    try:
        root = machine.run() if watcher is None else machine.run_watched(watcher)
    except _ENDS_EARLY as error:
        if machine.pos + _LONGEST_ARGUMENT > len(data):
            why = "it ends inside a pickle, or the pickle is malformed"
            raise CutError("The pickled part cannot be read.", where=_place(where, machine), why=why) from error
        raise ReadError(
            "The pickled part cannot be read.", where=_place(where, machine), why="malformed pickle"
        ) from error
    except _MALFORMED as error:
        why = f"malformed pickle ({type(error).__name__})"
        raise ReadError("The pickled part cannot be read.", where=_place(where, machine), why=why) from error
    finally:
        if commands is not None:
            commands |= machine.commands
    return root, machine.pos


def _place(where: str | None, machine: _Machine) -> str:
    position = f"byte {machine.pos} of the pickle"
    return f"{where}, {position}" if where else position


class _Machine:
    """The stack, the stacks below the marks, and the memo."""

    __slots__ = (
        "commands", "copied", "data", "keep", "left", "many_left", "memo", "most_copied", "pending", "pos", "runs",
        "stack", "under",
    )  # fmt: skip

    def __init__(self, data: bytes, start: int, keep: int) -> None:
        self.data = data
        self.pos = start
        self.keep = keep
        self.stack: list[object] = []
        self.under: list[list[object]] = []
        self.memo: dict[int, object] = {}
        self.commands: set[str] = set()
        self.copied = 0
        self.left = limits().pickle_instructions
        self.most_copied = self.left + len(data)
        self.pending: list[Deferred] = []
        self.runs = Runs(self)
        self.many_left = self.left // 2

    def run(self) -> object:
        """Carry out opcodes up to STOP."""
        while True:
            try:
                return self._carry_out()
            except KeyError as error:
                index = error.args[0] if error.args else None
                self._count(_LOOKED_UP)
                if not (isinstance(index, int) and self._settle(index)):
                    if not self.pending:
                        raise
                    self._settle_pending()
                self.pos -= 1  # back to the opcode that asked for what a tensor stepped over has put into the memo

    def _carry_out(self) -> object:
        """Opcodes up to STOP. Those that make up half of a checkpoint's pickle are done in place."""
        data, handlers, memo, four = self.data, _HANDLERS, self.memo, _U4.unpack_from
        for self.left in range(self.left, 0, -1):  # noqa: B020 - what is left outlives the loop
            opcode = data[self.pos]
            self.pos += 1
            if opcode == _BINPUT:
                memo[data[self.pos]] = self.stack[-1]
                self.pos += 1
            elif opcode == _BINGET:
                value = memo[data[self.pos]]
                self.pos += 1
                if value is REBUILD:
                    value = self._stepped_over(value, 2)
                self.stack.append(value)
            elif opcode == _LONG_BINPUT:
                memo[four(data, self.pos)[0]] = self.stack[-1]
                self.pos += 4
            elif opcode == _LONG_BINGET:
                value = memo[four(data, self.pos)[0]]
                self.pos += 4
                if value is REBUILD:
                    value = self._stepped_over(value, 5)
                self.stack.append(value)
            elif opcode == _BINUNICODE and data[self.pos + 1 : self.pos + 4] == b"\0\0\0":
                start = self.pos + 4
                self.pos = start + data[self.pos]
                if self.pos > len(data):
                    raise IndexError("truncated")
                self.stack.append(data[start : self.pos].decode("utf-8", "surrogateescape"))
            elif opcode == _BININT1:
                if data[self.pos + 1] == _BININT1:  # the numbers of an optimizer's parameters
                    stop = self._end_of_numbers()
                    self.stack += data[self.pos : stop : 2]
                    self.pos = stop
                else:
                    self.stack.append(data[self.pos])
                    self.pos += 1
            elif opcode == _EMPTY_DICT:
                self.stack.append({})
            elif opcode == _SETITEM:
                value, name = self.stack.pop(), self.stack.pop()
                target = self.stack[-1]
                if type(target) is dict and type(name) in _SCALARS:
                    target[name] = value
                else:
                    _set_pairs(target, [name, value])
            elif opcode == _STOP:
                return self.stack.pop()
            else:
                handlers[opcode](self)
        raise self._too_long()

    def _end_of_numbers(self) -> int:
        found = _NUMBERS.match(self.data, self.pos - 1)
        assert found is not None
        self._count(len(found[0]) // 2)
        return found.end()

    def _count(self, many: int) -> None:
        """What is done many at a time has a bound of its own."""
        self.many_left -= many
        if self.many_left < 0:
            raise self._too_long()

    def run_watched(self, watcher: Watcher) -> object:
        """The same, one handler an opcode, with a report after each."""
        for _ in range(self.left):
            start = self.pos
            opcode = self.data[start]
            self.pos += 1
            if opcode == _STOP:
                return self.stack.pop()
            _HANDLERS[opcode](self)
            watcher.after(opcode, start, self.pos, self.stack)
        raise self._too_long()

    def _too_long(self) -> ReadError:
        why = f"it has too many instructions ({raised_by('pickle_instructions')})"
        return ReadError("The pickled part is too large.", why=why)

    def _stepped_over(self, rebuild: Global, width: int) -> object:
        """The tensor that the call to come would rebuild; the function itself where the call is not the usual one.

        Where many such calls follow, all but the last are carried out first. `width` is that of the opcode that got it.
        """
        call = CALL.match(self.data, self.pos)
        if call is None or self.memo.get(_index_got(self.data, self.pos + _MARKS)) != "storage":
            return rebuild
        run = self.runs.ahead(self.pos - width, width, self.memo)
        if run is not None:
            self._take(run)
            self.pos = run.next_call + width
            call = CALL.match(self.data, self.pos)
            if call is None:
                return rebuild
        found = Deferred(self, self.pos)
        self.pos = call.end()
        self.pending.append(found)
        return found
    def _take(self, run: Run) -> None:
        """What the instructions of these rows do to the stack. The memo is filled when it is asked."""
        self._count(run.last - run.first)
        if not run.opening:
            self.stack += run.flat(0, run.last - run.first)
            return
        stop = run.opening[0] + 1
        self.stack += run.flat(0, stop)[:-1]
        _setitems(self)
        for key_and_dict in run.between():
            self.stack += key_and_dict
        self.stack += (run.keys[-1], run.dicts[-1])
        self.under.append(self.stack)
        last = run.opening[-1]
        self.stack = [run.names[last], *run.flat(last + 1, run.last - run.first)]

    def recall(self, index: int) -> object:
        """What the memo has at `index`, or None."""
        if index not in self.memo and not self._settle(index):
            self._settle_pending()
        return self.memo.get(index)

    def scalars(self, tensors: Sequence[Deferred]) -> list[Scalars]:
        return self.runs.scalars(tensors)

    def _settle(self, index: int) -> bool:
        """Carry out the row that has put something at `index` of the memo, for what it put there."""
        run = self.runs.of(index)
        if run is None:
            return False
        row = run.row_of(index)
        later = {index: value for index in run.indices_of(row) if (value := self.memo.get(index)) is not None}
        self._carry_out_call(run.tensors[row])
        self.memo.update(run.put_beside_the_call(row))
        self.memo.update(later)
        return True

    def settle_all(self) -> None:
        """Have everything in the memo that was put there."""
        self._settle_pending()
        for run in self.runs.taken:
            for index in run.indices:
                if index not in self.memo:
                    self._settle(index)

    def _settle_pending(self) -> None:
        """Carry out the calls that were stepped over one by one, for what they put into the memo."""
        pending, self.pending = self.pending, []
        for tensor in pending:
            self._carry_out_call(tensor)
            self.memo[tensor.put] = tensor

    def _carry_out_call(self, tensor: Deferred) -> None:
        inner = _Machine(tensor.call() + b".", 0, self.keep)
        inner.memo, inner.runs = self.memo, self.runs
        inner.stack = [REBUILD]
        with contextlib.suppress(*_ENDS_EARLY, *_MALFORMED):  # a call that cannot be carried out leaves nothing
            inner.run()

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


_U1, _U2, _I4, _U4, _U8, _F8 = (struct.Struct(layout) for layout in ("<B", "<H", "<i", "<I", "<Q", ">d"))
_STOP, _BINPUT, _BINGET, _LONG_BINPUT, _LONG_BINGET = b".qhrj"
_BINUNICODE, _BININT1, _EMPTY_DICT, _SETITEM = b"XK}s"
_MARKS = 2  # in front of the word "storage", in a call that rebuilds a tensor
_NUMBERS = re.compile(rb"(?:K.){1,65536}", re.DOTALL)


def _index_got(data: bytes, start: int) -> int:
    return data[start + 1] if data[start] == _BINGET else int(_U4.unpack_from(data, start + 1)[0])


_Handler = Callable[[_Machine], None]
_HANDLERS: dict[int, _Handler] = {}


def _on(*opcodes: bytes) -> Callable[[_Handler], _Handler]:
    def register(handler: _Handler) -> _Handler:
        _HANDLERS.update({opcode[0]: handler for opcode in opcodes})
        return handler

    return register


# Stack and memo


@_on(b"(")
def _mark(m: _Machine) -> None:
    m.under.append(m.stack)
    m.stack = []


@_on(b"0")
def _pop(m: _Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.marked()


@_on(b"1")
def _pop_mark(m: _Machine) -> None:
    m.marked()


@_on(b"2")
def _dup(m: _Machine) -> None:
    m.stack.append(m.stack[-1])


# Those that `_carry_out` does in place, for `run_watched`.


@_on(b"q")
def _binput(m: _Machine) -> None:
    m.memo[m.number(_U1)] = m.stack[-1]


@_on(b"r")
def _long_binput(m: _Machine) -> None:
    m.memo[m.number(_U4)] = m.stack[-1]


@_on(b"h")
def _binget(m: _Machine) -> None:
    m.stack.append(m.memo[m.number(_U1)])


@_on(b"j")
def _long_binget(m: _Machine) -> None:
    m.stack.append(m.memo[m.number(_U4)])


@_on(b"p")
def _put(m: _Machine) -> None:
    m.memo[int(m.line())] = m.stack[-1]


@_on(b"\x94")
def _memoize(m: _Machine) -> None:
    m.settle_all()
    m.memo[len(m.memo)] = m.stack[-1]


@_on(b"g")
def _get(m: _Machine) -> None:
    start = m.pos
    index = int(m.line())
    if index not in m.memo:
        m.pos = start
    m.stack.append(m.memo[index])


@_on(b"\x80")
def _proto(m: _Machine) -> None:
    if m.number(_U1) > 5:
        raise ValueError("unknown protocol")


@_on(b"\x95")
def _frame(m: _Machine) -> None:
    m.number(_U8)  # a hint for buffering; the bytes that follow speak for themselves


# Scalars


@_on(b"N")
def _none(m: _Machine) -> None:
    m.stack.append(None)


@_on(b"\x88")
def _true(m: _Machine) -> None:
    m.stack.append(True)


@_on(b"\x89")
def _false(m: _Machine) -> None:
    m.stack.append(False)


@_on(b"I")
def _int(m: _Machine) -> None:
    text = m.line()
    m.stack.append(text == "01" if text in ("00", "01") else _decimal(text))


@_on(b"L")
def _long(m: _Machine) -> None:
    m.stack.append(_decimal(m.line().rstrip("L")))


def _decimal(text: str) -> int | Blob:
    return int(text) if len(text) <= 21 else Blob(len(text))  # a sign and the 20 digits of an unsigned 64-bit number


@_on(b"J")
def _binint(m: _Machine) -> None:
    m.stack.append(m.number(_I4))


@_on(b"K")
def _binint1(m: _Machine) -> None:
    m.stack.append(m.data[m.pos])
    m.pos += 1


@_on(b"M")
def _binint2(m: _Machine) -> None:
    m.stack.append(m.number(_U2))


@_on(b"\x8a")
def _long1(m: _Machine) -> None:
    m.stack.append(_integer(m, m.number(_U1)))


@_on(b"\x8b")
def _long4(m: _Machine) -> None:
    m.stack.append(_integer(m, m.number(_I4)))


def _integer(m: _Machine, length: int) -> int | Blob:
    if length <= MAX_INT_BYTES:
        return int.from_bytes(m.take(length), "little", signed=True)
    m.skip(length)
    return Blob(length)


@_on(b"F")
def _float(m: _Machine) -> None:
    m.stack.append(float(m.line()))


@_on(b"G")
def _binfloat(m: _Machine) -> None:
    m.stack.append(_F8.unpack_from(m.data, m.pos)[0])
    m.pos += 8


# Text and bytes


@_on(b"S")
def _string(m: _Machine) -> None:
    m.stack.append(m.line().strip("'\""))


@_on(b"V")
def _unicode(m: _Machine) -> None:
    m.stack.append(m.line("raw-unicode-escape"))


@_on(b"X")
def _binunicode(m: _Machine) -> None:
    (length,) = _U4.unpack_from(m.data, m.pos)
    m.pos += 4
    m.stack.append(_text(m, length))


@_on(b"\x8c", b"U")
def _short_binunicode(m: _Machine) -> None:
    m.stack.append(_text(m, m.number(_U1)))


@_on(b"\x8d")
def _binunicode8(m: _Machine) -> None:
    m.stack.append(_text(m, m.number(_U8)))


@_on(b"T")
def _binstring(m: _Machine) -> None:
    m.stack.append(_text(m, m.number(_I4)))


def _text(m: _Machine, length: int) -> str:
    return m.take(length).decode("utf-8", "surrogateescape")


@_on(b"C")
def _short_binbytes(m: _Machine) -> None:
    m.stack.append(m.take(m.number(_U1)))


@_on(b"B")
def _binbytes(m: _Machine) -> None:
    m.stack.append(_bytes(m, m.number(_U4)))


@_on(b"\x8e", b"\x96")
def _binbytes8(m: _Machine) -> None:
    m.stack.append(_bytes(m, m.number(_U8)))


def _bytes(m: _Machine, length: int) -> bytes | Blob:
    if length <= m.keep:
        return m.take(length)
    m.skip(length)
    return Blob(length)


@_on(b"\x97")
def _next_buffer(m: _Machine) -> None:
    m.stack.append(Blob(0))  # kept outside the pickle


@_on(b"\x98")
def _readonly_buffer(m: _Machine) -> None:
    """The buffer on the stack becomes read-only: nothing to describe."""


# Containers


@_on(b")")
def _empty_tuple(m: _Machine) -> None:
    m.stack.append(())


@_on(b"t")
def _tuple(m: _Machine) -> None:
    items = tuple(m.marked())
    m.stack.append(items)


@_on(b"\x85")
def _tuple1(m: _Machine) -> None:
    m.stack[-1] = (m.stack[-1],)


@_on(b"\x86")
def _tuple2(m: _Machine) -> None:
    last = m.stack.pop()
    m.stack[-1] = (m.stack[-1], last)


@_on(b"\x87")
def _tuple3(m: _Machine) -> None:
    last, middle = m.stack.pop(), m.stack.pop()
    m.stack[-1] = (m.stack[-1], middle, last)


@_on(b"]")
def _empty_list(m: _Machine) -> None:
    m.stack.append([])


@_on(b"l")
def _list(m: _Machine) -> None:
    items = m.marked()
    m.stack.append(items)


@_on(b"a")
def _append(m: _Machine) -> None:
    item = m.stack.pop()
    _extend(m.stack[-1], [item])


@_on(b"e")
def _appends(m: _Machine) -> None:
    items = m.marked()
    _extend(m.stack[-1], items)


def _extend(target: object, items: list[object]) -> None:
    if isinstance(target, list):
        target.extend(items)
    elif isinstance(target, Stub):
        target.items.extend(items)
    elif isinstance(target, set):
        target.update(map(key, items))
    else:
        raise TypeError("items for something that is no list")


@_on(b"}")
def _empty_dict(m: _Machine) -> None:
    m.stack.append({})


@_on(b"d")
def _dict(m: _Machine) -> None:
    items = m.marked()
    made: dict[object, object] = {}
    _set_pairs(made, items)
    m.stack.append(made)


@_on(b"s")
def _setitem(m: _Machine) -> None:
    value, name = m.stack.pop(), m.stack.pop()
    _set_pairs(m.stack[-1], [name, value])


@_on(b"u")
def _setitems(m: _Machine) -> None:
    items = m.marked()
    _set_pairs(m.stack[-1], items)


def _set_pairs(target: object, flat: list[object]) -> None:
    pairs = target.pairs if isinstance(target, Stub) else target
    if not isinstance(pairs, dict) or len(flat) % 2:
        raise TypeError("keys and values for something that is no dict")
    names = flat[::2]
    if not {*map(type, names)} <= _SCALARS:
        names = [*map(key, names)]
    pairs.update(zip(names, flat[1::2], strict=True))


def key(value: object) -> object:
    """`value` as a dict key; anything whose hash could be deep or absent is replaced by a stand-in."""
    kind = type(value)
    if kind in _SCALARS or kind in (Global, Stub, Storage, Blob):
        return value
    if isinstance(value, tuple) and len(value) <= _MAX_KEY_PARTS and all(type(part) in _SCALARS for part in value):
        return value
    return Stub(Global("", "unhashable key"))


@_on(b"\x8f")
def _empty_set(m: _Machine) -> None:
    m.stack.append(set())


@_on(b"\x90")
def _additems(m: _Machine) -> None:
    _appends(m)


@_on(b"\x91")
def _frozenset(m: _Machine) -> None:
    items = m.marked()
    m.stack.append(set(map(key, items)))


# Classes, objects and calls: described, never carried out


@_on(b"c")
def _global(m: _Machine) -> None:
    module = m.line()
    made = m.named(module, m.line())
    m.stack.append(REBUILD if made == REBUILD else made)  # the very object, as it is looked for at every use


@_on(b"\x93")
def _stack_global(m: _Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    m.stack.append(m.named(_word(module), _word(name)))


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a name that is no text")
    return value


@_on(b"\x82")
def _ext1(m: _Machine) -> None:
    m.stack.append(Global("copyreg extension", str(m.number(_U1))))


@_on(b"\x83")
def _ext2(m: _Machine) -> None:
    m.stack.append(Global("copyreg extension", str(m.number(_U2))))


@_on(b"\x84")
def _ext4(m: _Machine) -> None:
    m.stack.append(Global("copyreg extension", str(m.number(_I4))))


@_on(b"i")
def _inst(m: _Machine) -> None:
    module = m.line()
    made = m.named(module, m.line())
    args = tuple(m.marked())
    m.stack.append(m.called(made, args))


@_on(b"o")
def _obj(m: _Machine) -> None:
    made, *args = m.marked()
    m.stack.append(m.called(made, tuple(args)))


@_on(b"R", b"\x81")
def _reduce(m: _Machine) -> None:
    args = m.stack.pop()
    m.stack[-1] = m.called(m.stack[-1], args if isinstance(args, tuple) else (args,))


@_on(b"\x92")
def _newobj_ex(m: _Machine) -> None:
    kwargs, args = m.stack.pop(), m.stack.pop()
    made = Stub(m.stack[-1], args if isinstance(args, tuple) else (args,))
    if isinstance(kwargs, dict):
        made.kwargs = kwargs
    m.stack[-1] = made


@_on(b"b")
def _build(m: _Machine) -> None:
    state = m.stack.pop()
    target = m.stack[-1]
    if isinstance(target, Stub):
        target.state = state


@_on(b"P")
def _persid(m: _Machine) -> None:
    m.stack.append(Stub(Global("", "persistent"), (m.line(),)))


@_on(b"Q")
def _binpersid(m: _Machine) -> None:
    m.stack.append(_persistent(m.stack.pop()))


def _persistent(name: object) -> object:
    """torch files tensors' bytes under ("storage", type, key, location, count[, view])."""
    if isinstance(name, tuple) and len(name) >= 5 and name[0] == "storage" and isinstance(name[4], int):
        kind = name[1].name if isinstance(name[1], Global) else ""
        return Storage(kind, str(name[2])[:64] if isinstance(name[2], str | int) else "", name[4])
    return Stub(Global("", "persistent"), (name,))
