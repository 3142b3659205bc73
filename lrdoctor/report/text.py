"""The audit in a terminal: a few lines a run, then totals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from lrdoctor.model.diagnosis import Audit, Diagnosis, Skipped
from lrdoctor.model.finding import SEVERITIES, Finding
from lrdoctor.model.trajectory import Choice
from lrdoctor.report import numbers
from lrdoctor.report.dialects import framework_code
from lrdoctor.report.json import ordered
from lrdoctor.report.lr_curves import lr_curves
from lrdoctor.report.printer import Lines, Paper, Printer
from lrdoctor.report.resume_code import resume_state
from lrdoctor.report.tally import Tally
from lrdoctor.report.view_agreement import agreement_rows
from lrdoctor.report.words import (
    count_words,
    counterfactual_words,
    factor_words,
    schedule_words,
    verdict_sentence,
)

VERDICTS = {
    "lr-faulty": ("LR FAULTY", "bold red"),
    "lr-healthy": ("ok", "green"),
    "lr-unknown": ("not enough was logged to say", "yellow"),
}
STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
NOTES_SHOWN = 2
REJECTED_SHOWN = 8
INDENT = 2


def render(
    audit: Audit,
    console: Console,
    *,
    report: Path | None,
    quiet: bool = False,
    verbose: bool = False,
    show_sources: bool = False,
) -> None:
    """Print the audit. `quiet`: runs with findings only; `verbose`: also all notes and skipped paths.

    `show_sources`, which `verbose` implies: also the files of each run, and what was taken for what, and why.
    """
    page = Printer(console)
    for diagnosis in audit.diagnoses:
        print_run(page, told_of(diagnosis), quiet=quiet, verbose=verbose, show_sources=show_sources)
    if not quiet:
        print_totals(page, Tally.of(audit.diagnoses), audit.skipped, report, verbose=verbose)


def render_summary(audit: Audit, console: Console, *, report: Path | None) -> None:
    """The findings of the runs that have any, and the totals."""
    page = Printer(console)
    for diagnosis in audit.diagnoses:
        print_run(page, told_of(diagnosis), quiet=True)
    print_totals(page, Tally.of(audit.diagnoses), audit.skipped, report, verbose=False)


def told_of(diagnosis: Diagnosis) -> dict[str, list[Any]]:
    """What is said of one run, as JSON types: its "findings" alone, the "run", all of it ("verbose"), and how it was
    "read"."""
    papers = {name: Lines() for name in ("findings", "run", "verbose", "read")}
    _findings_only(papers["findings"], diagnosis)
    _run(papers["run"], diagnosis, verbose=False)
    _run(papers["verbose"], diagnosis, verbose=True)
    _reading(papers["read"], diagnosis)
    return {name: paper.lines for name, paper in papers.items()}


def print_run(
    page: Printer, told: dict[str, list[Any]], *, quiet: bool = False, verbose: bool = False, show_sources: bool = False
) -> None:
    """Print what `told_of` gave."""
    if quiet:
        page.lines(told["findings"])
        return
    page.lines(told["verbose" if verbose else "run"])
    if show_sources or verbose:
        page.lines(told["read"])
    page.blank()


def _run(page: Paper, diagnosis: Diagnosis, *, verbose: bool) -> None:
    label, style = VERDICTS[diagnosis.verdict]
    page.line((diagnosis.run.path, "bold"), "  ", (label, style))
    if not diagnosis.active:  # else the findings say the same
        page.line(verdict_sentence(diagnosis), indent=INDENT)
    if diagnosis.verdict == "lr-faulty" or verbose:
        page.line(("schedule: ", "dim"), _schedules(diagnosis), indent=INDENT)
    _curves(page, diagnosis)
    _findings(page, diagnosis, verbose=verbose)
    estimate = counterfactual_words(diagnosis.counterfactual)
    if estimate:
        page.line(estimate, indent=INDENT)
    _notes(page, diagnosis, verbose=verbose)
    if verbose:
        _agreement(page, diagnosis)


def _findings_only(page: Paper, diagnosis: Diagnosis) -> None:
    if diagnosis.active:
        label, style = VERDICTS[diagnosis.verdict]
        page.line((diagnosis.run.path, "bold"), "  ", (label, style))
        _findings(page, diagnosis, verbose=False)


def _schedules(diagnosis: Diagnosis) -> str:
    lead = diagnosis.identification.lead
    if lead is None or not lead.fits:
        return "none: no learning rate was logged"
    unit = diagnosis.trajectory.step_unit
    if len(lead.fits) == 1:
        return schedule_words(lead.fit, unit)
    return "; then ".join(f"from {numbers.count(fit.first_step)}: {schedule_words(fit, unit)}" for fit in lead.fits)


def _curves(page: Paper, diagnosis: Diagnosis) -> None:
    """The executed LR and, below it on the same scale, the LR of the fix."""
    trajectory = diagnosis.trajectory
    curves = lr_curves(diagnosis)
    if trajectory.lead is None or curves is None:
        return
    first, last = numbers.lr(float(trajectory.lead.lr[0])), numbers.lr(float(trajectory.lead.lr[-1]))
    length = count_words(trajectory.steps, trajectory.step_unit)
    told = f"{first} to {last}, peak {numbers.lr(trajectory.peak_lr)}, {length}"
    page.line((curves.executed, "cyan"), f"  {told}", indent=INDENT)
    if curves.fixed:
        page.line((curves.fixed, "green"), "  with the fix", indent=INDENT)
    factor = factor_words(diagnosis)
    if factor:
        page.line(factor, indent=INDENT)


def _findings(page: Paper, diagnosis: Diagnosis, *, verbose: bool) -> None:
    for finding in ordered(diagnosis.findings if verbose else diagnosis.active):
        _finding(page, finding)
        if verbose:
            _code(page, finding, diagnosis)


def _finding(page: Paper, finding: Finding) -> None:
    severity = finding.severity or "info"
    explained = f" (explained by {finding.suppressed_by})" if finding.suppressed_by else ""
    head = (f"{finding.code} {finding.name} {severity}", STYLES[severity])
    page.line(head, f"{explained}: {finding.message}", indent=INDENT)
    if finding.remedy is not None and finding.remedy.summary:
        page.line(("fix: ", "green"), finding.remedy.summary, indent=2 * INDENT)


def _code(page: Paper, finding: Finding, diagnosis: Diagnosis) -> None:
    """The fix in the words of the run's framework, and what to load where a resume was broken."""
    words = framework_code(finding.remedy, diagnosis) if finding.remedy is not None else None
    state = resume_state(finding, diagnosis)
    blocks = [("in the words of " + words.label, words.code)] if words is not None else []
    blocks += [("the state to load", state.code())] if state is not None else []
    for title, code in blocks:
        page.line((f"{title}:", "green"), indent=2 * INDENT)
        for line in code.split("\n"):
            deep = len(line) - len(line.lstrip())
            page.line(line.lstrip(), indent=3 * INDENT + deep)


