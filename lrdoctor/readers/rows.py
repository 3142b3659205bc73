"""Rows of named numbers -> one `Series` per tag, each with the step axes of its own rows."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from lrdoctor.limits import limits, raised_by
from lrdoctor.model.arrays import FloatArray, IntArray, floats, frozen, ints
from lrdoctor.model.run import Note, Series

# Step counters as frameworks spell them, lower case, by their last part: knowledge of names seen in public logs.
_AXIS_NAMES = frozenset(
    {
        "step", "steps", "_step", "global_step", "global_steps", "global step", "globalstep", "n_iter", "num_steps",
        "iter", "iters", "iteration", "iterations", "it", "epoch", "epochs", "current_steps", "total_timesteps",
        "timesteps", "timestep", "num_updates", "n_updates", "update", "updates", "batch_idx", "training_step",
        "train_step", "trainstep", "num_env_steps", "env_steps", "tokens", "consumed_tokens", "num_tokens",
        "consumed samples", "consumed_samples", "samples", "micro_step",
    }
)  # fmt: skip
# fairseq puts the name of the split in front of every number at the end of an epoch.
_SAME_COUNTER = {"train_num_updates": "num_updates", "valid_num_updates": "num_updates"}
_CLOCK_NAMES = frozenset({"_timestamp", "wall_time", "walltime", "timestamp", "wall time", "time/timestamp"})
_EARLIEST_CLOCK = 1e8  # seconds since 1970: smaller numbers in a column named like a clock are not wall time


def is_axis(name: str) -> bool:
    """Whether a column of this name counts steps of some kind; the part after the last slash decides."""
    lowered = name.strip().lower()
    return lowered in _AXIS_NAMES or lowered.rsplit("/", 1)[-1] in _AXIS_NAMES


def is_clock(name: str) -> bool:
    return name.strip().lower() in _CLOCK_NAMES


def wall_clock(values: FloatArray) -> FloatArray | None:
    """`values` as wall time in seconds since 1970, or None where they are not."""
    known = values[np.isfinite(values)]
    return floats(values) if len(known) and bool((known > _EARLIEST_CLOCK).all()) else None


def first_number(values: FloatArray) -> int | None:
    """The index of the first value that is not NaN."""
    if len(values) and not np.isnan(values[0]):
        return 0
    known = ~np.isnan(values)
    return int(np.argmax(known)) if known.any() else None


@dataclass(slots=True)
class _Column:
    """Numbers that came one by one, with the rows they are of, and `tables`: (first row, a number a row or NaN)."""

    rows: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    tables: list[tuple[int, FloatArray]] = field(default_factory=list)

    def gathered(self) -> tuple[IntArray, FloatArray]:
        """Rows and values, (n,) each, in the order of the rows."""
        rows = [np.frombuffer(self.rows, dtype=np.int64)]
        values = [np.frombuffer(self.values)]
        for first, numbers in self.tables:
            there = np.flatnonzero(~np.isnan(numbers))
            rows.append(first + there)
            values.append(numbers[there])
        where, what = np.concatenate(rows), np.concatenate(values)
        if self.rows and self.tables:
            order = np.argsort(where, kind="stable")
            return where[order], what[order]
        return where, what

    def is_complete(self, rows: int) -> bool:
        """Whether each of so many rows has a value, all from tables."""
        if self.rows or sum(len(numbers) for _, numbers in self.tables) != rows:
            return False
        return not any(np.isnan(numbers).any() for _, numbers in self.tables)


def _joined(columns: Mapping[str, _Column], rows: int) -> dict[str, FloatArray]:
    """(rows,) for each column that is complete, by name; one piece of memory for all is got from the system faster."""
    whole = {name: column.tables for name, column in columns.items() if rows and column.is_complete(rows)}
    if all(len(tables) == 1 for tables in whole.values()):
        return {name: tables[0][1] for name, tables in whole.items()}
    joined = np.empty((len(whole), rows))
    for tables, values in zip(whole.values(), joined, strict=True):
        np.concatenate([numbers for _, numbers in tables], out=values)
    return dict(zip(whole, joined, strict=True))


class Rows:
    """Collects rows in file order; `series()` hands them out by tag, in order of first appearance."""

    def __init__(self, path: str, kind: str, origin_unit: str = "line") -> None:
        self.path = path
        self.kind = kind
        self.origin_unit = origin_unit
        self.refused_tags = 0
        self._most = limits().tags
        self._origins = array("q")
        self._sessions: list[tuple[int, int]] = []  # the first row of each stretch, and its session
        self._columns: dict[str, _Column] = {}
        self._axes: dict[str, _Column] = {}
        self._clock = _Column()
        self._shared = False

    def __len__(self) -> int:
        return len(self._origins)

    def add(self, values: Mapping[str, float], origin: int, session: int = 0) -> None:
        """One row: every number of it, step counters and clocks included, under its tag."""
        row = len(self._origins)
        self._begin(session)
        self._origins.append(origin)
        for tag, value in values.items():
            column = self._column(tag)
            if column is not None:
                column.rows.append(row)
                column.values.append(value)

    def add_table(self, values: Mapping[str, FloatArray], first_origin: int, session: int = 0) -> None:
        """Many rows at once, all from lines that follow each other: (n,) per tag, NaN where a row lacks it."""
        length = len(next(iter(values.values()), ()))
        first = len(self._origins)
        self._begin(session)
        self._origins.frombytes(np.arange(first_origin, first_origin + length, dtype=np.int64).data.cast("B"))
        starts = {tag: start for tag, numbers in values.items() if (start := first_number(numbers)) is not None}
        for tag in sorted(starts, key=lambda tag: starts[tag]):  # in the order in which they first appear
            column = self._column(tag)
            if column is not None:
                column.tables.append((first, values[tag]))

    def _begin(self, session: int) -> None:
        if self._shared:  # with series that were handed out; an array that shares its memory cannot grow
            self._origins, self._shared = self._origins[:], False
        if not self._sessions or self._sessions[-1][1] != session:
            self._sessions.append((len(self._origins), session))

    def _column(self, tag: str) -> _Column | None:
        if tag in self._columns:
            return self._columns[tag]
        if tag in self._axes:
            return self._axes[tag]
        if is_clock(tag):
            return self._clock
        if len(self._columns) + len(self._axes) >= self._most:
            self.refused_tags += 1
            return None
        name = _SAME_COUNTER.get(tag, tag)
        home = self._axes if is_axis(name) else self._columns
        return home.setdefault(name, _Column())

    def series(self) -> Iterator[Series | Note]:
        """A series per tag, then a note where there were more tags than any log has."""
        self._shared = True
        origins = np.frombuffer(self._origins, dtype=np.int64).view()
        origins.flags.writeable = False
        sessions = self._session_of_each_row() if len({session for _, session in self._sessions}) > 1 else None
        joined = _joined({**self._axes, **self._columns}, len(origins))
        axes = {
            name: frozen(joined[name]) if name in joined else self._spread(column)
            for name, column in self._axes.items()
        }
        there = self._clock.rows or self._clock.tables
        clock = wall_clock(self._spread(self._clock)) if there else None
        for tag, column in self._columns.items():
            rows, values = (None, joined[tag]) if tag in joined else column.gathered()
            if rows is not None and len(rows) == len(origins):
                rows = None
            # Where no row lacks it, all series share the arrays, which cannot be written to.
            yield Series(
                path=self.path,
                tag=tag,
                values=frozen(values),
                axes=_known(axes) if rows is None else _of_rows(axes, rows),
                origin=origins if rows is None else ints(origins[rows]),
                kind=self.kind,
                origin_unit=self.origin_unit,
                wall_time=None if clock is None else clock if rows is None else floats(clock[rows]),
                session=None if sessions is None else sessions if rows is None else ints(sessions[rows]),
            )
        if self.refused_tags:
            yield Note(self.path, f"too many names in one file ({raised_by('tags')}); the rest was not read")

    def _session_of_each_row(self) -> IntArray:
        starts = [start for start, _ in self._sessions]
        return ints(np.repeat([session for _, session in self._sessions], np.diff([*starts, len(self._origins)])))

    def _spread(self, column: _Column) -> FloatArray:
        """(rows,) with NaN where a row lacks the column."""
        rows, values = column.gathered()
        if len(rows) == len(self._origins) and bool((rows == np.arange(len(rows))).all()):
            return frozen(values)
        spread = np.full(len(self._origins), np.nan)
        spread[rows] = values
        return frozen(spread)


def _of_rows(axes: Mapping[str, FloatArray], rows: IntArray) -> dict[str, FloatArray]:
    """Each axis at these rows, less the axes that none of them has."""
    return _known({name: floats(axis[rows]) for name, axis in axes.items()})


def _known(axes: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    return {name: axis for name, axis in axes.items() if first_number(axis) is not None}
