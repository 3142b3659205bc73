"""A finding as a card: what was measured, what was expected, what follows, why it is bad, how to fix it."""

from __future__ import annotations

from dataclasses import dataclass

from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.model.finding import Finding, Remedy, Severity
from lrdoctor.report import numbers as fmt
from lrdoctor.report.chart_marks import span_text
from lrdoctor.report.clean import code_text
from lrdoctor.report.describe import describe
from lrdoctor.report.pages import Pages
from lrdoctor.report.printable import printable
from lrdoctor.report.rule_text import Block, blocks
from lrdoctor.report.words import severity_rank

_LABELS: dict[Severity, str] = {"error": "Error", "warning": "Warning", "info": "Info"}
_TOO_LONG = 88


@dataclass(frozen=True, slots=True)
class FindingCard:
    """`severity` chooses colour and icon, `severity_label` is the word beside them. `code_lines` is ready to paste."""

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
    evidence: tuple[tuple[str, str], ...]
    suppressed_by: str


def finding_cards(diagnosis: Diagnosis, pages: Pages) -> tuple[FindingCard, ...]:
    """One card a finding, worst first."""
    ordered = sorted(diagnosis.findings, key=lambda finding: (severity_rank(finding), finding.code, finding.first_step))
    return tuple(_card(finding, diagnosis, pages) for finding in ordered)


def _card(finding: Finding, diagnosis: Diagnosis, pages: Pages) -> FindingCard:
    page = pages.get(finding.code)
    severity = finding.severity or "info"
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
        torch_code=torch_code(finding.remedy, diagnosis) if finding.remedy else "",
        evidence=tuple(
            (printable(key), printable(evidence_value(key, value))) for key, value in finding.evidence.items()
        ),
        suppressed_by=printable(finding.suppressed_by or ""),
    )


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
    build = f"scheduler = {_wrapped(remedy.schedule.torch_code())}"
    stepped = describe(remedy.schedule, diagnosis.trajectory.step_unit).stepped
    call = {"update": "after every optimizer.step()", "epoch": "once at the end of every epoch"}.get(stepped or "")
    return code_text(f"{build}\n# scheduler.step() {call}" if call else build)


def _wrapped(expression: str) -> str:
    """A long call with one argument a line; anything short or already broken as it is."""
    opening = expression.find("(")
    if "\n" in expression or len(expression) <= _TOO_LONG or opening < 0 or not expression.endswith(")"):
        return expression
    lines = "".join(f"    {argument},\n" for argument in _arguments(expression[opening + 1 : -1]))
    return f"{expression[: opening + 1]}\n{lines})"


def _arguments(text: str) -> list[str]:
    """`text` cut at the commas outside brackets."""
    found, depth, start = [], 0, 0
    for i, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            found.append(text[start:i].strip())
            start = i + 1
    return [*found, text[start:].strip()]
