"""Records on a disk while an audit runs: the memory it takes does not grow with the number of runs."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

from lrdoctor.auditing.record import Record, text_of


class Spool:
    """Records by place in one temporary file, which goes away with the process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="lrdoctor-")  # noqa: SIM115  # lives as long as the spool
        self._where: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._end = 0

    def keep(self, place: int, record: Record) -> None:
        """Keep a record, in place of an earlier one."""
        self._file.seek(self._end)
        self._file.write(record.data)
        self._where[place] = self._end, record.sizes
        self._end += len(record.data)

    def only(self, places: Sequence[int]) -> Spool:
        """The records of some places, which from now on are 0, 1 and so on."""
        self._where = {new: self._where[old] for new, old in enumerate(places)}
        return self

    def text(self, place: int, part: int) -> str:
        """One part of a record's data: `record.ENTRY` and so on."""
        start, sizes = self._where[place]
        self._file.seek(start + sum(sizes[:part]))
        return text_of(self._file.read(sizes[part]))
