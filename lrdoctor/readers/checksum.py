"""CRC-32C (Castagnoli), masked as TFRecord files store it, of one string or of many strings of equal length at once.

Source: RFC 3720 appendix B.4 (polynomial 0x1EDC6F41, reflected 0x82F63B78); the mask is TensorFlow's
`((crc >> 15) | (crc << 17)) + 0xa282ead8` (tensorflow/core/lib/hash/crc32c.h).
"""

from __future__ import annotations

from functools import cache

import google_crc32c
import numpy as np
import numpy.typing as npt

from lrdoctor.readers.pages import PAGE_BYTES, Pages

UIntArray = npt.NDArray[np.uint32]
_REFLECTED = 0x82F63B78
_MASK_DELTA = 0xA282EAD8


@cache
def _byte_table() -> UIntArray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_REFLECTED), table >> 1)
    return table


@cache
def _pair_table() -> UIntArray:
    """As the byte table, for two bytes at a time."""
    table, pairs = _byte_table(), np.arange(1 << 16, dtype=np.uint32)
    once = table[pairs & 0xFF] ^ (pairs >> 8)
    twice: UIntArray = table[once & 0xFF] ^ (once >> 8)
    return twice


def masked_crc(data: bytes) -> int:
    return _masked(google_crc32c.value(data))


def masked_crc_of(data: bytes | Pages, start: int, stop: int) -> int:
    """The same of data[start:stop], page by page."""
    crc = 0
    for at in range(start, stop, PAGE_BYTES):
        crc = google_crc32c.extend(crc, data[at : min(at + PAGE_BYTES, stop)])
    return _masked(crc)


def _masked(crc: int) -> int:
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def masked_crcs(rows: npt.NDArray[np.uint8]) -> UIntArray:
    """The masked checksum of each row of an (n, length) array, as (n,)."""
    pairs, table = _pair_table(), _byte_table()
    crc: UIntArray = np.full(len(rows), 0xFFFFFFFF, dtype=np.uint32)
    even = rows.shape[1] // 2 * 2
    words = np.ascontiguousarray(np.ascontiguousarray(rows[:, :even]).view("<u2").T)
    for word in words:
        crc = pairs[(crc ^ word) & 0xFFFF] ^ (crc >> 16)
    if even < rows.shape[1]:
        crc = table[(crc ^ rows[:, even]) & 0xFF] ^ (crc >> 8)
    crc ^= np.uint32(0xFFFFFFFF)
    masked: UIntArray = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK_DELTA)
    return masked
