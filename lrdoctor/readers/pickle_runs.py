"""Runs of rows in a pickle: what carrying out all their instructions leaves on the stack and in the memo."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from lrdoctor.readers.pickle_rows import Rows
from lrdoctor.readers.pickle_tensors import Deferred, Memory, Scalars

_SHORTEST = 1000  # bytes of a pickle in which rows are looked for
_GET_WIDTHS = {b"h"[0]: 2, b"j"[0]: 5}


@dataclass(slots=True)
class Run:
    """Rows `first` to `last`, one tensor each, and after each the name of the next; `keys` and `dicts` open some.

    `opening` are the rows, counted from `first`, behind whose tensor one dict ends and another begins, under a key.
    """

    rows: Rows
    first: int
    last: int
    tensors: list[Deferred]
    names: list[str]
    opening: list[int]
    keys: list[int]
    dicts: list[dict[object, object]]
    next_call: int

    @property
    def indices(self) -> range:
        """Those of the memo that it has filled."""
        return range(int(self.rows.first_put[self.first]), int(self.rows.last_put[self.last - 1]) + 1)

    def row_of(self, index: int) -> int:
        """The row, counted from `first`, that puts something at `index` of the memo."""
        return int(np.searchsorted(self.rows.first_put[self.first : self.last], index, side="right")) - 1

    def indices_of(self, row: int) -> range:
        """Those of the memo that a row, counted from `first`, has filled."""
        place = self.first + row
        return range(int(self.rows.first_put[place]), int(self.rows.last_put[place]) + 1)

    def put_beside_the_call(self, row: int) -> Iterator[tuple[int, object]]:
        """The memo's indices that get the row's tensor, the dict it opens, and the name behind it."""
        place = self.first + row
        index = int(self.rows.put[place])
        yield index, self.tensors[row]
        if self.rows.opens[place]:
            index += 1
            yield index, self.dicts[bisect_left(self.opening, row)]
        if self.rows.named[place]:
            yield index + 1, self.names[row]

    def between(self) -> Iterator[tuple[int, dict[object, object]]]:
        """Key and contents of each dict that begins and ends inside the run."""
        names, tensors = self.names, self.tensors
        for key, made, start, stop in zip(self.keys, self.dicts, self.opening, self.opening[1:], strict=False):
            made.update(zip(names[start:stop], tensors[start + 1 : stop + 1], strict=False))
            yield key, made

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
        self.taken: list[Run] = []

    def ahead(self, start: int, width: int, memo: Mapping[int, object]) -> Run | None:
        """The run that begins with the call at `start`, whose function is got from the memo by `width` bytes.

        None where there is none, or where it would overwrite the memo, or takes names from it that are no text.
        """
        if len(self._memory.data) - start < _SHORTEST:
            return None
        rows = self._rows_from(start, width)
        found = rows.run_at(start)
        if not found:
            return None
        run = self._run(rows, found, width, memo)
        if run is None or not _is_free(run.indices, memo):
            return None
        if self.taken and self.taken[-1].indices.stop > run.indices.start:
            return None
        self.taken.append(run)
        return run

    def of(self, index: int) -> Run | None:
        """The run that has put something at `index` of the memo."""
        place = bisect_right(self.taken, index, key=lambda run: run.indices.start) - 1
        return self.taken[place] if place >= 0 and index in self.taken[place].indices else None

    def scalars(self, tensors: Sequence[Deferred]) -> list[Scalars]:
        """Those of the tensors that are scalars, where rows show it at a glance, by the type of their storage."""
        rows, data = self._rows, self._memory.data
        if rows is None or not tensors:
            return []
        found, there = rows.scalars_at(np.array([tensor.at for tensor in tensors]))
        kinds = rows.kind[found]
        gathered = []
        for kind in np.unique(kinds).tolist():
            own = kinds == kind
            at, length = rows.key_at[found[own]], rows.key_length[found[own]]
            keys = [data[start:stop] for start, stop in zip(at.tolist(), (at + length).tolist(), strict=True)]
            some = [tensors[place] for place in there[own].tolist()]
            gathered.append(Scalars(some, keys, tensors[0].kind_named(kind)))
        return gathered

    def _rows_from(self, start: int, width: int) -> Rows:
        if self._rows is None or (start >= self._rows.starts[-1] and self._rows.stop < len(self._memory.data)):
            data = self._memory.data
            anchor = data[start : start + width + 2 + _GET_WIDTHS.get(data[start + width + 2], 2)]
            self._rows = Rows(data, start, anchor)
        return self._rows

    def _run(self, rows: Rows, found: range, width: int, memo: Mapping[int, object]) -> Run | None:
        first, last = found.start, found.stop
        got = rows.name[first:last]
        ahead = (got >= rows.first_put[first:last]) & (got <= rows.last_put[last - 1]) & ~rows.named[first:last]
        names = self._names(rows, found, memo)
        if ahead.any() or {*map(type, names)} != {str}:
            return None
        opening = np.flatnonzero(rows.opens[first:last])
        return Run(
            rows=rows,
            first=first,
            last=last,
            tensors=list(map(Deferred, repeat(self._memory), [start + width for start in rows.starts[first:last]])),
            names=names,
            opening=opening.tolist(),
            keys=rows.entry_keys(first + opening),
            dicts=[{} for _ in range(len(opening))],
            next_call=rows.starts[last],
        )

    def _names(self, rows: Rows, found: range, memo: Mapping[int, object]) -> list[str]:
        """What stands in front of each next tensor: a text, or one from the memo, which the run itself may have put."""
        span, data = slice(found.start, found.stop), self._memory.data
        named = np.flatnonzero(rows.named[span])
        starts, lengths = rows.name_at[span][named], rows.name_length[span][named]
        bounds = zip(starts.tolist(), (starts + lengths).tolist(), strict=True)
        texts = [data[start:stop].decode("utf-8", "surrogateescape") for start, stop in bounds]
        if len(texts) == len(found):
            return texts
        own = dict(zip(rows.last_put[span][named].tolist(), texts, strict=True))
        got = rows.name[span].tolist()
        table = {index: own.get(index) or memo.get(index) for index in set(got)}
        names: list[str] = list(map(table.__getitem__, got))  # type: ignore[arg-type]
        for place, text in zip(named.tolist(), texts, strict=True):
            names[place] = text
        return names


def _is_free(indices: range, memo: Mapping[int, object]) -> bool:
    """Whether the memo has nothing at these indices; in as many steps as there are at most."""
    if len(memo) < len(indices) and max(memo, default=-1) < indices.start:
        return True
    return memo.keys().isdisjoint(indices)
