"""The check in a terminal: each finding with the line it is about, then totals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lrdoctor.model.checked import Checked, CheckedConfig
from lrdoctor.model.finding import Finding
from lrdoctor.model.place import Place
from lrdoctor.report.checked.words import headline, open_questions, plan_words
from lrdoctor.report.place import shown
from lrdoctor.report.printer import Printer
from lrdoctor.report.text import STYLES

MAX_LINE = 160
"""Longer lines of a config are cut in snippets."""


def render(
    checked: Checked, console: Console, *, report: Path | None = None, quiet: bool = False, verbose: bool = False
) -> None:
    """Print the check. `quiet`: findings only; `verbose`: also assumptions and suppressed findings."""
    page = Printer(console)
    for one in checked.configs:
        findings = one.findings if verbose else one.active
        for finding in findings:
            _finding(page, one, finding)
        if not quiet:
            _summary(page, one, verbose=verbose)
    if not quiet:
        _rest(page, checked, report)


def _rest(page: Printer, checked: Checked, report: Path | None) -> None:
    for remark in checked.remarks:
        where = f"{_where(remark.place)}: " if remark.place is not None else ""
        page.line((f"{where}note: ", "dim"), remark.text)
    for item in checked.skipped:
        page.line((f"{shown(item.path)}: ", "bold"), f"not checked: {item.reason}")
    page.line(headline(checked))
    if report is not None:
        page.line(f"report: {report}")


def _finding(page: Printer, one: CheckedConfig, finding: Finding) -> None:
    severity = finding.severity or "info"
    aside = f" (set aside by {finding.suppressed_by})" if finding.suppressed_by else ""
    place = finding.place or Place(one.path)
    head = (f"{finding.code} {finding.name} {severity}", STYLES[severity])
    page.line((f"{_where(place)}: ", "bold"), head, f"{aside}: {finding.message}")
    if place.path == one.path:
        _snippet(page, one.lines, place)
    if finding.remedy is not None and finding.remedy.summary:
        page.line(("help: ", "green"), finding.remedy.summary, indent=2)
    page.blank()


def _snippet(page: Printer, lines: Sequence[str], place: Place) -> None:
    """The first line of the place with carets below it."""
    if not 0 < place.line <= len(lines):
        return
    line = lines[place.line - 1][:MAX_LINE]
    end = place.end_column if place.end_line == place.line else len(line) + 1
    width = max(1, min(end, len(line) + 1) - place.column)
    margin = len(str(place.line))
    if place.column > MAX_LINE:
        return
    page.line((f"{place.line} | ", "dim"), line.replace("\t", " "), indent=2)
    page.line((f"{' ' * margin} | ", "dim"), " " * (place.column - 1), ("^" * width, "bold"), indent=2)


def _summary(page: Printer, one: CheckedConfig, *, verbose: bool) -> None:
    for problem in one.left_out:
        page.line((f"{shown(one.path)}: ", "bold"), ("left out: ", "yellow"), problem)
    if one.plan is None:
        return
    question = open_questions(one)
    page.line((shown(one.path), "bold"), "  ", plan_words(one.plan), ("" if one.active else "  ok", "green"))
    if question:
        page.line((question, "dim"), indent=2)
    if one.plan.unmade:
        page.line((f"no schedule was computed: {one.plan.unmade}", "dim"), indent=2)
    if verbose:
        for name, value in one.plan.assumptions:
            page.line((f"{name}: ", "dim"), value, indent=2)


def _where(place: Place) -> str:
    return f"{shown(place.path)}:{place.line}:{place.column}"
