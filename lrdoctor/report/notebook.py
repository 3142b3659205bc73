"""What a notebook shows for a diagnosis or an audit: compact, self-contained, and harmless whatever the files held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lrdoctor.model.diagnosis import Audit, Diagnosis
from lrdoctor.model.finding import Finding
from lrdoctor.report import numbers
from lrdoctor.report.html import environment
from lrdoctor.report.json import ordered
from lrdoctor.report.printable import printable
from lrdoctor.report.spark_path import Spark, spark
from lrdoctor.report.view import Badge, badge, headline, schedule_text
from lrdoctor.report.view_index import audit_headline
from lrdoctor.report.view_loss import loss_view
from lrdoctor.report.words import count_words

RUNS_SHOWN = 8
FINDINGS_SHOWN = 6
_ORDER = ("lr-faulty", "lr-unknown", "lr-healthy")


@dataclass(frozen=True, slots=True)
class FindingLine:
    """`code_text` is what to write in the training script, for the finding that matters most."""

    code: str
    name: str
    severity: str
    message: str
    remedy: str
    code_text: str


@dataclass(frozen=True, slots=True)
class RunCard:
    path: str
    badge: Badge
    headline: str
    caption: str
    spark: Spark
    findings: tuple[FindingLine, ...]
    more: str
    loss: str


@dataclass(frozen=True, slots=True)
class Cell:
    """`more` says what was left out."""

    headline: str
    runs: tuple[RunCard, ...]
    more: str


def to_html(found: Diagnosis | Audit) -> str:
    """A piece of HTML for a notebook's cell, without scripts; of an audit the faulty runs come first."""
    page = _of_audit(found) if isinstance(found, Audit) else Cell("", (_card(found, with_code=True),), "")
    return environment().get_template("notebook.html").render(cell=page)


def _of_audit(audit: Audit) -> Cell:
    ranked = sorted(audit.diagnoses, key=lambda one: (_ORDER.index(one.verdict), one.run.path))
    cards = tuple(_card(one, with_code=len(ranked) == 1) for one in ranked[:RUNS_SHOWN])
    left = [_left(len(ranked) - len(cards), "run"), _left(len(audit.skipped), "path", "looked at and not audited")]
    return Cell(audit_headline(audit), cards, ". ".join(filter(None, left)))


def _left(count: int, noun: str, what: str = "more in the report that `lrdoctor audit` writes") -> str:
    return f"{numbers.plural(count, noun)} {what}" if count > 0 else ""


def _card(diagnosis: Diagnosis, *, with_code: bool) -> RunCard:
    active = ordered(diagnosis.active)
    loss = loss_view(diagnosis)
    return RunCard(
        path=printable(diagnosis.run.path),
        badge=badge(diagnosis.verdict),
        headline=headline(diagnosis),
        caption=_caption(diagnosis),
        spark=spark(diagnosis),
        findings=_lines(active[:FINDINGS_SHOWN], with_code),
        more=_left(len(active) - FINDINGS_SHOWN, "finding"),
        loss=loss.sentence,
    )


def _lines(findings: Sequence[Finding], with_code: bool) -> tuple[FindingLine, ...]:
    return tuple(
        FindingLine(
            code=printable(finding.code),
            name=printable(finding.name),
            severity=finding.severity or "info",
            message=printable(finding.message),
            remedy=printable(finding.remedy.summary) if finding.remedy is not None else "",
            code_text=_code(finding) if with_code and place == 0 else "",
        )
        for place, finding in enumerate(findings)
    )


def _code(finding: Finding) -> str:
    remedy = finding.remedy
    if remedy is None:
        return ""
    return remedy.code or (remedy.schedule.torch_code() if remedy.schedule is not None else "")


def _caption(diagnosis: Diagnosis) -> str:
    fix = "; dashed: with the fix" if diagnosis.remedy is not None and diagnosis.remedy.schedule is not None else ""
    trajectory = diagnosis.trajectory
    return f"learning rate over {count_words(trajectory.steps, trajectory.step_unit)}: {schedule_text(diagnosis)}{fix}"
