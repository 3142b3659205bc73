"""Where a watch shows what it sees: a table that is redrawn, plain lines, or JSON lines."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from lrdoctor.model.diagnosis import Audit
from lrdoctor.report.text import STYLES, render_summary
from lrdoctor.watching.events import Event
from lrdoctor.watching.screen import table
from lrdoctor.watching.watch import Watch

_AROUND = 8  # lines of a terminal that the table leaves for its frame and for what is printed above it
_LINES_A_RUN = 2


class Outlet(Protocol):
    """Entered at the start of a watch and left at its end, however that comes."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        ...

    def show(self, watch: Watch, events: Iterable[Event]) -> None:
        """What a poll gave."""

    def summarise(self, audit: Audit, report: Path | None) -> None:
        """Everything at the end."""


class Lines:
    """A line an event; with `quiet` findings alone."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.console = console
        self._quiet = quiet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def show(self, watch: Watch, events: Iterable[Event]) -> None:
        del watch
        for event in events:
            if event.finding is not None or not self._quiet:
                style = STYLES[event.finding.severity or "info"] if event.finding is not None else ""
                clock = time.strftime("%H:%M:%S", time.localtime(event.time))
                self.console.print(Text.assemble((clock, "dim"), " ", (event.text(), style)), soft_wrap=True)

    def summarise(self, audit: Audit, report: Path | None) -> None:
        render_summary(audit, self.console, report=report)


class Screen(Lines):
    """The lines above a table of all runs that is redrawn in its place."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        super().__init__(console, quiet=quiet)
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, watch: Watch, events: Iterable[Event]) -> None:
        super().show(watch, events)
        rows = (self.console.height - _AROUND) // _LINES_A_RUN
        self._live.update(table(watch.runs, rows), refresh=True)


class JsonLines(Lines):
    """An event a line, and a summary at the end."""

    def show(self, watch: Watch, events: Iterable[Event]) -> None:
        del watch
        for event in events:
            self._print(event.line())

    def summarise(self, audit: Audit, report: Path | None) -> None:
        self._print(json.dumps(summary(audit, report), sort_keys=True))

    def _print(self, line: str) -> None:
        self.console.file.write(f"{line}\n")
        self.console.file.flush()


def summary(audit: Audit, report: Path | None) -> dict[str, Any]:
    """The last JSON line."""
    verdicts = Counter(found.verdict for found in audit.diagnoses)
    graveness = Counter(finding.severity or "info" for found in audit.diagnoses for finding in found.active)
    return {
        "event": "summary",
        "runs": len(audit.diagnoses),
        "verdicts": {verdict: verdicts[verdict] for verdict in ("lr-faulty", "lr-healthy", "lr-unknown")},
        "findings": {severity: graveness[severity] for severity in ("error", "warning", "info")},
        "report": None if report is None else str(report),
    }
