"""The two array types of the model layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def floats(values: npt.ArrayLike | Sequence[float]) -> FloatArray:
    """`values` as a read-only (T,) float64 array."""
    array = np.array(values, dtype=np.float64).reshape(-1)
    array.flags.writeable = False
    return array


def ints(values: npt.ArrayLike | Sequence[int]) -> IntArray:
    """`values` as a read-only (T,) int64 array."""
    array = np.array(values, dtype=np.int64).reshape(-1)
    array.flags.writeable = False
    return array


def frozen(values: FloatArray) -> FloatArray:
    """`values` itself, made read-only: for an array that nobody else holds."""
    values.flags.writeable = False
    return values
