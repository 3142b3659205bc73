"""A finding as a card: what was measured, what was expected, what follows, why it is bad, how to fix it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.model.finding import Finding, Remedy, Severity
from lrdoctor.report import numbers as fmt
from lrdoctor.report.chart_marks import span_text
from lrdoctor.report.clean import code_text
from lrdoctor.report.describe import describe
from lrdoctor.report.dialects import FrameworkCode, framework_code
from lrdoctor.report.pages import Pages
from lrdoctor.report.printable import printable
from lrdoctor.report.resume_code import resume_state
from lrdoctor.report.rule_text import Block, blocks
from lrdoctor.report.source_text import wrapped
from lrdoctor.report.words import severity_rank

_LABELS: dict[Severity, str] = {"error": "Error", "warning": "Warning", "info": "Info"}


@dataclass(frozen=True, slots=True)
class Snippet:
    """A block of code under its own heading, ready to copy."""

    label: str
    code: str


@dataclass(frozen=True, slots=True)
class FindingCard:
    """`severity` chooses colour and icon, `severity_label` is the word beside them.

    `torch_code` is ready to paste, and so are `snippets`: the same in the framework's words, the state to load. Where
    those words are a training loop in torch, `torch_code` is left empty: the loop has it.
    """

    code: str
    name: str
    severity: str
    severity_label: str
    where: str
    group: str
    measured: str
    expected: str
    consequence: str
    why: tuple[Block, ...]
    fix: tuple[Block, ...]
    remedy: str
    torch_code: str
    snippets: tuple[Snippet, ...]
    evidence: tuple[tuple[str, str], ...]
    suppressed_by: str


def finding_cards(diagnosis: Diagnosis, pages: Pages) -> tuple[FindingCard, ...]:
    """One card a finding, worst first."""
    ordered = sorted(diagnosis.findings, key=lambda finding: (severity_rank(finding), finding.code, finding.first_step))
    return tuple(_card(finding, diagnosis, pages) for finding in ordered)


def _card(finding: Finding, diagnosis: Diagnosis, pages: Pages) -> FindingCard:
    page = pages.get(finding.code)
    severity = finding.severity or "info"
    words = framework_code(finding.remedy, diagnosis) if finding.remedy is not None else None
    in_loop = (
        words is not None and words.framework == "torch" and finding.remedy is not None and not finding.remedy.code
    )
    return FindingCard(
        code=printable(finding.code),
        name=printable(finding.name),
        severity=severity,
        severity_label=_LABELS[severity],
        where=span_text(finding),
        group=printable(finding.group or ""),
        measured=printable(finding.measured),
        expected=printable(finding.expected),
        consequence=printable(finding.consequence),
        why=blocks(page.why) if page else (),
        fix=blocks(page.fix) if page else (),
        remedy=printable(finding.remedy.summary) if finding.remedy else "",
        torch_code=torch_code(finding.remedy, diagnosis) if finding.remedy and not in_loop else "",
        snippets=tuple(_snippets(words, finding, diagnosis)),
        evidence=tuple(
            (printable(key), printable(evidence_value(key, value))) for key, value in finding.evidence.items()
        ),
        suppressed_by=printable(finding.suppressed_by or ""),
    )


def _snippets(words: FrameworkCode | None, finding: Finding, diagnosis: Diagnosis) -> Iterator[Snippet]:
    if words is not None:
        yield Snippet(words.label, code_text(words.code))
    state = resume_state(finding, diagnosis)
    if state is not None:
        yield Snippet("The state to load", code_text(state.code()))


def evidence_value(key: str, value: object) -> str:
    """The value of one row: shares as percentages, learning rates as learning rates."""
    if isinstance(value, float) and key.endswith(("_fraction", "_share")):
        return fmt.share(value)
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (key == "lr" or key.endswith("_lr") or key.startswith("lr_"))
    ):
        return fmt.lr(float(value))
    return fmt.value(value)


def torch_code(remedy: Remedy, diagnosis: Diagnosis) -> str:
    """What to write in the training script: the remedy's own code, else its schedule's, with where to call `step()`."""
    if remedy.code:
        return code_text(remedy.code)
    if remedy.schedule is None:
        return ""
    build = f"scheduler = {wrapped(remedy.schedule.torch_code())}"
    stepped = describe(remedy.schedule, diagnosis.trajectory.step_unit).stepped
    call = {"update": "after every optimizer.step()", "epoch": "once at the end of every epoch"}.get(stepped or "")
    return code_text(f"{build}\n# scheduler.step() {call}" if call else build)
