"""Which reader understands a log, by its name and its first bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, cast

from lrdoctor.model.run import Hint, Note, Series
from lrdoctor.readers import csv_log, json_log, tensorboard, text_log, trainer_state, wandb_log
from lrdoctor.readers.storage import head_of

HEAD_BYTES = 1 << 16  # a table's header and a JSON log's first line can be long


class Reader(Protocol):
    """What every log reader module offers. `sniff` never raises, `read` only `ReadError`: where nothing is usable."""

    @property
    def KIND(self) -> str: ...  # noqa: N802

    def sniff(self, path: str, head: bytes) -> bool: ...

    def read(self, path: str) -> Iterator[Series | Note | Hint]: ...


# The first match counts: from formats with a signature or a fixed name to those known by their words alone.
READERS: tuple[Reader, ...] = tuple(
    cast(Reader, module) for module in (tensorboard, wandb_log, trainer_state, json_log, csv_log, text_log)
)


def reader_for(path: str) -> Reader | None:
    """The reader of a log file, or None where no reader recognises it. `OSError` where it cannot be opened."""
    head = head_of(path, HEAD_BYTES)
    return next((reader for reader in READERS if reader.sniff(path, head)), None)
