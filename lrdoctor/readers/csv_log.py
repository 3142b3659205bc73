"""Tables with a header (CSV, TSV) -> series: Lightning, Ultralytics, timm, Keras, SB3, flair, W&B exports."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Note, Series
from lrdoctor.readers.appended import Lines
from lrdoctor.readers.csv_cells import is_absent, is_number, number, numbers
from lrdoctor.readers.csv_table import Source, Table, delimiter_of, passed_line
from lrdoctor.readers.opening import absent_data, decoded, encoding_of, is_text, text_stream
from lrdoctor.readers.parts import split
from lrdoctor.readers.rows import is_axis
from lrdoctor.readers.storage import open_binary
from lrdoctor.readers.tracker_columns import runs_of
from lrdoctor.reconstruct.names import lr_name, role_of

KIND = "csv"
_TABLE_SUFFIXES = (".csv", ".tsv")


def sniff(path: str, head: bytes) -> bool:
    """A header that names a step, a loss or a learning rate, above rows that are numbers for the most part."""
    if not head or not is_text(head):
        return False
    rows = decoded(head).replace("\r\n", "\n").split("\n")
    complete = rows[:-1] if len(rows) > 1 else rows
    beginning = [row for row in complete if row.strip() and not row.startswith("#")][:6]
    if not beginning:
        return False
    delimiter = delimiter_of(beginning[0])
    try:
        table = list(csv.reader(beginning, delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return False
    names, body = table[0], table[1:]
    trusted = path.lower().endswith(_TABLE_SUFFIXES) and bool(body)
    return _is_header(names, trusted) and _are_numbers(body)


def _is_header(cells: Sequence[str], trusted: bool) -> bool:
    """Words only: a counter or something measured; both of them where neither the file's name nor rows vouch for it."""
    names = [cell.strip() for cell in cells]
    if any(map(is_number, names)) or names[0][:1] in ("{", "["):
        return False
    counted = any(map(is_axis, names))
    measured = any(lr_name(name) is not None or role_of(name) is not None for name in names)
    return counted or measured if trusted else counted and measured


def _are_numbers(rows: Sequence[Sequence[str]]) -> bool:
    """Whether at least half of all filled cells are numbers or lists of numbers."""
    cells = [cell.strip() for row in rows for cell in row]
    filled = [cell for cell in cells if not is_absent(cell)]
    return not filled or 2 * sum(number(cell) is not None or bool(numbers(cell)) for cell in filled) >= len(filled)


def read(path: str) -> Iterator[Series | Note]:
    """A series per column, or per element of a column of lists (`lr[0]`). `ReadError` where there is no header."""
    absent = absent_data(split(path)[0])
    if absent is not None:
        yield absent
        return
    file, run = split(path)
    table = Table(path, KIND, run)
    table.fill(file)
    yield from table.rows.series()
    yield from table.notes()


class Tail:
    """A table as far as it was read; see `growing.Tail`. `ReadError` where it has no whole header yet, or is UTF-16.

    A quote may hold a line feed: a table with quotes is read as a whole.
    """

    def __init__(self, path: str) -> None:
        file, run = split(path)
        self._file, self._table = file, Table(path, KIND, run)
        with text_stream(file) as stream:
            source = Source(stream)
            self._table.begin(source.header(), source)
        if encoding_of(file) != "utf-8" or not source.ended:
            raise ReadError("The table is read as a whole.", where=path)
        with open_binary(file) as raw:
            whole = all(passed_line(raw) for _ in range(source.number))
            self._lines = Lines(raw.tell() if whole else 0, source.number)

    @property
    def at(self) -> int:
        return self._lines.at

    def advance(self) -> None:
        for block in self._lines.blocks(self._file):
            if b'"' in block:
                raise ReadError("The table is read as a whole.", where=self._table.path, why="it has quotes")
            self._lines.number += self._table.take(block, self._lines.number)

    def items(self) -> Iterator[Series | Note]:
        yield from self._table.rows.series()
        yield from self._table.notes()


def runs_in(path: str) -> list[str]:
    """The runs side by side in a table exported from a tracker; empty where there is one."""
    with text_stream(path) as stream:
        header = Source(stream).header()
    if header is None:
        return []
    try:
        names = next(csv.reader([header], delimiter=delimiter_of(header), skipinitialspace=True), [])
    except csv.Error:
        return []
    found = runs_of([name.strip() for name in names])
    return found if len(found) > 1 else []
