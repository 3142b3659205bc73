"""Runs of rows in a pickle: what carrying out all their instructions leaves on the stack and in the memo."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import pairwise, repeat

import numpy as np

from lrdoctor.model.arrays import IntArray
from lrdoctor.readers.pickle_rows import Rows, rows_from
from lrdoctor.readers.pickle_tensors import Deferred, Memory
from lrdoctor.readers.pickle_versions import Versions

_SHORTEST = 1000  # bytes of a pickle in which rows are looked for
_GET_WIDTHS = {b"h"[0]: 2, b"j"[0]: 5}


class Run:
    """Rows `first` to `last`, one tensor each, and after each the name of the next. Objects are made when asked for.

    `opening` are the rows, counted from `first`, behind whose tensor one dict ends and another begins, under a key.
    `got` are the names that come from the memo, by its indices.
    """

    def __init__(self, memory: Memory, rows: Rows, found: range, width: int, got: Mapping[int, str]) -> None:
        self.memory = memory
        self.rows = rows
        self.first, self.last = found.start, found.stop
        self.span = slice(found.start, found.stop)
        self.next_call = rows.starts[self.last]
        self.got = got
        self.opening = np.flatnonzero(rows.opens[self.span])
        self._width = width
        self._single: dict[int, Deferred] = {}
        self._tensors: list[Deferred] | None = None
        self._names: list[str] | None = None
        self._keys: list[int] | None = None
        self._dicts: list[dict[object, object]] | None = None
        self.closing: Deferred | None = None

    @property
    def indices(self) -> range:
        """Those of the memo that it has filled."""
        return range(int(self.rows.first_put[self.first]), int(self.rows.last_put[self.last - 1]) + 1)

    @property
    def tensors(self) -> list[Deferred]:
        if self._tensors is None:
            starts = [start + self._width for start in self.rows.starts[self.span]]
            self._tensors = list(map(Deferred, repeat(self.memory), starts))
            for row, tensor in self._single.items():
                self._tensors[row] = tensor
        return self._tensors

    def tensor(self, row: int) -> Deferred:
        """That of one row, counted from `first`."""
        if self._tensors is not None:
            return self._tensors[row]
        if row not in self._single:
            self._single[row] = Deferred(self.memory, self.rows.starts[self.first + row] + self._width)
        return self._single[row]

    def name(self, row: int) -> str:
        """What stands in front of the tensor behind a row, counted from `first`."""
        if self._names is not None:
            return self._names[row]
        place = self.first + row
        if not self.rows.named[place]:
            return self.got[int(self.rows.name[place])]
        return _texts(self.memory.data, self.rows, slice(place, place + 1))[1][0]

    @property
    def names(self) -> list[str]:
        """What stands in front of each next tensor."""
        if self._names is None:
            named, texts = self.texts()
            if len(texts) < self.last - self.first:
                self._names = list(map(self.got.get, self.rows.name[self.span].tolist()))  # type: ignore[arg-type]
                for place, text in zip(named.tolist(), texts, strict=True):
                    self._names[place] = text
            else:
                self._names = texts
        return self._names

    def texts(self) -> tuple[IntArray, list[str]]:
        """The rows, counted from `first`, that spell out a name, and these names."""
        return _texts(self.memory.data, self.rows, self.span)

    @property
    def keys(self) -> list[int]:
        """The keys under which dicts begin."""
        if self._keys is None:
            self._keys = self.rows.entry_keys(self.first + self.opening)
        return self._keys

    @property
    def dicts(self) -> list[dict[object, object]]:
        """The dicts that begin, filled as far as the run goes: the last one up to `closing`, where that is known."""
        if self._dicts is None:
            names, tensors, opening = self.names, self.tensors, self.opening.tolist()
            self._dicts = [
                dict(zip(names[start:stop], tensors[start + 1 : stop + 1], strict=True))
                for start, stop in pairwise(opening)
            ]
            last = opening[-1] if opening else None
            if last is not None:
                ending = [*tensors[last + 1 :], self.closing] if self.closing is not None else []
                self._dicts.append(dict(zip(names[last:], ending, strict=False)))
        return self._dicts

    def row_of(self, index: int) -> int:
        """The row, counted from `first`, that puts something at `index` of the memo."""
        return int(np.searchsorted(self.rows.first_put[self.span], index, side="right")) - 1

    def indices_of(self, row: int) -> range:
        """Those of the memo that a row, counted from `first`, has filled."""
        place = self.first + row
        return range(int(self.rows.first_put[place]), int(self.rows.last_put[place]) + 1)

    def put_beside_the_call(self, row: int) -> Iterator[tuple[int, object]]:
        """The memo's indices that get the row's tensor, the dict it opens, and the name behind it."""
        place = self.first + row
        index = int(self.rows.put[place])
        yield index, self.tensor(row)
        if self.rows.opens[place]:
            index += 1
            yield index, self.dicts[int(np.searchsorted(self.opening, row))]
        if self.rows.named[place]:
            yield index + 1, self.name(row)

    def beginning(self, stop: int) -> list[object]:
        """The tensors of the first rows, and between them their names."""
        made: list[object] = [self.tensor(0)]
        for row in range(1, stop):
            made += (self.name(row - 1), self.tensor(row))
        return made

    def flat(self, start: int, stop: int) -> list[object]:
        """The tensors of these rows, each followed by the name of the next."""
        made: list[object] = [None] * (2 * (stop - start))
        made[0::2], made[1::2] = self.tensors[start:stop], self.names[start:stop]
        return made


class Runs:
    """Finds the runs of a pickle. `taken` are those that were carried out, in order of their memo's indices."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._rows: Rows | None = None
        self._until = 0
        self._none_before = 0
        self.taken: list[Run | Versions] = []

    def ahead(self, start: int, width: int, memo: Mapping[int, object]) -> Run | None:
        """The run that begins with the call at `start`, whose function is got from the memo by `width` bytes.

        None where there is none, or where it would overwrite the memo, or takes names from it that are no text.
        """
        if start < self._none_before or len(self._memory.data) - start < _SHORTEST:
            return None
        rows = self._rows_from(start, width)
        found = rows.run_at(start)
        if not found:
            self._none_before = rows.next_run(start)
            return None
        got = self._got(rows, found, memo)
        run = Run(self._memory, rows, found, width, got) if got is not None else None
        return run if run is not None and self.claim(run, memo) else None

    def claim(self, found: Run | Versions, memo: Mapping[int, object]) -> bool:
        """Whether it can be taken: nothing of the memo is overwritten. It is taken then."""
        if not _is_free(found.indices, memo) or (self.taken and self.taken[-1].indices.stop > found.indices.start):
            return False
        self.taken.append(found)
        return True

    def of(self, index: int) -> Run | Versions | None:
        """What was taken and has put something at `index` of the memo."""
        place = bisect_right(self.taken, index, key=lambda run: run.indices.start) - 1
        return self.taken[place] if place >= 0 and index in self.taken[place].indices else None

    def _rows_from(self, start: int, width: int) -> Rows:
        if self._rows is None or start >= self._until:
            data = self._memory.data
            anchor = data[start : start + width + 2 + _GET_WIDTHS.get(data[start + width + 2], 2)]
            self._rows, self._until = rows_from(data, start, anchor)
        return self._rows

    def _got(self, rows: Rows, found: range, memo: Mapping[int, object]) -> dict[int, str] | None:
        """The names that come from the memo, which the run itself may have put there; None where one is no text."""
        indices = rows.names_got(found)
        if not indices:
            return {} if indices is not None else None
        span = slice(found.start, found.stop)
        spelt, texts = _texts(self._memory.data, rows, span)
        own = dict(zip(rows.last_put[span][spelt].tolist(), texts, strict=True))
        table = {index: own.get(index) or memo.get(index) or self._memory.recall(index) for index in indices}
        return table if {*map(type, table.values())} == {str} else None  # type: ignore[return-value]


def _texts(data: bytes, rows: Rows, span: slice) -> tuple[IntArray, list[str]]:
    """The rows of the span, counted from its first, that spell out a name, and these names."""
    named = np.flatnonzero(rows.named[span])
    starts = rows.name_at[span][named]
    stops = starts + rows.name_length[span][named]
    bounds = zip(starts.tolist(), stops.tolist(), strict=True)
    return named, [data[start:stop].decode("utf-8", "surrogateescape") for start, stop in bounds]


def _is_free(indices: range, memo: Mapping[int, object]) -> bool:
    """Whether the memo has nothing at these indices; in as many steps as there are at most."""
    if len(memo) < len(indices) and max(memo, default=-1) < indices.start:
        return True
    return memo.keys().isdisjoint(indices)
