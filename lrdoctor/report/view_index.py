"""What the first page shows: all runs in one table, totals on top, skipped paths below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lrdoctor.model.diagnosis import Audit, Diagnosis
from lrdoctor.report import numbers as fmt
from lrdoctor.report.printable import printable
from lrdoctor.report.spark_path import Spark, spark
from lrdoctor.report.view import Badge, badge, headline, schedule_text, split_path
from lrdoctor.report.words import severity_rank

_ORDER = {"faulty": 0, "unknown": 1, "healthy": 2}


@dataclass(frozen=True, slots=True)
class Tag:
    """The active findings of one code; `times` is empty for one."""

    code: str
    name: str
    severity: str
    times: str


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One run. The `*_key` fields are what the table sorts by; `words` is what the filter searches, in lower case."""

    page: str
    path: str
    folder: str
    name: str
    badge: Badge
    badge_key: int
    headline: str
    framework: str
    tags: tuple[Tag, ...]
    tags_key: int
    spark: Spark
    schedule: str
    steps: str
    steps_key: int
    lr_points: str
    lr_points_key: int
    words: str


@dataclass(frozen=True, slots=True)
class Total:
    """One figure on top; `kind` is the verdict it filters by, empty for all runs."""

    kind: str
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class IndexPage:
    rows: tuple[IndexRow, ...]
    totals: tuple[Total, ...]
    skipped: tuple[tuple[str, str], ...]
    headline: str
    version: str


def index_page(audit: Audit, names: Sequence[str]) -> IndexPage:
    """The view of an audit; `names` are the run pages' file names, in the order of `audit.diagnoses`."""
    rows = tuple(_row(diagnosis, name) for diagnosis, name in zip(audit.diagnoses, names, strict=True))
    counts = {kind: sum(row.badge.kind == kind for row in rows) for kind in _ORDER}
    return IndexPage(
        rows=rows,
        totals=(
            Total("", "All runs", fmt.count(len(rows))),
            Total("faulty", "Faulty", fmt.count(counts["faulty"])),
            Total("unknown", "Unknown", fmt.count(counts["unknown"])),
            Total("healthy", "Healthy", fmt.count(counts["healthy"])),
        ),
        skipped=tuple((printable(skipped.path), printable(skipped.reason)) for skipped in audit.skipped),
        headline=audit_headline(audit),
        version=printable(audit.version),
    )


def audit_headline(audit: Audit) -> str:
    """What is not known is said in the same breath: a run that could not be judged is not cleared."""
    verdicts = [diagnosis.verdict for diagnosis in audit.diagnoses]
    runs, faulty, unknown = len(verdicts), verdicts.count("lr-faulty"), verdicts.count("lr-unknown")
    if not runs:
        return "No training run was found."
    if unknown == runs:
        return f"{fmt.plural(runs, 'run')}, and not enough was logged to judge any of them."
    rest = f"; {fmt.count(unknown)} could not be judged" if unknown else ""
    if not faulty:
        return f"No learning-rate fault found in {fmt.plural(runs - unknown, 'run')}{rest}."
    return f"{fmt.plural(faulty, 'run')} of {fmt.count(runs)} with a learning-rate fault{rest}."


def _row(diagnosis: Diagnosis, page: str) -> IndexRow:
    folder, name = split_path(diagnosis.run.path)
    tags = _tags(diagnosis)
    shown = badge(diagnosis.verdict)
    schedule = schedule_text(diagnosis)
    path = printable(diagnosis.run.path)
    framework = printable(diagnosis.run.framework or "")
    words = " ".join([path, shown.label, framework, schedule, *(f"{tag.code} {tag.name}" for tag in tags)])
    return IndexRow(
        page=page,
        path=path,
        folder=folder,
        name=name,
        badge=shown,
        badge_key=_ORDER[shown.kind],
        headline=headline(diagnosis),
        framework=framework,
        tags=tags,
        tags_key=_tags_key(diagnosis),
        spark=spark(diagnosis),
        schedule=schedule,
        steps=fmt.count(diagnosis.trajectory.steps),
        steps_key=diagnosis.trajectory.steps,
        lr_points=fmt.count(diagnosis.trajectory.lr_points),
        lr_points_key=diagnosis.trajectory.lr_points,
        words=words.lower(),
    )


def _tags(diagnosis: Diagnosis) -> tuple[Tag, ...]:
    by_code: dict[str, list[str]] = {}
    ordered = sorted(diagnosis.active, key=lambda finding: (severity_rank(finding), finding.code))
    for finding in ordered:
        by_code.setdefault(finding.code, []).append(finding.severity or "info")
    names = {finding.code: finding.name for finding in ordered}
    return tuple(
        Tag(
            printable(code),
            printable(names[code]),
            found[0],
            f"\N{MULTIPLICATION SIGN}{len(found)}" if len(found) > 1 else "",
        )
        for code, found in by_code.items()
    )


def _tags_key(diagnosis: Diagnosis) -> int:
    """Errors weigh more than any number of warnings, warnings more than any number of notes."""
    weights = (1_000_000, 1_000, 1)
    return sum(weights[severity_rank(finding)] for finding in diagnosis.active)
