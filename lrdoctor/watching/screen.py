"""The watched runs as a table in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.report import numbers
from lrdoctor.report.json import ordered
from lrdoctor.report.lr_curves import lr_curves
from lrdoctor.report.printable import printable
from lrdoctor.report.text import STYLES
from lrdoctor.watching.watch import Watched

CURVE_WIDTH = 24
_SURE = {"lr-faulty": ("LR FAULTY", "bold red"), "lr-healthy": ("ok", "green"), "lr-unknown": ("unknown", "yellow")}
_SO_FAR = {**_SURE, "lr-healthy": ("no fault so far", "green"), "lr-unknown": ("too early to say", "yellow")}
_NONE = ("cannot be read", "yellow")


def table(runs: Sequence[Watched], rows: int) -> Table:
    """At most `rows` runs: those with findings first, then those that are growing."""
    shown = sorted(runs, key=_weight)[: max(rows, 1)]
    made = Table(title=_title(runs), title_justify="left", title_style="bold", expand=True)
    made.add_column("run", ratio=3, no_wrap=True, overflow="ellipsis")
    made.add_column("learning rate", width=CURVE_WIDTH, no_wrap=True)
    made.add_column("steps", justify="right", no_wrap=True)
    made.add_column("state", no_wrap=True)
    made.add_column("verdict", no_wrap=True)
    made.add_column("findings", ratio=2)
    for run in shown:
        made.add_row(*_row(run))
    if len(runs) > len(shown):
        made.caption = f"and {numbers.plural(len(runs) - len(shown), 'more run')}"
    return made


def _title(runs: Sequence[Watched]) -> str:
    growing = sum(run.growing for run in runs)
    faulty = sum(run.diagnosis is not None and run.diagnosis.verdict == "lr-faulty" for run in runs)
    return f"{numbers.plural(len(runs), 'run')}, {growing} growing, {faulty} faulty"


def _weight(run: Watched) -> tuple[bool, bool, str]:
    return not (run.diagnosis is not None and run.diagnosis.active), not run.growing, run.files.path


def _row(run: Watched) -> tuple[Text, ...]:
    state = Text("growing", "cyan") if run.growing else Text("ended", "dim")
    path, found = Text(printable(run.files.path)), run.diagnosis
    if found is None:
        return path, Text(), Text(), state, Text(*_NONE), Text(printable(run.trouble))
    verdict = Text(*(_SO_FAR if run.growing else _SURE)[found.verdict])
    return path, Text(_curve(found)), Text(_steps(found)), state, verdict, _findings(found)


def _curve(diagnosis: Diagnosis) -> str:
    curves = lr_curves(diagnosis, width=CURVE_WIDTH)
    return curves.executed if curves is not None else ""


def _steps(diagnosis: Diagnosis) -> str:
    trajectory = diagnosis.trajectory
    planned = f" of {trajectory.planned_steps:,}" if trajectory.planned_steps else ""
    return f"{trajectory.steps:,}{planned}"


def _findings(diagnosis: Diagnosis) -> Text:
    found = Text()
    for finding in ordered(diagnosis.active):
        found.append(f"{finding.code} {finding.name} ", STYLES[finding.severity or "info"])
    return found
