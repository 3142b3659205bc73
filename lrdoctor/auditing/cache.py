"""Records of earlier audits in an SQLite file, by the content they were made from.

Two audits may use one file at once: every write is one statement, and SQLite makes one wait for the other. The file is
data: JSON and bytes, checked against their digest, of which nothing is executed. One that is damaged is told, removed
and begun anew; one that cannot be used at all is told, and the audit goes on without it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrdoctor.resources import user_dir

VARIABLE = "LRDOCTOR_CACHE"
OFF = "off"
LIMIT = 2 << 30  # bytes of records; beyond them those not used for longest go
_KEEP = 0.75  # of the limit, when some have to go
_PATIENCE = 20.0  # seconds one audit waits for another one's write
_DAY = 86_400
_FILE = "audits-2.sqlite"  # the number changes with the tables
_TABLES = """
CREATE TABLE IF NOT EXISTS runs (key TEXT PRIMARY KEY, mark BLOB NOT NULL, summary TEXT NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS uses (key TEXT PRIMARY KEY, used INTEGER NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (
  kind TEXT, path TEXT, mark BLOB NOT NULL, told TEXT NOT NULL, PRIMARY KEY (kind, path)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept of one run: a summary as JSON, and the data of its record, empty where it has none."""

    summary: str
    data: bytes = b""

    @property
    def mark(self) -> bytes:
        total = hashlib.sha256(self.summary.encode())
        total.update(b"\0")
        total.update(self.data)
        return total.digest()

    @property
    def size(self) -> int:
        return len(self.summary) + len(self.data)


def cache_file(folder: Path | None = None) -> Path | None:
    """In `folder`, else in the one LRDOCTOR_CACHE names ("off": None), else in the platform's for caches.

    None also where the platform has none: no home folder.
    """
    chosen = os.environ.get(VARIABLE)
    if folder is not None:
        return folder / _FILE
    if chosen:
        return None if chosen == OFF else Path(chosen) / _FILE
    try:
        return user_dir("cache") / _FILE
    except RuntimeError:
        return None


class Cache:
    """The records in `file`. `tell` is given a sentence when something is wrong with it."""

    def __init__(self, file: Path, tell: Callable[[str], None]) -> None:
        self.file = file
        self._tell = tell
        self._used: list[str] = []
        self._today = int(time.time()) // _DAY
        self._base: sqlite3.Connection | None = None
        self._open()

    def find(self, key: str) -> Entry | None:
        """The entry of that key, None where there is none or it is damaged."""
        row = self._row("SELECT mark, summary, data FROM runs WHERE key = ?", key)
        if row is None:
            return None
        entry = Entry(*row[1:])
        if entry.mark != row[0]:
            self._tell(f"An entry of the cache is damaged and was left out ({self.file}).")
            return None
        self._used.append(key)
        return entry

    def keep(self, key: str, entry: Entry) -> None:
        """Keep an entry in place of an earlier one of that key."""
        self._row("INSERT OR REPLACE INTO uses VALUES (?, ?, ?)", key, self._today, entry.size)
        self._row("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", key, entry.mark, entry.summary, entry.data)

    def noted(self, kind: str, path: str) -> tuple[bytes, str] | None:
        """The mark and the text of a note."""
        row = self._row("SELECT mark, told FROM notes WHERE kind = ? AND path = ?", kind, _text(path))
        return None if row is None else (row[0], str(row[1]))

    def note(self, kind: str, path: str, mark: bytes, told: str) -> None:
        self._row("INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?)", kind, _text(path), mark, told)

    def counts(self) -> tuple[int, int]:
        """How many runs are kept, and the bytes of the file."""
        row = self._row("SELECT count(*) FROM runs")
        return (0 if row is None else int(row[0])), _bytes_of(self.file)

    def close(self) -> None:
        """Note what was used, drop what is too much, and close the file."""
        self._guarded(self._note_used)
        self._guarded(self._drop)
        self._shut()

    def _note_used(self, base: sqlite3.Connection) -> None:
        used = [(self._today, key, self._today) for key in self._used]
        base.execute("BEGIN IMMEDIATE")
        base.executemany("UPDATE uses SET used = ? WHERE key = ? AND used < ?", used)
        base.execute("COMMIT")

    def _drop(self, base: sqlite3.Connection) -> None:
        """What was not used for longest, and all notes: they cost little to be made again."""
        total = base.execute("SELECT coalesce(sum(size), 0) FROM uses").fetchone()[0]
        if total <= LIMIT:
            return
        base.execute("DELETE FROM notes")
        for key, size in base.execute("SELECT key, size FROM uses ORDER BY used, key").fetchall():
            base.execute("DELETE FROM runs WHERE key = ?", (key,))
            base.execute("DELETE FROM uses WHERE key = ?", (key,))
            total -= size
            if total <= _KEEP * LIMIT:
                break

    def _open(self) -> None:
        try:
            self._connect()
        except sqlite3.OperationalError as error:
            self._give_up(str(error))
        except sqlite3.DatabaseError as error:
            self._begin_anew(str(error))
        except OSError as error:
            self._give_up(error.strerror or str(error))

    def _connect(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._base = sqlite3.connect(self.file, timeout=_PATIENCE, isolation_level=None)
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = NORMAL")
        self._base.executescript(_TABLES)

    def _row(self, statement: str, *values: object) -> Any:
        """The first row a statement gives, None where it gives none or the file cannot be used."""
        return self._guarded(lambda base: base.execute(statement, values).fetchone())

    def _guarded(self, do: Callable[[sqlite3.Connection], Any]) -> Any:
        """What is wrong with the file costs what was asked for, and never the audit."""
        if self._base is None:
            return None
        try:
            return do(self._base)
        except sqlite3.OperationalError as error:
            self._give_up(str(error))
        except sqlite3.Error as error:
            self._begin_anew(str(error))
        return None

    def _begin_anew(self, why: str) -> None:
        self._tell(f"The cache is damaged and is begun anew ({self.file}: {why}).")
        self._shut()
        try:
            remove(self.file)
            self._connect()
        except (sqlite3.Error, OSError) as error:
            self._give_up(str(error))

    def _give_up(self, why: str) -> None:
        self._tell(f"The cache cannot be used and is left out ({self.file}: {why}).")
        self._shut()

    def _shut(self) -> None:
        if self._base is not None:
            self._base.close()
            self._base = None


def remove(file: Path) -> None:
    """Remove the file and what SQLite keeps beside it."""
    for path in _parts(file):
        path.unlink(missing_ok=True)


def _bytes_of(file: Path) -> int:
    return sum(path.stat().st_size for path in _parts(file) if path.exists())


def _parts(file: Path) -> tuple[Path, ...]:
    return file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")


def _text(path: str) -> str:
    """A path as SQLite takes it: bytes that are no text are spelt out."""
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")
