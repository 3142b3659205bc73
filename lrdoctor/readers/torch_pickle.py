"""What torch's three file layouts share: pickles whose length is not known beforehand, and how wide elements are."""

from __future__ import annotations

import mmap

from lrdoctor.errors import ReadError
from lrdoctor.readers.pickle_machine import describe
from lrdoctor.readers.storage import Window

_FIRST_FETCHED, _MOST_FETCHED = 1 << 18, 1 << 28  # bytes of a remote pickle
_CODES = {
    "Double": "f8", "Float": "f4", "Half": "f2", "BFloat16": "bf16",
    "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1", "Bool": "b1",
}  # fmt: skip
_OTHER_SIZES = {"ComplexFloat": 8, "ComplexDouble": 16, "QInt8": 1, "QUInt8": 1, "QInt32": 4, "Untyped": 1}


def pickled_at(data: Window, start: int, path: str) -> tuple[object, int]:
    """The pickle at byte `start`. Of a remote file as much is fetched as it turns out to need."""
    if isinstance(data, bytes | mmap.mmap):
        return describe(data, start, where=path)
    size = _FIRST_FETCHED
    while True:
        piece = data[start : start + size]
        try:
            root, end = describe(piece, where=path)
        except ReadError:
            if len(piece) < size or size >= _MOST_FETCHED:
                raise
            size *= 8
        else:
            return root, start + end


def code_of(storage_type: str) -> str | None:
    """numpy's code ("f4", without byte order) of the elements of "FloatStorage"; "bf16" has none there."""
    return _CODES.get(storage_type.removesuffix("Storage"))


def width_of(storage_type: str) -> int:
    """Bytes of one element; 0 where the type is not known."""
    code = code_of(storage_type)
    if code is None:
        return _OTHER_SIZES.get(storage_type.removesuffix("Storage"), 0)
    return 2 if code == "bf16" else int(code[1])