def _notes(page: Paper, diagnosis: Diagnosis, *, verbose: bool) -> None:
    notes = list(_note_lines(diagnosis))
    kept = notes if verbose else notes[:NOTES_SHOWN]
    for note in kept:
        page.line(("note: ", "dim"), note, indent=INDENT)
    if len(notes) > len(kept):
        page.line((f"{numbers.plural(len(notes) - len(kept), 'more note')} (--verbose)", "dim"), indent=INDENT)


def _note_lines(diagnosis: Diagnosis) -> Iterator[str]:
    of_sources = [note for source in diagnosis.run.sources for note in source.notes]
    of_checkpoints = [note for checkpoint in diagnosis.run.checkpoints for note in checkpoint.notes]
    for note in dict.fromkeys([*of_sources, *of_checkpoints]):
        yield f"{Path(note.path).name}: {note}"


def _agreement(page: Paper, diagnosis: Diagnosis) -> None:
    """What settings, checkpoints and log say in different ways."""
    for row in agreement_rows(diagnosis):
        cells = (("declared", row.declared), ("checkpoint", row.checkpoint), ("executed", row.executed))
        told = [f"{name} {cell.text} ({cell.source})" for name, cell in cells if cell.source]
        page.line(("sources disagree: ", "yellow"), f"{row.what}: {', '.join(told)}", indent=INDENT)


def _reading(page: Paper, diagnosis: Diagnosis) -> None:
    for source in diagnosis.run.sources:
        page.line(("read: ", "dim"), f"{source.path} ({source.kind}, {source.points:,} scalars)", indent=INDENT)
    for checkpoint in diagnosis.run.checkpoints:
        page.line(("read: ", "dim"), f"{checkpoint.path} ({checkpoint.kind})", indent=INDENT)
    for choice in diagnosis.trajectory.choices:
        page.line(("chose: ", "dim"), f"{choice.what}: {choice.chosen} ({choice.why}){_not(choice)}", indent=INDENT)


def _not(choice: Choice) -> str:
    """What else it could have been."""
    if not choice.rejected:
        return ""
    more = len(choice.rejected) - REJECTED_SHOWN
    shown = ", ".join(choice.rejected[:REJECTED_SHOWN])
    return f"; not {shown}{f' and {more:,} more' if more > 0 else ''}"


def print_totals(
    page: Printer, tally: Tally, skipped: Sequence[Skipped], report: Path | None, *, verbose: bool
) -> None:
    """Runs by verdict, findings by severity, what was skipped or left out, and where the report is."""
    page.line((_verdict_counts(tally), "bold"), _finding_counts(tally))
    if skipped:
        hint = "" if verbose else " (--verbose lists them)"
        page.line(f"{numbers.plural(len(skipped), 'path')} looked at and not audited{hint}")
    for one in skipped if verbose else ():
        page.line(f"{one.path}: {one.reason}", indent=INDENT)
    for left_out in tally.left_out:
        page.line(("left out: ", "yellow"), left_out)
    if report is not None:
        page.line("report: ", (str(report), "underline"))


def _verdict_counts(tally: Tally) -> str:
    verdicts = tally.verdicts
    return (
        f"{numbers.plural(tally.runs, 'run')}: {verdicts['lr-faulty']} faulty, "
        f"{verdicts['lr-healthy']} healthy, {verdicts['lr-unknown']} unknown"
    )


def _finding_counts(tally: Tally) -> str:
    counts = tally.severities
    nouns = {"error": "errors", "warning": "warnings", "info": "info"}
    told = [numbers.plural(counts[severity], severity, nouns[severity]) for severity in SEVERITIES if counts[severity]]
    return f" ({', '.join(told)})" if told else ""
