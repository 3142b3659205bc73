"""A Parquet table (W&B's history artifact, exports of data frames) -> a series per numeric column, through pyarrow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrdoctor.errors import ReadError
from lrdoctor.model.arrays import FloatArray, IntArray, floats, ints
from lrdoctor.model.run import Note, Series
from lrdoctor.readers.parts import split
from lrdoctor.readers.rows import is_axis, is_clock, wall_clock
from lrdoctor.readers.storage import local_copy, window
from lrdoctor.readers.tracker_columns import DROPPED, names_of, runs_of
from lrdoctor.reconstruct.names import lr_name, role_of

KIND = "parquet"
INSTALL = "pip install 'lrdoctor[parquet]'"
_MAGIC = b"PAR1"
_MAX_FOOTER = 64 << 20
_MAX_ROWS = 50_000_000
_MAX_COLUMNS = 20_000
_MAX_LIST = 64
_NAME = re.compile(rb"[A-Za-z_][ -~]{0,119}")
_INDEX = re.compile(r"__index_level_\d+__")


def sniff(path: str, head: bytes) -> bool:
    """A table with a counter and something measured among the names in its footer: most Parquet files are data sets."""
    if not head.startswith(_MAGIC):
        return False
    try:
        names = [found.decode("ascii") for found in _NAME.findall(_footer(path))]
    except OSError:
        return False
    measured = [name for name in names if lr_name(name) is not None or (role_of(name) or "").endswith("-loss")]
    return bool(measured) and any(map(is_axis, names))


def _footer(path: str) -> bytes:
    """The description of the columns, at the end of the file. Empty where the file is cut off."""
    with window(path) as data:
        if len(data) < 12 or data[len(data) - 4 :] != _MAGIC:
            return b""
        length = int.from_bytes(data[len(data) - 8 : len(data) - 4], "little")
        return data[max(0, len(data) - 8 - length) : len(data) - 8] if length <= _MAX_FOOTER else b""


def read(path: str) -> Iterator[Series | Note]:
    """A series per numeric column, or per place in a column of lists (`lr[0]`). `ReadError` where none can be read."""
    file, run = split(path)
    table = _table(file)
    columns = {name: column for name, column in _numbers(table) if not _INDEX.fullmatch(name)}
    named = zip(names_of(list(columns), path, run), columns.values(), strict=True)
    kept = {name: column for name, column in named if name != DROPPED}
    axes = {name: column.values for name, column in kept.items() if is_axis(name)}
    clocks = (wall_clock(column.values) for name, column in kept.items() if is_clock(name))
    clock = next((time for time in clocks if time is not None), None)
    measured = {name: column for name, column in kept.items() if name not in axes and not is_clock(name)}
    if not measured:
        raise ReadError("The Parquet table holds nothing that was measured.", where=path, why="no numeric column")
    for tag, column in measured.items():
        yield _series(path, tag, column, axes, clock)


def runs_in(path: str) -> list[str]:
    """The runs side by side in a table exported from a tracker; empty where there is one."""
    with local_copy(path) as file:
        found = runs_of(list(_opened(file, path).schema_arrow.names))
    return found if len(found) > 1 else []


def _table(path: str) -> Any:
    with local_copy(path) as file:
        parquet = _opened(file, path)
        rows, columns = parquet.metadata.num_rows, len(parquet.schema_arrow.names)
        if rows > _MAX_ROWS or columns > _MAX_COLUMNS:
            raise ReadError("The Parquet table is too large.", where=path, why=f"{rows:,} rows, {columns:,} columns")
        try:
            return parquet.read(use_threads=False).flatten()
        except Exception as error:  # pyarrow raises many kinds where pages are damaged
            raise ReadError("The Parquet table is damaged.", where=path, why=str(error)) from error


def _opened(file: Any, path: str) -> Any:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        why = "pyarrow is not installed"
        raise ReadError(f"Parquet needs pyarrow: {INSTALL}.", where=path, why=why, hint=INSTALL) from error
    try:
        return parquet.ParquetFile(file)
    except Exception as error:  # ArrowInvalid, OSError, and others for rubbish
        raise ReadError("The Parquet table cannot be opened.", where=path, why=str(error)) from error


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """`values` (rows,) with NaN in absent cells; `rows` (T,) are the ones that are there."""

    values: FloatArray
    rows: IntArray


def _numbers(table: Any) -> Iterator[tuple[str, _Column]]:
    """The columns of numbers; a column of lists is one column per place."""
    import pyarrow as pa

    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_decimal(column.type):
            yield name, _column(column)
        elif pa.types.is_timestamp(column.type) and is_clock(name):
            microseconds = _column(column.cast(pa.timestamp("us")).cast(pa.int64()))
            yield name, _Column(floats(microseconds.values / 1e6), microseconds.rows)
        elif (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)) and lr_name(name) is not None:
            yield from _of_lists(name, column)


def _column(column: Any) -> _Column:
    import pyarrow as pa

    known = column.is_valid().to_numpy()
    return _Column(floats(column.cast(pa.float64(), safe=False).to_numpy()), ints(np.flatnonzero(known)))


def _of_lists(name: str, column: Any) -> Iterator[tuple[str, _Column]]:
    """A learning rate per parameter group in each cell."""
    cells = [cell if isinstance(cell, list) else [] for cell in column.to_pylist()]
    for place in range(min(max(map(len, cells), default=0), _MAX_LIST)):
        found = [cell[place] if len(cell) > place else None for cell in cells]
        values = [value if isinstance(value, int | float) else None for value in found]
        rows = [row for row, value in enumerate(values) if value is not None]
        if rows:
            yield f"{name}[{place}]", _Column(floats(np.array(values, dtype=np.float64)), ints(rows))


def _series(path: str, tag: str, column: _Column, axes: dict[str, FloatArray], clock: FloatArray | None) -> Series:
    rows = column.rows
    steps = {name: floats(axis[rows]) for name, axis in axes.items()}
    return Series(
        path=path,
        tag=tag,
        values=floats(column.values[rows]),
        axes={name: axis for name, axis in steps.items() if not np.isnan(axis).all()},
        origin=ints(rows + 1),
        kind=KIND,
        origin_unit="row",
        wall_time=None if clock is None else floats(clock[rows]),
    )
