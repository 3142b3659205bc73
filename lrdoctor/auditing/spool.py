"""Records on a disk while an audit runs: the memory it takes does not grow with the number of runs."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

from lrdoctor.auditing.record import Record


class Spool:
    """Records by place in one temporary file, which goes away with the process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="lrdoctor-")  # noqa: SIM115  # lives as long as the spool
        self._where: dict[int, tuple[int, int, int]] = {}
        self._end = 0

    def keep(self, place: int, record: Record) -> None:
        """Keep a record, in place of an earlier one."""
        self._file.seek(self._end)
        self._file.write(record.data)
        self._file.write(record.page)
        self._where[place] = (self._end, len(record.data), len(record.page))
        self._end += len(record.data) + len(record.page)

    def only(self, places: Sequence[int]) -> Spool:
        """The records of some places, which from now on are 0, 1 and so on."""
        self._where = {new: self._where[old] for new, old in enumerate(places)}
        return self

    def data(self, place: int) -> bytes:
        start, length, _ = self._where[place]
        return self._read(start, length)

    def page(self, place: int) -> bytes:
        start, before, length = self._where[place]
        return self._read(start + before, length)

    def _read(self, start: int, length: int) -> bytes:
        self._file.seek(start)
        return self._file.read(length)
