"""A pickle interpreter that describes instead of building: it imports nothing, calls nothing, and has bounds.

Every opcode of protocols 0 to 5 is carried out on plain containers. Where Python would import a class or call it, a
`Global` or `Stub` is made. Opcodes after the Python documentation of `pickletools`.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Sequence
from typing import Protocol

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.readers.lazy_dict import Later, LazyDict
from lrdoctor.readers.pickle_later import States, Tensors
from lrdoctor.readers.pickle_opcodes import HANDLERS, SCALARS, SEVERAL, set_items, set_pairs
from lrdoctor.readers.pickle_runs import Run, Runs
from lrdoctor.readers.pickle_stack import U4, Stack
from lrdoctor.readers.pickle_tensors import CALL, REBUILD, Deferred
from lrdoctor.readers.pickle_versions import Versions, versions_at

KEEP_BYTES = 1 << 16  # longer byte strings are tensor-like payload: only their length is kept


class Watcher(Protocol):
    """Told of every opcode once it was carried out: the bytes `start` to `end` are the opcode and its argument."""

    def after(self, opcode: int, start: int, end: int, stack: Sequence[object]) -> None: ...


class CutError(ReadError):
    """The data ends inside the pickle."""


_ENDS_EARLY = (IndexError, struct.error)
_MALFORMED = (KeyError, ValueError, TypeError, AttributeError, OverflowError)
_LOOKED_UP = 8  # rows: about what it costs to carry out one for the memo
_LOOKED_AT = 1 << 10  # bytes within which no second look is taken for what was not found
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


class _Machine(Stack):
    """Carries out the opcodes; of the calls that rebuild tensors only as much as is asked for."""

    __slots__ = ("left", "looked", "many_left", "pending", "runs")

    def __init__(self, data: bytes, start: int, keep: int) -> None:
        self.left = limits().pickle_instructions
        super().__init__(data, start, keep, most_copied=self.left + len(data))
        self.pending: list[Deferred] = []
        self.runs = Runs(self)
        self.many_left = self.left // 2
        self.looked = 0  # up to where versions were looked for

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
        data, handlers, memo, four = self.data, HANDLERS, self.memo, U4.unpack_from
        pos, stack, left = self.pos, self.stack, self.left
        try:
            for left in range(left, 0, -1):  # noqa: B007, B020 - what is left outlives the loop
                opcode = data[pos]
                pos += 1
                if opcode == _LONG_BINPUT:
                    memo[four(data, pos)[0]] = stack[-1]
                    pos += 4
                elif opcode == _BINUNICODE and data[pos + 1 : pos + 4] == b"\0\0\0":
                    start = pos + 4
                    pos = start + data[pos]
                    if pos > len(data):
                        raise IndexError("truncated")
                    stack.append(data[start:pos].decode("utf-8", "surrogateescape"))
                elif opcode in _GETS:
                    wide = opcode == _LONG_BINGET
                    value = memo[four(data, pos)[0] if wide else data[pos]]
                    pos += 4 if wide else 1
                    if value is REBUILD:
                        self.pos = pos
                        self._step_over(5 if wide else 2)
                        pos, stack = self.pos, self.stack
                    else:
                        stack.append(value)
                elif opcode == _EMPTY_DICT:
                    stack.append(LazyDict() if SEVERAL.match(data, pos) else {})
                elif opcode == _BININT1:
                    if data[pos + 1] == _BININT1:  # the numbers of an optimizer's parameters
                        stop = self._end_of_numbers(_NUMBERS, pos - 1)
                        stack += data[pos:stop:2]
                        pos = stop
                    else:
                        stack.append(data[pos])
                        pos += 1
                elif opcode == _SETITEM:
                    value, name = stack.pop(), stack.pop()
                    target = stack[-1]
                    if type(target) is dict and type(name) in SCALARS:
                        target[name] = value
                        if pos >= self.looked and data[pos] == _BINUNICODE and self._versions_left_for_later(pos):
                            pos, stack = self.pos, self.stack
                    else:
                        set_pairs(target, [name, value])
                elif opcode == _BINPUT:
                    memo[data[pos]] = stack[-1]
                    pos += 1
                elif opcode == _BININT2 and data[pos + 2 : pos + 3] == b"M":
                    stop = self._end_of_numbers(_WIDE_NUMBERS, pos - 1)
                    stack += [number for (number,) in _U2_AFTER_CODE.iter_unpack(data[pos - 1 : stop])]
                    pos = stop
                elif opcode == _STOP:
                    return stack.pop()
                else:
                    self.pos = pos
                    handlers[opcode](self)
                    pos, stack = self.pos, self.stack
        finally:
            self.pos, self.left = max(self.pos, pos), left  # a handler that fails may have gone further
        raise self._too_long()

    def _end_of_numbers(self, several: re.Pattern[bytes], start: int) -> int:
        found = several.match(self.data, start)
        assert found is not None
        self._count((found.end() - start) // 2)
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
            HANDLERS[opcode](self)
            watcher.after(opcode, start, self.pos, self.stack)
        raise self._too_long()

    def _too_long(self) -> ReadError:
        why = f"it has too many instructions ({raised_by('pickle_instructions')})"
        return ReadError("The pickled part is too large.", why=why)

    def _step_over(self, width: int) -> None:
        """Push the tensor that the call to come would rebuild; the function itself where the call is not the usual one.

        Where many such calls follow, all but the last are carried out first. `width` is that of the opcode that got it.
        """
        call = CALL.match(self.data, self.pos)
        if call is None or self.memo.get(_index_got(self.data, self.pos + _MARKS)) != "storage":
            self.stack.append(REBUILD)
            return
        run = self.runs.ahead(self.pos - width, width, self.memo)
        if run is not None:
            self._count(run.last - run.first)
            self.pos = run.next_call + width
            call = CALL.match(self.data, self.pos)
            if call is not None and self._left_for_later(run, call.end()):
                return
            self._take(run)
            if call is None:
                self.stack.append(REBUILD)
                return
        self.stack.append(self._tensor_until(call.end()))

    def _tensor_until(self, end: int) -> Deferred:
        """The tensor of the call that comes next; on to `end`."""
        found = Deferred(self, self.pos)
        self.pos = end
        self.pending.append(found)
        return found

    def _left_for_later(self, run: Run, end: int) -> bool:
        """Whether the run and the tensor behind it, which ends there, end their dict: it is told what it will hold."""
        nested = len(run.opening) > 0
        depth = 2 if nested else 1
        target = self._lazy_dict_below(depth)
        name = self.stack[-1] if self.stack else None
        if target is None or not isinstance(name, str) or (run.got and not nested):
            return False
        if not self.data.startswith(b"u" * depth, end):
            return False
        run.closing = self._tensor_until(end + depth)
        if nested:
            self.stack += run.beginning(int(run.opening[0]) + 1)
            set_items(self)
        else:
            self.stack.pop()
        self._promise(target, States(run) if nested else Tensors(name, run))
        return True

    def _versions_left_for_later(self, start: int) -> bool:
        """Whether dicts of one number each end the dict that they stand in: it is told what it will hold."""
        target = self._lazy_dict_below(1)
        found = versions_at(self.data, start, self.memo) if target is not None else None
        self.looked = start + _LOOKED_AT if found is None else found.stop
        if target is None or found is None or not self.data.startswith(b"u", found.stop):
            return False
        if not self.runs.claim(found, self.memo):
            return False
        self._count(len(found))
        self.pos = found.stop + 1
        self._promise(target, found)
        return True

    def _lazy_dict_below(self, marks: int) -> LazyDict | None:
        """The dict that lies under so many marks, if it is one that can be filled later."""
        around = self.under[-marks] if len(self.under) >= marks else []
        target = around[-1] if around else None
        return target if isinstance(target, LazyDict) else None

    def _promise(self, target: LazyDict, later: Later) -> None:
        """End the dict: it has what was pushed since the mark, and what is left for later."""
        pairs: dict[object, object] = {}
        set_pairs(pairs, self.marked())
        target.append(pairs, later)

    def _take(self, run: Run) -> None:
        """What the instructions of these rows do to the stack. The memo is filled when it is asked."""
        if not len(run.opening):
            self.stack += run.flat(0, run.last - run.first)
            return
        self.stack += run.beginning(int(run.opening[0]) + 1)
        set_items(self)
        for key_and_dict in zip(run.keys, run.dicts, strict=True):
            self.stack += key_and_dict
        self.under.append(self.stack)
        last = int(run.opening[-1])
        self.stack = [run.name(last), *run.flat(last + 1, run.last - run.first)]

    def recall(self, index: int) -> object:
        """What the memo has at `index`, or None."""
        if index not in self.memo and not self._settle(index):
            self._settle_pending()
        return self.memo.get(index)

    def _settle(self, index: int) -> bool:
        """Carry out the row that has put something at `index` of the memo, for what it put there."""
        run = self.runs.of(index)
        if run is None:
            return False
        if isinstance(run, Versions):
            self.memo[index] = run.put_at(index)
            return True
        row = run.row_of(index)
        later = {index: value for index in run.indices_of(row) if (value := self.memo.get(index)) is not None}
        self._carry_out_call(run.tensor(row))
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


_STOP, _BINPUT, _BINGET, _LONG_BINPUT, _LONG_BINGET = b".qhrj"
_GETS = (_LONG_BINGET, _BINGET)
_BINUNICODE, _BININT1, _BININT2, _EMPTY_DICT, _SETITEM = b"XKM}s"
_MARKS = 2  # in front of the word "storage", in a call that rebuilds a tensor
_NUMBERS = re.compile(rb"(?:K.){1,65536}", re.DOTALL)
_WIDE_NUMBERS = re.compile(rb"(?:M..){1,65536}", re.DOTALL)
_U2_AFTER_CODE = struct.Struct("<xH")


def _index_got(data: bytes, start: int) -> int:
    return data[start + 1] if data[start] == _BINGET else int(U4.unpack_from(data, start + 1)[0])
