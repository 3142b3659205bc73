"""A table with a header being read: what its columns are called, their rows, and what did not fit."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, TextIO

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.model.run import Note
from lrdoctor.readers.csv_block import Block, count, parsed
from lrdoctor.readers.csv_cells import is_absent, is_number, number, numbers
from lrdoctor.readers.line_spans import Span, in_spans
from lrdoctor.readers.opening import encoding_of, lines, text_stream
from lrdoctor.readers.rows import Rows, first_number
from lrdoctor.readers.storage import open_binary
from lrdoctor.readers.tracker_columns import long_form, names_of

_DELIMITERS = (",", "\t", ";")
BLOCK_BYTES = 1 << 23


def delimiter_of(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


@dataclass(slots=True)
class Column:
    """One column: `text` counts its cells that are no numbers, the first of them on `first_text`."""

    name: str
    numbers: int = 0
    text: int = 0
    first_text: int = 0
    element_names: list[str] = field(default_factory=list)

    def elements(self, count: int) -> list[str]:
        while len(self.element_names) < count:
            self.element_names.append(f"{self.name}[{len(self.element_names)}]")
        return self.element_names


def passed_line(stream: BinaryIO) -> bool:
    """Whether there was a line with an end to pass over, however long."""
    while piece := stream.readline(BLOCK_BYTES):
        if piece.endswith(b"\n"):
            return True
    return False


class Table:
    """Fills `rows`, and counts what did not fit for one note each."""

    def __init__(self, path: str, kind: str, run: str | None = None) -> None:
        self.path = path
        self.run = run
        self.rows = Rows(path, kind)
        self.columns: list[Column] = []
        self.every_column: list[Column] = []
        self.session = 0
        self.ragged: list[int] = []
        self.dropped: list[int] = []
        self.cut: int | None = None
        self.halved: int | None = None
        self.last_cell = ""
        self.delimiter = ","
        self.long: tuple[list[int], int] | None = None

    def fill(self, file: str) -> None:
        with text_stream(file) as stream:
            source = Source(stream)
            self.begin(source.header(), source)
            if encoding_of(file) != "utf-8":
                self._rows(source)
                return
        with open_binary(file) as stream:
            if all(passed_line(stream) for _ in range(source.number)):
                self._blocks(stream, source.number)

    def begin(self, header: str | None, source: Source) -> None:
        """Take the header for what the columns are called."""
        if header is None:
            long = f"its first line is too long ({raised_by('line_chars')})"
            why = long if source.too_long else "it has no line with names of columns"
            raise ReadError("The table has no header.", where=self.path, why=why)
        self.delimiter = delimiter_of(header)
        try:
            self._name_columns(next(csv.reader([header], delimiter=self.delimiter, skipinitialspace=True)))
        except csv.Error as error:
            raise ReadError("The table's header cannot be read.", where=self.path, why=str(error)) from error

    def _blocks(self, stream: BinaryIO, number: int) -> None:
        """The rows below line `number`, many at once where they are regular, else one by one."""
        position, width = stream.tell(), len(self.columns)
        for block in in_spans(stream, BLOCK_BYTES, lambda span: parsed(span, width, self.delimiter)):
            if block.quoted:  # a cell that may go on in the next block
                break
            if width != len(self.columns):  # there was another header meanwhile
                block = parsed(block.span, len(self.columns), self.delimiter)
            number += self._block(block, number)
            position = block.span.stop
        stream.seek(position)
        self._lines(stream, number)

    def take(self, content: bytes, number: int) -> int:
        """Take whole lines below line `number`; how many there are."""
        span = Span(lambda position, count: content[position : position + count], 0, len(content))
        return self._block(parsed(span, len(self.columns), self.delimiter), number)

    def _block(self, block: Block, number: int) -> int:
        """Take whole lines; how many there are."""
        if block.columns is None:
            content = block.span.content()
            self._lines(io.BytesIO(content), number)
            return count(content, "\n")
        for column, values in zip(self.columns, block.columns, strict=True):
            column.numbers += first_number(values) is not None
        named = {column.name: values for column, values in zip(self.columns, block.columns, strict=True) if column.name}
        self.rows.add_table(named, number + 1, self.session)
        last_line = block.span.tail().rstrip(b"\r\n").rpartition(b"\n")[2].decode("utf-8", "replace")
        self.last_cell = last_line.rpartition(self.delimiter)[2].strip()
        return len(block.columns[0])

    def _lines(self, stream: BinaryIO, number: int) -> None:
        """What is left of the stream, line by line."""
        self._rows(Source(io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="\n"), number))

    def _rows(self, source: Source) -> None:
        reader = csv.reader(source, delimiter=self.delimiter, skipinitialspace=True)
        while True:
            try:
                for cells in reader:
                    if not source.ended:
                        self._spare_half_a_number(cells, source.number)
                    self._row(cells, source.number)
                    self.last_cell = cells[-1] if cells else ""
                break
            except csv.Error:  # a cell without end; the reader goes on with the next line
                self.dropped.append(source.number)
        self.dropped += source.too_long
        if not source.ended and self.ragged and self.ragged[-1] == source.number:
            self.cut = self.ragged.pop()

    def _spare_half_a_number(self, cells: list[str], line: int) -> None:
        """A file cut off inside a number has no line feed behind it: a cell shorter than the one above is suspect."""
        if len(cells) == len(self.columns) and is_number(cells[-1]) and len(cells[-1]) < len(self.last_cell):
            cells[-1] = ""
            self.halved = line

    def _name_columns(self, cells: Sequence[str]) -> None:
        if len(cells) > limits().columns:
            raise ReadError(
                "The table is too wide.", where=self.path, why=f"it has {len(cells):,} columns ({raised_by('columns')})"
            )
        self.long = long_form([cell.strip() for cell in cells])
        known = {column.name: column for column in self.every_column}
        self.columns = [known.get(name) or Column(name) for name in names_of(_distinct(cells), self.path, self.run)]
        self.every_column += [column for column in self.columns if column.name not in known]

    def _row(self, cells: list[str], line: int) -> None:
        if not cells or (len(cells) == 1 and not cells[0].strip()):
            return
        if len(cells) != len(self.columns) and not self._fits(cells):
            if self._is_new_header(cells):
                self._start_session(cells)
            else:
                self.ragged.append(line)
            return
        values: dict[str, float] = {}
        words = 0
        for column, cell in zip(self.columns, cells, strict=False):
            if not cell:
                continue
            try:
                values[column.name] = float(cell)
                column.numbers += 1
            except ValueError:
                words += not self._take_other(column, cell, line, values)
        if words and not values and self._is_new_header(cells):
            self._start_session(cells)
            return
        values.pop("", None)
        if self.long is not None:
            self._name_the_value(values, cells, *self.long)
        if values:
            self.rows.add(values, line, self.session)

    def _name_the_value(self, values: dict[str, float], cells: list[str], naming: list[int], place: int) -> None:
        """Of a table with a metric a row: the value under the metric's name, which stands in other cells."""
        tag = "/".join(word for column in naming if (word := cells[column].strip()))
        value = values.pop(self.columns[place].name, None)
        if tag and value is not None:
            values[tag] = value

    def _fits(self, cells: list[str]) -> bool:
        """Only empty cells too many: a delimiter at the end of each row."""
        return len(cells) > len(self.columns) and not any(cell.strip() for cell in cells[len(self.columns) :])

    def _take_other(self, column: Column, cell: str, line: int, values: dict[str, float]) -> bool:
        """A cell that is not a plain number; False where it is none at all."""
        several = numbers(cell)
        if several:
            values.update(zip(column.elements(len(several)), several, strict=False))
            column.numbers += 1
            return True
        one = number(cell)
        if one is not None:
            values[column.name] = one
            column.numbers += 1
            return True
        if is_absent(cell):
            return True
        column.text += 1
        column.first_text = column.first_text or line
        return False

    def _is_new_header(self, cells: Sequence[str]) -> bool:
        names = {cell.strip() for cell in cells} - {""}
        return bool(names & {column.name for column in self.columns}) and not any(map(is_number, names))

    def _start_session(self, cells: Sequence[str]) -> None:
        """A header in the middle of the file: a writer that was started anew."""
        for column, cell in zip(self.columns, cells, strict=False):
            column.text -= column.text > 0 and cell.strip() == column.name
        self._name_columns(cells)
        self.session += 1

    def notes(self) -> Iterator[Note]:
        if not len(self.rows):
            yield Note(self.path, "a header without a single row of numbers below it")
        skipped = [column for column in self.every_column if column.numbers and column.text > 0]
        if skipped:
            names = ", ".join(repr(column.name) for column in skipped[:5])
            count = sum(column.text for column in skipped)
            first = min(column.first_text for column in skipped)
            yield Note(self.path, f"{_counted(count, 'cell')} skipped: not a number, in {names}", f"line {first}")
        if self.ragged:
            message = f"{_counted(len(self.ragged), 'row')} skipped: not as many cells as the header"
            yield Note(self.path, message, f"line {self.ragged[0]}")
        if self.dropped:
            why = f"longer than any table row ({raised_by('line_chars')})"
            message = f"{_counted(len(self.dropped), 'line')} skipped: {why}"
            yield Note(self.path, message, f"line {self.dropped[0]}")
        if self.halved is not None:
            message = "the last line has no end: its last number may be cut and was not read"
            yield Note(self.path, message, f"line {self.halved}")
        if self.cut is not None:
            yield Note(self.path, "truncated: the last row is incomplete and was not read", f"line {self.cut}")


class Source:
    """The lines of a stream for `csv.reader`; `number` is the one read last, `ended` whether it had an end."""

    def __init__(self, stream: TextIO, before: int = 0) -> None:
        self._lines = lines(stream)
        self._before = before
        self.number = before
        self.ended = True
        self.too_long: list[int] = []

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number, self.ended = self._before + line.number, line.ended
        if line.too_long:
            self.too_long.append(self.number)
        return line.text + "\n"

    def header(self) -> str | None:
        """The first line that is neither empty nor a comment (Stable-Baselines3 puts one in front)."""
        return next((text for text in self if text.strip() and not text.startswith("#")), None)


def _distinct(cells: Sequence[str]) -> list[str]:
    """Stripped names; of equal ones the later get a number, as pandas does ("loss", "loss.1")."""
    seen: dict[str, int] = {}
    names = []
    for cell in cells:
        name = cell.strip()
        count = seen.get(name, 0)
        seen[name] = count + 1
        names.append(f"{name}.{count}" if count and name else name)
    return names


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
