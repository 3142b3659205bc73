"""What torch's three file layouts share: pickles whose length is not known beforehand, and how wide elements are."""

from __future__ import annotations

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.readers.pickle_machine import CutError, describe
from lrdoctor.readers.storage import Window

_FIRST_PIECE = 1 << 18  # bytes
_CODES = {
    "Double": "f8", "Float": "f4", "Half": "f2", "BFloat16": "bf16",
    "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1", "Bool": "b1",
}  # fmt: skip
_OTHER_SIZES = {"ComplexFloat": 8, "ComplexDouble": 16, "QInt8": 1, "QUInt8": 1, "QInt32": 4, "Untyped": 1}


def pickled_at(data: Window, start: int, path: str, commands: set[str] | None = None) -> tuple[object, int]:
    """The pickle at byte `start`, and the byte behind it. As much is read as it turns out to need.

    `commands` as in `describe`.
    """
    size = _FIRST_PIECE
    while True:
        piece = data[start : start + size]
        try:
            root, end = describe(piece, where=path, commands=commands)
        except CutError as error:
            if len(piece) < size:
                raise
            if size >= limits().pickle_bytes:
                raise ReadError("The pickle is too large.", where=path, why=raised_by("pickle_bytes")) from error
            size = min(8 * size, limits().pickle_bytes)
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
