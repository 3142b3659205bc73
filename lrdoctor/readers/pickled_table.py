"""A pickled pandas DataFrame, or a dict of them -> one `Series` per numeric column. Nothing is unpickled.

The skeleton of the pickle names blocks of a BlockManager: raw bytes, dtype, shape and the columns they belong to
(pandas 1.x to 3.x, numpy 1.x and 2.x). Columns of other than real numbers are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.model.arrays import FloatArray, floats, ints
from lrdoctor.model.run import Note, Series
from lrdoctor.readers.arrow_texts import arrow_texts
from lrdoctor.readers.pickle_calls import plain_dtype
from lrdoctor.readers.pickle_machine import describe
from lrdoctor.readers.skeleton import Stub
from lrdoctor.readers.storage import content_of, size_of

KIND = "pickle"
_MAX_TABLES = 1000
_AXES = ("step", "global_step", "iteration", "iter", "it", "epoch", "_step", "tokens")


def sniff(path: str, head: bytes) -> bool:
    """A pickle of protocol 2 or later that names pandas near its start."""
    named = path.lower().endswith((".pkl", ".pickle"))
    return named and head[:1] == b"\x80" and b"pandas" in head


def read(path: str) -> Iterator[Series | Note]:
    """The columns of each table; tags are prefixed by the table's key where a dict holds several."""
    root = _skeleton(path)
    tables = list(_tables(root))
    if not tables:
        raise ReadError("The pickle holds no table.", where=path, why="no pandas DataFrame was found in it")
    found = False
    for name, table in tables[:_MAX_TABLES]:
        columns = _columns(table)
        if not columns:
            yield Note(path, f"table {name or 'without name'} has no numeric column that can be read")
        for series in _series(path, name, columns):
            found = True
            yield series
    if not found:
        raise ReadError("The pickle holds no usable table.", where=path, why="no numeric column")


def _skeleton(path: str) -> object:
    try:
        size = size_of(path)
        if size > limits().pickle_bytes:
            why = f"{size:,} bytes ({raised_by('pickle_bytes')})"
            raise ReadError("The pickle is too large.", where=path, why=why)
        data = content_of(path)
    except OSError as error:
        raise ReadError("The pickle cannot be opened.", where=path, why=error.strerror or str(error)) from error
    root, _ = describe(data, keep_bytes=limits().pickle_bytes, where=path)
    return root


def _tables(root: object) -> Iterator[tuple[str, Stub]]:
    if isinstance(root, Stub) and root.class_name == "DataFrame":
        yield "", root
    elif isinstance(root, dict):
        for name, value in root.items():
            if isinstance(value, Stub) and value.class_name == "DataFrame":
                yield str(name) if isinstance(name, str | int) else "", value


def _series(path: str, table: str, columns: Mapping[str, FloatArray]) -> Iterator[Series]:
    length = max((len(values) for values in columns.values()), default=0)
    axes = {name: values for name, values in columns.items() if name.lower() in _AXES}
    for name, values in columns.items():
        if name in axes:
            continue
        same = {axis: steps for axis, steps in axes.items() if len(steps) == len(values)}
        rows = ints(np.arange(1, length + 1)[: len(values)])
        tag = f"{table}/{name}" if table else name
        yield Series(path, tag, values, same, rows, KIND, origin_unit="row")


def _columns(table: Stub) -> dict[str, FloatArray]:
    """Numeric columns by name, in the table's order."""
    state = table.state
    manager = state.get("_mgr", state.get("_data")) if isinstance(state, dict) else None
    if not isinstance(manager, Stub):
        return {}
    names, blocks = _parts(manager)
    found: dict[int, FloatArray] = {}
    for block in blocks:
        found.update(_block_columns(block, len(names)))
    return {names[place]: found[place] for place in sorted(found)}


def _parts(manager: Stub) -> tuple[list[str], list[Stub]]:
    """Column names and blocks of a BlockManager: `args` are (blocks, axes)."""
    if len(manager.args) != 2 or not isinstance(manager.args[1], list | tuple) or not manager.args[1]:
        return [], []
    blocks = manager.args[0]
    names = _index_names(manager.args[1][0])
    return names, [block for block in blocks if isinstance(block, Stub)] if isinstance(blocks, list | tuple) else []


def _index_names(index: object) -> list[str]:
    """The labels of `_new_Index(Index, {"data": array, ...})`."""
    held = index.args[1] if isinstance(index, Stub) and len(index.args) > 1 else None
    data = held.get("data") if isinstance(held, dict) else None
    labels = _object_items(data)
    return [str(label) if isinstance(label, str | int) else f"column {place}" for place, label in enumerate(labels)]


def _object_items(data: object) -> list[object]:
    """The items of an array of objects, also where an extension array of strings wraps it."""
    if not isinstance(data, Stub):
        return []
    if isinstance(data.state, tuple) and len(data.state) == 5 and isinstance(data.state[4], list):
        return data.state[4]
    if data.class_name in ("_restore_array", "chunked_array"):
        return list(arrow_texts(data))
    inner = data.state
    parts = inner if isinstance(inner, tuple) else inner.values() if isinstance(inner, dict) else ()
    return next((items for part in parts if (items := _object_items(part))), [])


def _block_columns(block: Stub, width: int) -> dict[int, FloatArray]:
    """Column place -> values, for a block `_unpickle_block(array, places, ndim)` of real numbers."""
    if len(block.args) < 2:
        return {}
    array = _array(block.args[0])
    places = _places(block.args[1], width)
    if array is None or array.ndim != 2 or len(places) != len(array):
        return {}
    return {place: floats(array[row]) for row, place in enumerate(places)}


def _places(described: object, width: int) -> list[int]:
    if isinstance(described, Stub) and described.class_name == "slice":
        limits = [limit for limit in described.args if limit is None or isinstance(limit, int)]
        if len(limits) == len(described.args) == 3 and limits[2] != 0:
            return list(range(width))[slice(*limits)]
    array = _array(described)
    if array is None or array.ndim != 1:
        return []
    return [int(place) for place in array if 0 <= place < width]


def _array(described: object) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]] | None:
    """The array of real numbers behind `_frombuffer(bytes, dtype, shape, order)` or `_reconstruct` with its state."""
    if not isinstance(described, Stub):
        return None
    if described.class_name == "_frombuffer" and len(described.args) == 4:
        raw, dtype, shape, order = described.args
        return _from_bytes(raw, dtype, shape, fortran=order == "F")
    if described.class_name == "_reconstruct" and isinstance(described.state, tuple) and len(described.state) == 5:
        _, shape, dtype, fortran, raw = described.state
        return _from_bytes(raw, dtype, shape, fortran=fortran is True)
    return None


def _from_bytes(
    raw: object, dtype: object, shape: object, *, fortran: bool
) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]] | None:
    """Checked: the dtype is a plain number and the bytes are exactly as many as the shape says."""
    layout = plain_dtype(dtype)
    if layout is None or not isinstance(raw, bytes) or not isinstance(shape, tuple) or len(shape) > 2:
        return None
    sizes = [size for size in shape if isinstance(size, int) and size >= 0]
    count = 1
    for size in sizes:
        count *= size
    if len(sizes) < len(shape) or count * layout.itemsize != len(raw):
        return None
    return np.frombuffer(raw, dtype=layout).reshape(tuple(sizes), order="F" if fortran else "C")
