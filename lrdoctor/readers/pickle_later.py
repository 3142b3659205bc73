"""What runs of tensors in a pickle put into dicts, to be built when it is asked for, or read as columns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lrdoctor.model.arrays import IntArray
from lrdoctor.readers.lazy_dict import Pair
from lrdoctor.readers.pickle_runs import Run
from lrdoctor.readers.pickle_tensors import Deferred, kind_named


class Tensors:
    """The pairs of one dict: a name and the tensors of a run, with the names between them, and the one behind it."""

    def __init__(self, name: str, run: Run) -> None:
        self.name = name
        self.run = run

    def keys(self) -> list[object]:
        return [self.name, *self.run.names]

    def may_have(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        return name == self.name or self.run.rows.mention(self.run.memory.data, self.run.span, name)

    def pairs(self) -> Iterator[Pair]:
        return zip(self.keys(), [*self.run.tensors, self.run.closing], strict=True)

    def any_has_dimensions(self) -> bool:
        return bool(self.run.rows.dimensions[self.run.span].any())


class States:
    """The pairs of a dict of dicts of tensors, as an optimizer keeps them: those that begin inside of a run."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def keys(self) -> list[int]:
        return self.run.keys

    def may_have(self, name: object) -> bool:
        return not isinstance(name, str)

    def pairs(self) -> Iterator[Pair]:
        return zip(self.run.keys, self.run.dicts, strict=True)

    def called(self, name: str) -> Column:
        """All tensors of that name."""
        run, rows = self.run, self.run.rows
        first = int(run.opening[0])
        spelt, texts = run.texts()
        fits = np.zeros(run.last - run.first, dtype=bool)
        for index, text in run.got.items():
            if text == name:
                fits |= rows.name[run.span] == index
        fits &= ~rows.named[run.span]
        fits[[place for place, text in zip(spelt.tolist(), texts, strict=True) if text == name]] = True
        fits[:first] = False
        places = np.flatnonzero(fits) + 1
        last = run.last - run.first
        return Column(run, places[places < last], [run.closing] if last in places and run.closing else [])


class Column:
    """Rows of a run, counted from its first, and some tensors beside them."""

    def __init__(self, run: Run, places: IntArray, beside: list[Deferred]) -> None:
        self.run = run
        self.places = places
        self.beside = beside

    def tensors(self) -> list[Deferred]:
        return self.tensors_but(np.zeros(len(self.places), dtype=bool))

    def tensors_but(self, known: npt.NDArray[np.bool_]) -> list[Deferred]:
        """Those of the rows that are not known, and those beside them."""
        return [*map(self.run.tensor, self.places[~known].tolist()), *self.beside]

    def scalars(self) -> Iterator[tuple[str, IntArray, IntArray]]:
        """Those that are scalars at the start of their storages: its type, which they are, and their storages' keys."""
        rows, places = self.run.rows, self.run.first + self.places
        plain = (rows.dimensions[places] == 0) & rows.offset_is_0[places]
        kinds = rows.kind[places]
        for kind in np.unique(kinds[plain]).tolist():
            which = np.flatnonzero(plain & (kinds == kind))
            numbers, canonical = rows.key_numbers(places[which])
            yield kind_named(self.run.memory, kind), which[canonical], numbers[canonical]
