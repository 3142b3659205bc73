"""Keeps an HTML report in step with a watch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from lrdoctor.errors import UsageError
from lrdoctor.model.diagnosis import Audit
from lrdoctor.report.html import write_report
from lrdoctor.report.pages import Page
from lrdoctor.watching.watch import SHARE_OF_TIME, Watch

RETRY_SECONDS = 60.0


class Keeper:
    """Writes into `folder` the pages of the runs that changed, no more often than its share of the time allows.

    With `base` runs are called by their paths below that folder. Where the report could be written once and then cannot
    be (a full disk), `complain` is told and it is tried again; without `complain`, and at first, UsageError is raised.
    """

    def __init__(
        self,
        folder: Path,
        pages: Mapping[str, Page],
        *,
        base: str | None = None,
        complain: Callable[[str], None] | None = None,
    ) -> None:
        self.folder = folder
        self._complain = complain
        self._base = base
        self._pages = pages
        self._written: tuple[str, ...] | None = None  # the runs of the report, by path
        self._changed: set[str] = set()
        self._not_before = 0.0

    def refresh(self, watch: Watch) -> bool:
        """Write what a poll changed; whether there was anything to write, and time for it."""
        self._changed |= watch.judged
        audit = watch.audit()
        if time.monotonic() < self._not_before or (not self._changed and _paths(audit) == self._written):
            return False
        return self._write(audit)

    def finish(self, audit: Audit) -> Path | None:
        """Write the rest; the report's first page, None where no run was found."""
        if self._changed or _paths(audit) != self._written:
            self._write(audit)
        return self.folder / "index.html" if audit.diagnoses else None

    def _write(self, audit: Audit) -> bool:
        begun, paths = time.monotonic(), _paths(audit)
        if not paths and self._written is None:
            return False
        changed = set(map(self._name, self._changed)) if paths == self._written else None  # else links change
        try:
            write_report(self._shown(audit), self.folder, pages=self._pages, changed=changed)
        except UsageError as error:
            if self._complain is None or self._written is None:
                raise
            self._complain(str(error))
            self._not_before = time.monotonic() + RETRY_SECONDS
            return False
        self._written = paths
        self._changed.clear()
        self._not_before = time.monotonic() + (time.monotonic() - begun) / SHARE_OF_TIME
        return True

    def _shown(self, audit: Audit) -> Audit:
        renamed = (replace(one, run=replace(one.run, path=self._name(one.run.path))) for one in audit.diagnoses)
        return replace(audit, diagnoses=tuple(renamed))

    def _name(self, path: str) -> str:
        if self._base is None:
            return path
        below = os.path.relpath(path, self._base)
        return Path(path).resolve().name if below == os.curdir else Path(below).as_posix()


def _paths(audit: Audit) -> tuple[str, ...]:
    return tuple(diagnosis.run.path for diagnosis in audit.diagnoses)
