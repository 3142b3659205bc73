"""MLflow's SQLite store (mlflow.db) -> the runs in it, and of each a series per metric and its parameters as hints.

Read without MLflow and without its ORM: the tables `runs`, `metrics` and `params` have kept their columns since MLflow
1.0 (mlflow/store/tracking/dbmodels/models.py). The file is opened read-only, views and virtual tables are refused, and
a query that does not come to an end is stopped.
"""

from __future__ import annotations

import math
import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits
from lrdoctor.model.arrays import floats, ints
from lrdoctor.model.run import Hint, Note, Series
from lrdoctor.readers.inert_yaml import resolved
from lrdoctor.readers.parts import split
from lrdoctor.readers.setting_names import hints_from
from lrdoctor.readers.storage import local_copy

KIND = "mlflow-store"
_MAGIC = b"SQLite format 3\0"
_TABLES = frozenset({"runs", "metrics", "params"})
_LARGEST = 1.7976931348623157e308  # MLflow stores infinity as the largest float
_MAX_STEPS = 5_000_000_000  # of SQLite's machine: minutes; a metric's point takes about 20
_STEPS_A_CALL = 1_000_000
_MAX_RUNS = 10_000


def sniff(path: str, head: bytes) -> bool:
    """A database with MLflow's tables."""
    if not head.startswith(_MAGIC):
        return False
    try:
        with _opened(path):
            return True
    except (ReadError, OSError):
        return False


def runs_in(path: str) -> list[str]:
    """The ids of the runs that have a curve, in the order they were started; deleted ones are left out."""
    with _opened(path) as store:
        found = _rows(
            store,
            path,
            "SELECT run_uuid FROM runs WHERE lifecycle_stage IS NOT 'deleted' AND run_uuid IN"
            " (SELECT run_uuid FROM metrics GROUP BY run_uuid, key HAVING COUNT(*) > 1)"
            " ORDER BY start_time, run_uuid LIMIT ?",
            _MAX_RUNS,
        )
        return [run for (run,) in found if isinstance(run, str)]


def read(path: str) -> Iterator[Series | Note | Hint]:
    """A series per metric of the run that `path` names behind a "#"; without one, of the first run."""
    file, run = split(path)
    run = run or next(iter(runs_in(file)), None)
    if run is None:
        raise ReadError("The MLflow store holds no curve.", where=path, why="no run logged a metric more than once")
    with _opened(file) as store:
        metrics: dict[str, _Points] = {}
        query = "SELECT rowid, key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY rowid"
        for at, key, value, time, step, is_nan in _rows(store, path, query, run):
            if isinstance(key, str) and (key in metrics or len(metrics) < limits().tags):
                metrics.setdefault(key, _Points()).take(at, math.nan if is_nan else value, time, step)
        params = {str(key): value for key, value in _rows(store, path, _PARAMS, run)}
    if not metrics:
        raise ReadError("The MLflow store does not hold this run.", where=path, why="it has no metric of that run")
    for tag, points in metrics.items():
        yield points.series(path, tag)
    yield from hints_from({key: resolved(value) for key, value in params.items() if isinstance(value, str)}, path)


_PARAMS = "SELECT key, value FROM params WHERE run_uuid = ?"
_Row = tuple[object, ...]


@contextmanager
def _opened(path: str) -> Iterator[sqlite3.Connection]:
    """The store, if it is one. `ReadError` for any other database."""
    with local_copy(path) as file, closing(_connected(file, path)) as store:
        calls = iter(range(_MAX_STEPS // _STEPS_A_CALL))
        store.set_progress_handler(lambda: next(calls, None) is None, _STEPS_A_CALL)
        tables = {
            name
            for name, made in _rows(store, path, "SELECT name, sql FROM sqlite_master WHERE type = 'table'")
            if isinstance(made, str) and not made.upper().lstrip().startswith("CREATE VIRTUAL")
        }
        if not tables >= _TABLES:
            raise ReadError("This database is not MLflow's.", where=path, why="it lacks the tables runs and metrics")
        yield store


def _connected(file: Path, path: str) -> sqlite3.Connection:
    """Read-only; where even a lock cannot be written (a read-only folder), as a file that does not change."""
    address = f"file:{quote(str(file.resolve()))}?mode=ro"
    for wanted in (address, f"{address}&immutable=1"):
        try:
            store = sqlite3.connect(wanted, uri=True)
            store.execute("PRAGMA trusted_schema = OFF")
            store.execute("SELECT name FROM sqlite_master LIMIT 1").fetchone()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # even SQLite's message may quote what is no text
            failed = error
        else:
            return store
    raise ReadError("The database cannot be opened.", where=path, why=str(failed)) from failed


def _rows(store: sqlite3.Connection, path: str, query: str, *values: object) -> Iterator[_Row]:
    """The rows of a query; `ReadError` where the file is damaged or the query too long."""
    try:
        yield from store.execute(query, values)
    except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:
        raise ReadError("The database is damaged.", where=path, why=str(error)) from error


@dataclass(slots=True)
class _Points:
    """The points of one metric, in the order they were stored."""

    times: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))
    steps: array[float] = field(default_factory=lambda: array("d"))
    origins: array[int] = field(default_factory=lambda: array("q"))

    def take(self, at: object, value: object, time: object, step: object) -> None:
        if not isinstance(value, int | float) or not isinstance(at, int):
            return
        self.values.append(math.copysign(math.inf, value) if abs(value) >= _LARGEST else float(value))
        self.times.append(time / 1000 if isinstance(time, int | float) else math.nan)
        self.steps.append(float(step) if isinstance(step, int | float) else math.nan)
        self.origins.append(at)

    def series(self, path: str, tag: str) -> Series:
        axes = {"step": floats(self.steps)}
        return Series(path, tag, floats(self.values), axes, ints(self.origins), KIND, "row", floats(self.times))
