"""The results of an audit as one table to query, in a Parquet or an SQLite file: a row a finding.

A run without a finding is one row whose `code` is null, so that no run is missing. In SQLite the table is `findings`,
and what was not audited is in `skipped`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lrdoctor.errors import MissingExtraError
from lrdoctor.model.diagnosis import Skipped
from lrdoctor.report.files import replacing

SUFFIXES = (".parquet", ".sqlite", ".sqlite3", ".db")
_AT_ONCE = 1000  # rows
_SQL = {"text": "TEXT", "integer": "INTEGER", "number": "REAL", "truth": "INTEGER"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: where its value is in a run's entry (or, of a finding's columns, in the finding) and what it means."""

    name: str
    kind: Literal["text", "integer", "number", "truth"]
    path: str
    meaning: str


RUN_COLUMNS = (
    Column("run", "text", "path", "the run's path, as in the JSON"),
    Column("framework", "text", "framework", "null where it is not known"),
    Column("verdict", "text", "verdict", "lr-faulty, lr-healthy or lr-unknown"),
    Column("summary", "text", "summary", "the verdict in one sentence"),
    Column("steps", "integer", "steps", "trained, in step_unit"),
    Column("step_unit", "text", "step_unit", "update wherever that can be told"),
    Column("steps_per_epoch", "number", "steps_per_epoch", "null where it is not known"),
    Column("epochs", "number", "epochs", "trained"),
    Column("batch_size", "integer", "batch_size", "examples an update"),
    Column("complete", "truth", "complete", "whether the run finished; null where nothing says"),
    Column("schedule", "text", "schedule.family", "family of the first parameter group's schedule"),
    Column("stepped", "text", "schedule.stepped", "update, epoch or micro-batch"),
    Column("peak_lr", "number", "schedule.peak_lr", "of that schedule"),
    Column("final_lr", "number", "schedule.final_lr", "at the last step of the run"),
    Column("horizon_steps", "number", "schedule.horizon_steps", "the planned length"),
    Column("fit_error", "number", "schedule.fit_error", "largest distance from the log, as a part of the peak"),
    Column("counterfactual", "text", "counterfactual.status", "estimated, refused or not-needed"),
    Column("observed_final_loss", "number", "counterfactual.observed_final_loss", "as logged"),
    Column("estimated_final_loss", "number", "counterfactual.estimated_final_loss", "with the fix"),
    Column("gain", "number", "counterfactual.gain", "observed less estimated final loss"),
)
FINDING_COLUMNS = (
    Column("code", "text", "code", "null: the run has no finding"),
    Column("name", "text", "name", "the rule's name"),
    Column("severity", "text", "severity", "error, warning or info"),
    Column("message", "text", "message", "what was measured, expected, and follows"),
    Column("param_group", "text", "param_group", "null: it is about the run"),
    Column("first_step", "number", "first_step", "of the finding, in step_unit"),
    Column("last_step", "number", "last_step", "inclusive"),
    Column("suppressed_by", "text", "suppressed_by", "code of the finding that explains this one; null: it counts"),
    Column("fix", "text", "fix.summary", "what to do"),
    Column("fix_code", "text", "fix.torch_code", "the same as PyTorch code"),
    Column("evidence", "text", "evidence", "the numbers behind it, as a JSON object"),
)
COLUMNS = (*RUN_COLUMNS, *FINDING_COLUMNS)


def is_table(file: Path) -> bool:
    """Whether a file of this name is written as a table."""
    return file.suffix.lower() in SUFFIXES


def write_table(file: Path, entries: Iterable[Mapping[str, Any]], skipped: Iterable[Skipped]) -> None:
    """Write the runs' entries of the JSON document as a table; the name's suffix says in which format.

    The file is replaced in one step. UsageError where it cannot be written, MissingExtraError for Parquet without
    pyarrow.
    """
    if file.suffix.lower() == ".parquet":
        replacing(file, lambda target: _write_parquet(target, rows(entries)))
    else:
        replacing(file, lambda target: _write_sqlite(target, rows(entries), skipped))


def rows(entries: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """The rows, in the order of COLUMNS: runs as they come, their findings as in the JSON."""
    for entry in entries:
        groups = entry["param_groups"]
        run = {**entry, "schedule": groups[0]["schedule"] if groups else None}
        head = tuple(_value(run, column) for column in RUN_COLUMNS)
        for finding in entry["findings"] or [{}]:
            yield (*head, *(_value(finding, column) for column in FINDING_COLUMNS))


def _value(tree: Any, column: Column) -> Any:
    for key in column.path.split("."):
        tree = None if tree is None else tree.get(key)
    if isinstance(tree, Mapping):
        return json.dumps(tree, sort_keys=True)
    if tree is None or column.kind in ("integer", "truth"):
        return tree
    return float(tree) if column.kind == "number" else _clean(str(tree))


def _clean(text: str) -> str:
    """Text that UTF-8 can hold: a path may have bytes that are none."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _write_sqlite(file: Path, found: Iterable[tuple[Any, ...]], skipped: Iterable[Skipped]) -> None:
    import sqlite3

    columns = ", ".join(f"{column.name} {_SQL[column.kind]}" for column in COLUMNS)
    marks = ", ".join("?" * len(COLUMNS))
    with closing(sqlite3.connect(file)) as base, base:
        base.execute(f"CREATE TABLE findings ({columns})")
        base.executemany(f"INSERT INTO findings VALUES ({marks})", found)
        base.execute("CREATE TABLE skipped (path TEXT, reason TEXT)")
        told = ((_clean(one.path), _clean(one.reason)) for one in skipped)
        base.executemany("INSERT INTO skipped VALUES (?, ?)", told)


def check_table(file: Path) -> None:
    """MissingExtraError where what would write this table is absent."""
    if file.suffix.lower() == ".parquet":
        _pyarrow()


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            "Writing Parquet needs pyarrow, which is not installed.",
            why=str(error),
            hint="pip install 'lrdoctor[parquet]', or write results.sqlite",
        ) from error
    return pyarrow


def _write_parquet(file: Path, found: Iterator[tuple[Any, ...]]) -> None:
    pyarrow = _pyarrow()
    types = {"text": "string", "integer": "int64", "number": "float64", "truth": "bool"}
    schema = pyarrow.schema([(column.name, types[column.kind]) for column in COLUMNS])
    with pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for some in iter(lambda: list(itertools.islice(found, _AT_ONCE)), []):
            values = zip(*some, strict=True)
            arrays = [pyarrow.array(list(one), field.type) for one, field in zip(values, schema, strict=True)]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))
