"""Many lines of a table at once, where every cell is a number or empty: pandas' parser, held to this reader's rules."""

from __future__ import annotations

import io
import warnings
from typing import Literal

import numpy as np

from lrdoctor.model.arrays import FloatArray

_TRUTHS = (b"t", b"T", b"l", b"L")  # of true and false, which pandas takes for numbers; no number has one of them


def numbers(block: bytes, columns: int, delimiter: str) -> list[FloatArray] | None:
    """The cells of whole lines, (lines,) a column, NaN where one is empty; None where they are not regular.

    Refused are quotes, comments, words (NaN as a word too, which says something else than an empty cell), lines with
    more or fewer cells than the header, and lines without any number: all that needs to be looked at line by line.
    """
    if columns < 2 or b'"' in block or b"\0" in block or any(letter in block for letter in _TRUTHS):
        return None
    found = _parsed(block, columns, delimiter)
    if found is None or _any_row_is_empty(found):
        return None
    lines = len(found[0])  # too few cells in one have become NaN: the delimiters tell
    return found if count(block, delimiter) == (columns - 1) * lines and _ends_are_alike(block, lines) else None


def _any_row_is_empty(columns: list[FloatArray]) -> bool:
    empty = np.isnan(columns[0])
    for column in columns[1:]:
        if not empty.any():
            return False
        empty &= np.isnan(column)
    return bool(empty.any())


def count(block: bytes, character: str) -> int:
    """How often an ASCII character occurs; several times as fast as `bytes.count` where it often does."""
    return int(np.count_nonzero(np.frombuffer(block, dtype=np.uint8) == ord(character)))


def _ends_are_alike(block: bytes, lines: int) -> bool:
    """Only line feeds, or a carriage return before each: a lone one ends a line for pandas, and not for this reader."""
    return b"\r" not in block or count(block, "\r") == block.count(b"\r\n") == lines


def _exact(version: str) -> Literal["round_trip"] | None:
    """The precision that is Python's float() to the last bit: the default of pandas 3, an option before."""
    return "round_trip" if int(version.split(".")[0]) < 3 else None


def _parsed(block: bytes, columns: int, delimiter: str) -> list[FloatArray] | None:
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lines with too many cells are refused by their delimiters
            table = pd.read_csv(
                io.BytesIO(block),
                sep=delimiter,
                header=None,
                names=range(columns),
                dtype=np.float64,
                float_precision=_exact(pd.__version__),
                keep_default_na=False,
                na_values=[""],
                skip_blank_lines=False,
                index_col=False,
                low_memory=False,
                engine="c",
            )
    except (ValueError, OverflowError):  # pandas' ParserError is a ValueError
        return None
    return [table[column].to_numpy() for column in range(columns)]
