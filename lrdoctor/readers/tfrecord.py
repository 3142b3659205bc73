"""The record framing of TensorBoard's event files: where each record lies, without looking into it.

A record is its length (8 bytes), the length's masked CRC-32C (4), the data, and the data's masked CRC-32C (4).
Source: tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from lrdoctor.model.arrays import IntArray
from lrdoctor.readers.checksum import masked_crc
from lrdoctor.readers.protowire import Data

HEADER_BYTES = 12
FOOTER_BYTES = 4
_BATCH = 1 << 17  # records: keeps the arrays of a batch at some ten megabytes
_REMEMBERED = 1 << 14
_HEADER = struct.Struct("<QI")


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Records in file order: `starts` and `lengths` of their data, both (n,), in bytes."""

    starts: IntArray
    lengths: IntArray


@dataclass(slots=True)
class Frames:
    """Walks from record to record. `trouble` says what ended the walk before the end of the file, at byte `at`."""

    data: Data
    size: int
    at: int = 0
    trouble: str | None = None
    _known: dict[bytes, int] = field(default_factory=dict)

    def batches(self) -> Iterator[Batch]:
        while self.at < self.size and self.trouble is None:
            batch = self._batch()
            if len(batch.starts):
                yield batch

    def _batch(self) -> Batch:
        data, size, known = self.data, self.size, self._known
        starts: list[int] = []
        lengths: list[int] = []
        at = self.at
        while at < size and len(starts) < _BATCH:
            header = data[at : at + HEADER_BYTES]
            length = known.get(header)
            if length is None:
                length = self._length(header)
            stop = at + HEADER_BYTES + length + FOOTER_BYTES
            if length < 0 or stop > size:
                self.trouble = self.trouble or "truncated inside its last record"
                break
            starts.append(at + HEADER_BYTES)
            lengths.append(length)
            at = stop
        self.at = at
        return Batch(np.array(starts, dtype=np.int64), np.array(lengths, dtype=np.int64))

    def _length(self, header: bytes) -> int:
        """The length a header states; -1, and `trouble`, where it is no header."""
        length = length_in(header)
        if length is None:
            cut = len(header) < HEADER_BYTES
            self.trouble = "truncated inside its last record" if cut else "what follows is not an event record"
            return -1
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[header] = length
        return length


def length_in(header: bytes) -> int | None:
    """The length stated by a record's first 12 bytes; None where they do not match their checksum."""
    if len(header) < HEADER_BYTES:
        return None
    length, checksum = _HEADER.unpack_from(header)
    return int(length) if masked_crc(header[:8]) == checksum else None
