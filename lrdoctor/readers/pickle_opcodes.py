"""What each opcode of a pickle does to the stack and the memo, protocols 0 to 5: described, never carried out.

After the Python documentation of `pickletools`. Where Python would import a class or call it, a `Global` or `Stub` is
made.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from lrdoctor.readers.lazy_dict import LazyDict
from lrdoctor.readers.pickle_stack import U4, Stack
from lrdoctor.readers.pickle_tensors import REBUILD
from lrdoctor.readers.skeleton import Blob, Global, Storage, Stub

_MAX_INT_BYTES = 9  # an unsigned 64-bit seed needs nine; longer numbers serve only to slow a reader down
SCALARS = frozenset({str, int, float, bool, bytes, type(None)})
SEVERAL = re.compile(rb"(?:r....|q.)\(", re.DOTALL)
"""What stands behind a dict that gets more than one pair."""
_MAX_KEY_PARTS = 16
_U1, _U2, _I4, _U8, _F8 = (struct.Struct(layout) for layout in ("<B", "<H", "<i", "<Q", ">d"))

_Handler = Callable[[Stack], None]
HANDLERS: dict[int, _Handler] = {}


def _on(*opcodes: bytes) -> Callable[[_Handler], _Handler]:
    def register(handler: _Handler) -> _Handler:
        HANDLERS.update({opcode[0]: handler for opcode in opcodes})
        return handler

    return register


# Stack and memo


@_on(b"(")
def _mark(m: Stack) -> None:
    m.under.append(m.stack)
    m.stack = []


@_on(b"0")
def _pop(m: Stack) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.marked()


@_on(b"1")
def _pop_mark(m: Stack) -> None:
    m.marked()


@_on(b"2")
def _dup(m: Stack) -> None:
    m.stack.append(m.stack[-1])


# Those that the machine does in place where nobody watches.


@_on(b"q")
def _binput(m: Stack) -> None:
    m.memo[m.number(_U1)] = m.stack[-1]


@_on(b"r")
def _long_binput(m: Stack) -> None:
    m.memo[m.number(U4)] = m.stack[-1]


@_on(b"h")
def _binget(m: Stack) -> None:
    m.stack.append(m.memo[m.number(_U1)])


@_on(b"j")
def _long_binget(m: Stack) -> None:
    m.stack.append(m.memo[m.number(U4)])


@_on(b"p")
def _put(m: Stack) -> None:
    m.memo[int(m.line())] = m.stack[-1]


@_on(b"\x94")
def _memoize(m: Stack) -> None:
    m.settle_all()
    m.memo[len(m.memo)] = m.stack[-1]


@_on(b"g")
def _get(m: Stack) -> None:
    start = m.pos
    index = int(m.line())
    if index not in m.memo:
        m.pos = start
    m.stack.append(m.memo[index])


@_on(b"\x80")
def _proto(m: Stack) -> None:
    if m.number(_U1) > 5:
        raise ValueError("unknown protocol")


@_on(b"\x95")
def _frame(m: Stack) -> None:
    m.number(_U8)  # a hint for buffering; the bytes that follow speak for themselves


# Scalars


@_on(b"N")
def _none(m: Stack) -> None:
    m.stack.append(None)


@_on(b"\x88")
def _true(m: Stack) -> None:
    m.stack.append(True)


@_on(b"\x89")
def _false(m: Stack) -> None:
    m.stack.append(False)


@_on(b"I")
def _int(m: Stack) -> None:
    text = m.line()
    m.stack.append(text == "01" if text in ("00", "01") else _decimal(text))


@_on(b"L")
def _long(m: Stack) -> None:
    m.stack.append(_decimal(m.line().rstrip("L")))


def _decimal(text: str) -> int | Blob:
    return int(text) if len(text) <= 21 else Blob(len(text))  # a sign and the 20 digits of an unsigned 64-bit number


@_on(b"J")
def _binint(m: Stack) -> None:
    m.stack.append(m.number(_I4))


@_on(b"K")
def _binint1(m: Stack) -> None:
    m.stack.append(m.data[m.pos])
    m.pos += 1


@_on(b"M")
def _binint2(m: Stack) -> None:
    m.stack.append(m.number(_U2))


@_on(b"\x8a")
def _long1(m: Stack) -> None:
    m.stack.append(_integer(m, m.number(_U1)))


@_on(b"\x8b")
def _long4(m: Stack) -> None:
    m.stack.append(_integer(m, m.number(_I4)))


def _integer(m: Stack, length: int) -> int | Blob:
    if length <= _MAX_INT_BYTES:
        return int.from_bytes(m.take(length), "little", signed=True)
    m.skip(length)
    return Blob(length)


@_on(b"F")
def _float(m: Stack) -> None:
    m.stack.append(float(m.line()))


@_on(b"G")
def _binfloat(m: Stack) -> None:
    m.stack.append(_F8.unpack_from(m.data, m.pos)[0])
    m.pos += 8


# Text and bytes


@_on(b"S")
def _string(m: Stack) -> None:
    m.stack.append(m.line().strip("'\""))


@_on(b"V")
def _unicode(m: Stack) -> None:
    m.stack.append(m.line("raw-unicode-escape"))


@_on(b"X")
def _binunicode(m: Stack) -> None:
    (length,) = U4.unpack_from(m.data, m.pos)
    m.pos += 4
    m.stack.append(_text(m, length))


@_on(b"\x8c", b"U")
def _short_binunicode(m: Stack) -> None:
    m.stack.append(_text(m, m.number(_U1)))


@_on(b"\x8d")
def _binunicode8(m: Stack) -> None:
    m.stack.append(_text(m, m.number(_U8)))


@_on(b"T")
def _binstring(m: Stack) -> None:
    m.stack.append(_text(m, m.number(_I4)))


def _text(m: Stack, length: int) -> str:
    return m.take(length).decode("utf-8", "surrogateescape")


@_on(b"C")
def _short_binbytes(m: Stack) -> None:
    m.stack.append(m.take(m.number(_U1)))


@_on(b"B")
def _binbytes(m: Stack) -> None:
    m.stack.append(_bytes(m, m.number(U4)))


@_on(b"\x8e", b"\x96")
def _binbytes8(m: Stack) -> None:
    m.stack.append(_bytes(m, m.number(_U8)))


def _bytes(m: Stack, length: int) -> bytes | Blob:
    if length <= m.keep:
        return m.take(length)
    m.skip(length)
    return Blob(length)


@_on(b"\x97")
def _next_buffer(m: Stack) -> None:
    m.stack.append(Blob(0))  # kept outside the pickle


@_on(b"\x98")
def _readonly_buffer(m: Stack) -> None:
    """The buffer on the stack becomes read-only: nothing to describe."""


# Containers


@_on(b")")
def _empty_tuple(m: Stack) -> None:
    m.stack.append(())


@_on(b"t")
def _tuple(m: Stack) -> None:
    items = tuple(m.marked())
    m.stack.append(items)


@_on(b"\x85")
def _tuple1(m: Stack) -> None:
    m.stack[-1] = (m.stack[-1],)


@_on(b"\x86")
def _tuple2(m: Stack) -> None:
    last = m.stack.pop()
    m.stack[-1] = (m.stack[-1], last)


@_on(b"\x87")
def _tuple3(m: Stack) -> None:
    last, middle = m.stack.pop(), m.stack.pop()
    m.stack[-1] = (m.stack[-1], middle, last)


@_on(b"]")
def _empty_list(m: Stack) -> None:
    m.stack.append([])


@_on(b"l")
def _list(m: Stack) -> None:
    items = m.marked()
    m.stack.append(items)


@_on(b"a")
def _append(m: Stack) -> None:
    item = m.stack.pop()
    _extend(m.stack[-1], [item])


@_on(b"e")
def _appends(m: Stack) -> None:
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
def _empty_dict(m: Stack) -> None:
    m.stack.append(LazyDict() if SEVERAL.match(m.data, m.pos) else {})


@_on(b"d")
def _dict(m: Stack) -> None:
    items = m.marked()
    made: dict[object, object] = {}
    set_pairs(made, items)
    m.stack.append(made)


@_on(b"s")
def _setitem(m: Stack) -> None:
    value, name = m.stack.pop(), m.stack.pop()
    set_pairs(m.stack[-1], [name, value])


@_on(b"u")
def set_items(m: Stack) -> None:
    items = m.marked()
    set_pairs(m.stack[-1], items)


def set_pairs(target: object, flat: list[object]) -> None:
    pairs = target.pairs if isinstance(target, Stub) else target
    if not isinstance(pairs, dict) or len(flat) % 2:
        raise TypeError("keys and values for something that is no dict")
    if not flat:
        return  # Python ends a thousand pairs with none
    names = flat[::2]
    if not {*map(type, names)} <= SCALARS:
        names = [*map(key, names)]
    pairs.update(zip(names, flat[1::2], strict=True))


def key(value: object) -> object:
    """`value` as a dict key; anything whose hash could be deep or absent is replaced by a stand-in."""
    kind = type(value)
    if kind in SCALARS or kind in (Global, Stub, Storage, Blob):
        return value
    if isinstance(value, tuple) and len(value) <= _MAX_KEY_PARTS and all(type(part) in SCALARS for part in value):
        return value
    return Stub(Global("", "unhashable key"))


@_on(b"\x8f")
def _empty_set(m: Stack) -> None:
    m.stack.append(set())


@_on(b"\x90")
def _additems(m: Stack) -> None:
    _appends(m)


@_on(b"\x91")
def _frozenset(m: Stack) -> None:
    items = m.marked()
    m.stack.append(set(map(key, items)))


# Classes, objects and calls: described, never carried out


@_on(b"c")
def _global(m: Stack) -> None:
    module = m.line()
    made = m.named(module, m.line())
    m.stack.append(REBUILD if made == REBUILD else made)  # the very object, as it is looked for at every use


@_on(b"\x93")
def _stack_global(m: Stack) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    m.stack.append(m.named(_word(module), _word(name)))


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a name that is no text")
    return value


@_on(b"\x82")
def _ext1(m: Stack) -> None:
    m.stack.append(Global("copyreg extension", str(m.number(_U1))))


@_on(b"\x83")
def _ext2(m: Stack) -> None:
    m.stack.append(Global("copyreg extension", str(m.number(_U2))))


@_on(b"\x84")
def _ext4(m: Stack) -> None:
    m.stack.append(Global("copyreg extension", str(m.number(_I4))))


@_on(b"i")
def _inst(m: Stack) -> None:
    module = m.line()
    made = m.named(module, m.line())
    args = tuple(m.marked())
    m.stack.append(m.called(made, args))


@_on(b"o")
def _obj(m: Stack) -> None:
    made, *args = m.marked()
    m.stack.append(m.called(made, tuple(args)))


@_on(b"R", b"\x81")
def _reduce(m: Stack) -> None:
    args = m.stack.pop()
    m.stack[-1] = m.called(m.stack[-1], args if isinstance(args, tuple) else (args,))


@_on(b"\x92")
def _newobj_ex(m: Stack) -> None:
    kwargs, args = m.stack.pop(), m.stack.pop()
    made = Stub(m.stack[-1], args if isinstance(args, tuple) else (args,))
    if isinstance(kwargs, dict):
        made.kwargs = kwargs
    m.stack[-1] = made


@_on(b"b")
def _build(m: Stack) -> None:
    state = m.stack.pop()
    target = m.stack[-1]
    if isinstance(target, Stub):
        target.state = state


@_on(b"P")
def _persid(m: Stack) -> None:
    m.stack.append(Stub(Global("", "persistent"), (m.line(),)))


@_on(b"Q")
def _binpersid(m: Stack) -> None:
    m.stack.append(_persistent(m.stack.pop()))


def _persistent(name: object) -> object:
    """torch files tensors' bytes under ("storage", type, key, location, count[, view])."""
    if isinstance(name, tuple) and len(name) >= 5 and name[0] == "storage" and isinstance(name[4], int):
        kind = name[1].name if isinstance(name[1], Global) else ""
        return Storage(kind, str(name[2])[:64] if isinstance(name[2], str | int) else "", name[4])
    return Stub(Global("", "persistent"), (name,))
