"""Many lines of a table at once, where every cell is a number or empty: pandas' parser, held to this reader's rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.readers.line_spans import Span

Columns = list[FloatArray]
_PIECE_BYTES = 1 << 18  # what pandas asks for: each is looked at while it is in the processor's cache
_FEW_BYTES = 1 << 18  # of which Python makes numbers in less time than it takes to import pandas
_PLAIN = b"0123456789+-.eE\n"
_WORDS = (b"\0", b"t", b"T", b"l", b"L")  # true and false are numbers to pandas; no number has one of their letters


@dataclass(frozen=True, slots=True)
class Block:
    """The cells of whole lines, (lines,) a column, NaN where one is empty; None where the lines are not regular.

    `quoted` is whether there is a quotation mark, so that the last line may end inside a cell.
    """

    span: Span
    columns: Columns | None
    quoted: bool


def parsed(span: Span, width: int, delimiter: str) -> Block:
    """Refused are quotes, comments, words (NaN as a word too, which says something else than an empty cell), lines with
    more or fewer cells than the header, and lines without any number: all that needs to be looked at line by line.
    """
    few = _few(span, width, delimiter)
    if few is not None and not _any_row_is_empty(few):
        return Block(span, few, False)
    pieces = _Pieces(span, delimiter)
    found = _numbers(pieces, width, delimiter) if width > 1 else None
    if found is None or not pieces.fits(len(found[0]), width) or _any_row_is_empty(found):
        return Block(span, None, pieces.quoted or b'"' in span.content())
    return Block(span, found, False)


def _few(span: Span, width: int, delimiter: str) -> Columns | None:
    """Few lines of plain numbers and empty cells, without pandas; None where there are more, or it has to be asked."""
    if width < 2 or span.stop - span.start > _FEW_BYTES:
        return None
    content = span.content()
    if not content.endswith(b"\n") or content.translate(None, _PLAIN + delimiter.encode()):
        return None
    lines = content[:-1].decode("ascii").split("\n")
    if any(line.count(delimiter) != width - 1 for line in lines):
        return None
    try:
        cells = [float(cell) if cell else np.nan for line in lines for cell in line.split(delimiter)]
    except ValueError:
        return None
    return list(np.array(cells, dtype=np.float64).reshape(-1, width).T.copy())


def _any_row_is_empty(columns: Columns) -> bool:
    empty = np.isnan(columns[0])
    for column in columns[1:]:
        if not empty.any():
            return False
        empty &= np.isnan(column)
    return bool(empty.any())


def count(piece: bytes, character: str) -> int:
    """How often an ASCII character occurs; several times as fast as `bytes.count` where it often does."""
    return int(np.count_nonzero(np.frombuffer(piece, dtype=np.uint8) == ord(character)))


class _Pieces:
    """A span as a file that pandas reads, without decoding it; what passes by is counted."""

    def __init__(self, span: Span, delimiter: str) -> None:
        self._span = span
        self._at = span.start
        self._delimiter = delimiter
        self._delimiters = self._returns = self._pairs = 0
        self._last = b""
        self._worded = self.quoted = False

    def read(self, count: int = -1) -> bytes:
        """The next bytes; none once there were some that no number and no empty cell has."""
        if self._worded or self.quoted:
            return b""
        most = min(_PIECE_BYTES, self._span.stop - self._at)
        piece = self._span.read(self._at, most if count < 0 else min(count, most))
        self._at += len(piece)
        self._look_at(piece)
        return piece

    def __iter__(self) -> Iterator[bytes]:  # pandas asks for it as the sign of a file, and never calls it
        return iter(self.read, b"")

    def _look_at(self, piece: bytes) -> None:
        self.quoted = b'"' in piece
        self._worded = any(word in piece for word in _WORDS)
        self._delimiters += count(piece, self._delimiter)
        if b"\r" in piece or self._last == b"\r":
            self._returns += count(piece, "\r")
            self._pairs += (self._last + piece).count(b"\r\n")
        self._last = piece[-1:] or self._last

    def fits(self, lines: int, width: int) -> bool:
        """Whether all was read and is in so many lines of so many cells.

        Too few cells in one have become NaN: the delimiters tell. Lines end alike: a lone carriage return ends one for
        pandas, and not for this reader.
        """
        regular = not self._worded and not self.quoted and self._at == self._span.stop and self._last == b"\n"
        alike = not self._returns or self._returns == self._pairs == lines
        return regular and alike and self._delimiters == (width - 1) * lines


def _exact(version: str) -> Literal["round_trip"] | None:
    """The precision that is Python's float() to the last bit: the default of pandas 3, an option before."""
    return "round_trip" if int(version.split(".")[0]) < 3 else None


def _numbers(pieces: _Pieces, width: int, delimiter: str) -> Columns | None:
    import pandas as pd

    file: Any = pieces  # of a file's methods pandas needs no other
    try:
        table = pd.read_csv(
            file,
            sep=delimiter,
            header=None,
            names=range(width),
            dtype=np.float64,
            float_precision=_exact(pd.__version__),
            keep_default_na=False,
            na_values=[""],
            skip_blank_lines=False,
            low_memory=False,
            engine="c",
        )
    except (ValueError, OverflowError):  # pandas' ParserError is a ValueError
        return None
    if not isinstance(table.index, pd.RangeIndex):  # it takes cells too many for the names of rows
        return None
    return [table[column].to_numpy() for column in range(width)]
