"""Texts in a pickled Arrow array: what pandas 3 keeps its column names in where pyarrow is installed.

The skeleton is `_restore_array((type, length, nulls, offset, [validity, offsets, bytes], children))`, or
`chunked_array([such arrays], type)` (pyarrow/array.pxi, `_reduce_array_data`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from lrdoctor.readers.skeleton import Stub

_OFFSETS = {"string": "<i4", "utf8": "<i4", "large_string": "<i8", "large_utf8": "<i8"}
_MAX_TEXTS = 100_000


def arrow_texts(array: Stub) -> Iterator[str]:
    """The texts, in order; none where the array is of another type or its parts do not fit together."""
    first = array.args[0] if array.args else None
    if array.class_name == "chunked_array":
        for chunk in first if isinstance(first, list) else []:
            if isinstance(chunk, Stub) and chunk.class_name == "_restore_array":
                yield from arrow_texts(chunk)
    elif isinstance(first, tuple) and len(first) >= 5:
        yield from _texts(*first[:5])


def _texts(kind: object, length: object, nulls: object, offset: object, buffers: object) -> Iterator[str]:
    layout = _OFFSETS.get(str(kind.args[0])) if isinstance(kind, Stub) and kind.args else None
    if layout is None or not isinstance(length, int) or not isinstance(offset, int) or not isinstance(buffers, list):
        return
    bounds, texts = (_bytes(buffer) for buffer in buffers[1:3]) if len(buffers) >= 3 else (None, None)
    if bounds is None or texts is None or not 0 <= length <= _MAX_TEXTS or offset < 0:
        return
    width = np.dtype(layout).itemsize
    places = np.frombuffer(bounds[: len(bounds) // width * width], dtype=layout)[offset : offset + length + 1].tolist()
    for start, stop in pairwise(places):
        if 0 <= start <= stop <= len(texts):
            yield texts[start:stop].decode("utf-8", "replace")


def _bytes(buffer: object) -> bytes | None:
    """The bytes of `py_buffer(bytes)`, also where an old protocol wraps them in a bytearray."""
    while isinstance(buffer, Stub) and buffer.class_name in ("py_buffer", "bytearray"):
        buffer = buffer.args[0] if buffer.args else b""
    return buffer if isinstance(buffer, bytes) else None
