"""Tables inside one JSON document -> series: a list of records, or named lists of equal length side by side."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Note, Series
from lrdoctor.readers.flat import number, numbers_in
from lrdoctor.readers.rows import Rows, is_axis
from lrdoctor.reconstruct.names import lr_name, role_of

_MAX_DEPTH = 4
_KEY = re.compile(r'"([A-Za-z_][^"\\]{0,80})"\s{0,4}:')
_Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one table. `name` is the way to it in the document ("history/train"), "" for the document itself."""

    name: str
    rows: Sequence[_Row]


def may_hold_a_table(head: str) -> bool:
    """Whether some key near the start of a document names a learning rate or a loss, or the start is all one list."""
    return "[" in head and any(_is_spoken(key) for key in set(_KEY.findall(head)))


def tables(document: object, name: str = "", depth: int = 0) -> Iterator[Table]:
    """Every table with a learning rate or a loss in it."""
    if isinstance(document, list):
        rows = [numbers_in(item) for item in document if isinstance(item, Mapping)]
        if any(_is_spoken(key) for row in rows for key in row):
            yield Table(name, rows)
    elif isinstance(document, dict):
        yield from _side_by_side(document, name)
        if depth < _MAX_DEPTH:
            for key, value in document.items():
                if isinstance(value, list) and value and not isinstance(value[0], dict):
                    continue
                if _column(value) is None:
                    yield from tables(value, f"{name}/{key}" if name else str(key), depth + 1)


def _side_by_side(columns: Mapping[str, object], name: str) -> Iterator[Table]:
    """Lists of equal length are the columns of one table; a list that is longer or shorter has an axis of its own."""
    by_length: dict[int, dict[str, Sequence[object]]] = defaultdict(dict)
    for key, value in columns.items():
        column = _column(value)
        if column is not None:
            by_length[len(column)][key] = column
    for length, together in by_length.items():
        if any(_is_spoken(key) for key in together):
            yield Table(name, [_row(together, index) for index in range(length)])


def _column(value: object) -> Sequence[object] | None:
    """A list of numbers; or what pandas makes of one, an object with the keys "0", "1", ..."""
    if isinstance(value, dict) and "0" in value and all(key.isdecimal() for key in value):
        value = list(value.values())
    if not isinstance(value, list) or not value:
        return None
    return value if any(number(item) is not None for item in value) else _of_lists(value)


def _of_lists(column: list[object]) -> list[object] | None:
    """A column with a list of numbers in each cell: one number per parameter group."""
    return column if all(isinstance(item, list) and item and number(item[0]) is not None for item in column) else None


def _row(columns: Mapping[str, Sequence[object]], index: int) -> _Row:
    return numbers_in({key: column[index] for key, column in columns.items()})


def _is_spoken(key: str) -> bool:
    return lr_name(key) is not None or (role_of(key) or "").endswith("-loss")


def series_of(document: object, path: str, kind: str) -> Iterator[Series | Note]:
    """The series of all tables; a name that two tables use gets the table's in front. `ReadError` without a table."""
    found = list(tables(document))
    if not found:
        raise ReadError("The document holds no table with a learning rate or a loss.", where=path)
    seen: set[str] = set()
    for table in found:
        names = {key for row in table.rows for key in row if not is_axis(key)}
        clash = bool(names & seen)
        rows = Rows(path, kind, origin_unit="row")
        for index, row in enumerate(table.rows, 1):
            rows.add({_placed(key, table, clash): value for key, value in row.items()}, index)
        seen |= names
        yield from rows.series()


def _placed(key: str, table: Table, clash: bool) -> str:
    return key if not clash or is_axis(key) else f"{table.name or 'other'}/{key}"
