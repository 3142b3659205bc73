"""The roles of a folder's files: looked at, or where a file is as an earlier audit saw it, as that one noted them."""

from __future__ import annotations

import os
from typing import Any

from lrdoctor.readers import mlflow_store
from lrdoctor.readers.file_role import OTHER, FileRole, is_promising, role_of
from lrdoctor.readers.noted import Notes, is_settled, state_of
from lrdoctor.readers.storage import is_remote

_KIND = "roles"
_RECOGNISED = frozenset({"log", "checkpoint", "side"})


class Roles:
    """The files of one folder. What is of no use is looked at each time: it may only have been out of reach."""

    def __init__(self, folder: str, notes: Notes | None) -> None:
        self._notes = None if is_remote(folder) else notes
        self._folder = os.path.abspath(folder)
        self._before: dict[str, list[Any]] = {}
        self._now: dict[str, list[Any]] = {}
        if self._notes is not None:
            self._before = self._notes.noted(_KIND, self._folder) or {}

    def of(self, path: str) -> FileRole:
        """As `role_of`; `path` is a file in this folder."""
        if not is_promising(path):
            return OTHER
        if self._notes is None:
            return role_of(path)
        try:
            status = os.stat(path)
        except OSError:
            return role_of(path)
        name, state = path.rsplit("/", 1)[-1], state_of(status)
        told = self._before.get(name)
        if told is None or told[0] != state:
            found = role_of(path)
            if found.runs is None or not _lasts(found) or not is_settled(status):
                return found
            told = [state, found.role, found.kind, found.runs]
        self._now[name] = told
        return FileRole(told[1], told[2], runs=tuple(told[3]))

    def keep(self) -> None:
        """Note what was found, for the next audit."""
        if self._notes is not None and self._now != self._before:
            self._notes.note(_KIND, self._folder, self._now)


def _lasts(found: FileRole) -> bool:
    """Whether it says the same again as long as the file stays as it is: SQLite writes first into a file beside it."""
    return found.role in _RECOGNISED and found.kind != mlflow_store.KIND
