"""Which reader understands a log, by its name and its first bytes, and which runs lie side by side in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, cast

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Hint, Note, Series
from lrdoctor.readers import (
    csv_log,
    json_log,
    mlflow_files,
    mlflow_store,
    parquet_table,
    tensorboard,
    text_log,
    trainer_state,
    wandb_log,
)
from lrdoctor.readers.parts import split
from lrdoctor.readers.storage import head_of, is_dir

HEAD_BYTES = 1 << 16  # a table's header and a JSON log's first line can be long


class Reader(Protocol):
    """What every log reader module offers. `sniff` never raises, `read` only `ReadError`: where nothing is usable."""

    @property
    def KIND(self) -> str: ...  # noqa: N802

    def sniff(self, path: str, head: bytes) -> bool: ...

    def read(self, path: str) -> Iterator[Series | Note | Hint]: ...


# The first match counts: from formats with a signature or a fixed name to those known by their words alone.
READERS: tuple[Reader, ...] = tuple(
    cast(Reader, module)
    for module in (tensorboard, wandb_log, mlflow_store, parquet_table, trainer_state, json_log, csv_log, text_log)
)


def reader_for(path: str) -> Reader | None:
    """The reader of a log file, or None where no reader recognises it. `OSError` where it cannot be opened."""
    file, _ = split(path)
    if mlflow_files.is_run_path(file) and is_dir(file):
        return cast(Reader, mlflow_files)
    head = head_of(file, HEAD_BYTES)
    return next((reader for reader in READERS if reader.sniff(file, head)), None)


def runs_in(path: str, kind: str) -> tuple[str, ...] | None:
    """The names of the runs in one log file of this kind, where it can hold several; else empty.

    None where it cannot be read. Never raises.
    """
    several = _SEVERAL.get(kind)
    try:
        return tuple(several(path)) if several is not None else ()
    except (ReadError, OSError):
        return None


_SEVERAL: dict[str, Callable[[str], list[str]]] = {
    csv_log.KIND: csv_log.runs_in,
    mlflow_store.KIND: mlflow_store.runs_in,
    parquet_table.KIND: parquet_table.runs_in,
}
