"""Reads and judges a log folder beside the server, so that no request has to wait for it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from lrdoctor.engine import pages_of
from lrdoctor.errors import LrdoctorError
from lrdoctor.model.diagnosis import Audit
from lrdoctor.watching.keeper import Keeper
from lrdoctor.watching.watch import Watch

INTERVAL = 5.0
FORGOTTEN_AFTER = 60.0
"""Seconds without a question after which nobody is looking, and nothing is read until the next one."""


class Background:
    """A watch of `paths` in a thread that starts with the first question, and a report in a temporary `folder`."""

    def __init__(self, paths: Sequence[str], *, interval: float = INTERVAL) -> None:
        self._paths = tuple(paths)
        self._interval = interval
        self._place = tempfile.TemporaryDirectory(prefix="lrdoctor-", ignore_cleanup_errors=True)
        self._lock = Lock()
        self._asked = Event()
        self._asked_at = 0.0
        self._thread: Thread | None = None
        self._status: dict[str, Any] = {"state": "reading", "version": 0}
        self._audit: Audit | None = None

    @property
    def folder(self) -> Path:
        return Path(self._place.name)

    def status(self) -> dict[str, Any]:
        """`state` is "reading" (for the first time), "ready", "empty" (no run there) or "failed", with a `message`.

        `version` grows with every change of the report; `runs`, `growing` and `faulty` count runs.
        """
        self._ask()
        return dict(self._status)

    def audit(self) -> Audit | None:
        """Everything as it stands; None before the first look is over."""
        self._ask()
        return self._audit

    def _ask(self) -> None:
        with self._lock:
            self._asked_at = time.monotonic()
            self._asked.set()
            if self._thread is None:
                self._thread = Thread(target=self._work, name="lrdoctor-tab", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        watch: Watch | None = None
        keeper: Keeper | None = None
        while True:
            self._asked.wait()
            try:
                if watch is None or keeper is None:
                    watch = Watch(self._paths)
                    base = self._paths[0] if len(self._paths) == 1 else None
                    keeper = Keeper(self.folder, pages_of(watch.rules), base=base)
                self._look(watch, keeper)
            except Exception as error:  # told in the tab; the next look may fare better
                what = str(error) if isinstance(error, LrdoctorError) else f"{type(error).__name__}: {error}"
                self._status = {"state": "failed", "version": self._status["version"], "message": what}
            time.sleep(self._interval)
            if time.monotonic() - self._asked_at > FORGOTTEN_AFTER:
                self._asked.clear()

    def _look(self, watch: Watch, keeper: Keeper) -> None:
        watch.poll()
        written = keeper.refresh(watch)
        self._audit = audit = watch.audit()
        verdicts = [found.verdict for found in audit.diagnoses]
        self._status = {
            "state": "ready" if verdicts else "empty",
            "version": self._status["version"] + written,
            "runs": len(verdicts),
            "growing": sum(run.growing for run in watch.runs),
            "faulty": verdicts.count("lr-faulty"),
        }
