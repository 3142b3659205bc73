"""What the first page shows: all runs in one table, totals on top, skipped paths below."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from lrdoctor.model.diagnosis import Audit, Diagnosis, Skipped
from lrdoctor.report import numbers as fmt
from lrdoctor.report.cost import cost_of
from lrdoctor.report.printable import printable
from lrdoctor.report.spark_path import Spark, spark
from lrdoctor.report.view import badge, headline, schedule_text, split_path
from lrdoctor.report.words import severity_rank

ROWS_AT_ONCE = 100
"""Rows that are in the page when it opens; the script draws more of them as one scrolls."""
_ORDER = {"faulty": 0, "unknown": 1, "healthy": 2}
_NO_FAULT, _NO_FRAMEWORK, _NO_SCHEDULE = "no finding", "framework not known", "no learning rate logged"


@dataclass(frozen=True, slots=True)
class Tag:
    """The active findings of one code; `times` is empty for one."""

    code: str
    name: str
    severity: str
    times: str


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One run, as JSON types. The `*_key` fields are what the table sorts by.

    `kind` and `label` are the verdict's badge, `below` stands below the name; `fault`, `family` and `framework` are
    what runs are grouped by; `share` is the part of the final loss the fault cost, None where it was not estimated.
    """

    page: str
    path: str
    folder: str
    name: str
    kind: str
    label: str
    headline: str
    below: str
    framework: str
    tags: tuple[Tag, ...]
    tags_key: int
    fault: str
    spark: Spark
    schedule: str
    family: str
    cost: str
    cost_key: float
    share: float | None
    steps: str
    steps_key: int
    lr_points: str
    lr_points_key: int

    @property
    def rank(self) -> tuple[object, ...]:
        """Where it stands when the page opens: what cost most comes first."""
        return _ORDER[self.kind], -self.cost_key, -self.tags_key, self.path


@dataclass(frozen=True, slots=True)
class Total:
    """One figure on top; `kind` is the verdict it filters by, empty for all runs."""

    kind: str
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A value runs are filtered by, and how many have it."""

    value: str
    count: str


@dataclass(frozen=True, slots=True)
class Filter:
    """A list to choose from: `key` is the field of a row, `every` the entry that filters nothing."""

    key: str
    label: str
    every: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class IndexPage:
    """`rows` are those shown first, `count` says how many there are."""

    rows: tuple[IndexRow, ...]
    count: int
    totals: tuple[Total, ...]
    filters: tuple[Filter, ...]
    skipped: tuple[tuple[str, str], ...]
    headline: str
    version: str


class Rows(Protocol):
    """The texts of rows, which can be gone through more than once, and looked up."""

    def __iter__(self) -> Iterator[str]: ...

    def __getitem__(self, place: int, /) -> str: ...


class Counts:
    """Counts what the head of the page says, run by run, and remembers which rows come first."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.groups: dict[str, Counter[str]] = {"fault": Counter(), "family": Counter(), "framework": Counter()}
        self._ranks: list[tuple[tuple[object, ...], int]] = []

    def add(self, row: IndexRow) -> None:
        self.kinds[row.kind] += 1
        for key, counter in self.groups.items():
            counter[getattr(row, key)] += 1
        self._ranks.append((row.rank, len(self._ranks)))

    def first(self) -> list[int]:
        """The places of the rows shown first, in the order they were added."""
        return [place for _, place in sorted(self._ranks)[:ROWS_AT_ONCE]]


def index_page(audit: Audit, names: Sequence[str]) -> IndexPage:
    """The view of an audit; `names` are the run pages' file names, in the order of `audit.diagnoses`."""
    rows = [row_of(diagnosis, name) for diagnosis, name in zip(audit.diagnoses, names, strict=True)]
    counts = Counts()
    for row in rows:
        counts.add(row)
    return page_of(counts, [rows[place] for place in counts.first()], audit.skipped, audit.version)


def page_of(counts: Counts, first: Iterable[IndexRow], skipped: Iterable[Skipped], version: str) -> IndexPage:
    """The page, of which `first` are the rows shown first."""
    kinds, total = counts.kinds, counts.kinds.total()
    return IndexPage(
        rows=tuple(first),
        count=total,
        totals=(
            Total("", "All runs", fmt.count(total)),
            Total("faulty", "Faulty", fmt.count(kinds["faulty"])),
            Total("unknown", "Unknown", fmt.count(kinds["unknown"])),
            Total("healthy", "Healthy", fmt.count(kinds["healthy"])),
        ),
        filters=(
            _filter("fault", "Fault", "All faults", counts),
            _filter("family", "Schedule", "All schedules", counts),
            _filter("framework", "Framework", "All frameworks", counts),
        ),
        skipped=tuple((printable(one.path), printable(one.reason)) for one in skipped),
        headline=_headline(total, kinds["faulty"], kinds["unknown"]),
        version=printable(version),
    )


def _filter(key: str, label: str, every: str, counts: Counts) -> Filter:
    found = sorted(counts.groups[key].items(), key=lambda pair: (-pair[1], pair[0]))
    return Filter(key, label, every, tuple(Choice(value, fmt.count(count)) for value, count in found))


def audit_headline(audit: Audit) -> str:
    """What the page says first of all."""
    verdicts = [diagnosis.verdict for diagnosis in audit.diagnoses]
    return _headline(len(verdicts), verdicts.count("lr-faulty"), verdicts.count("lr-unknown"))


def _headline(runs: int, faulty: int, unknown: int) -> str:
    """What is not known is said in the same breath: a run that could not be judged is not cleared."""
    if not runs:
        return "No training run was found."
    if unknown == runs:
        return f"{fmt.plural(runs, 'run')}, and not enough was logged to judge any of them."
    rest = f"; {fmt.count(unknown)} could not be judged" if unknown else ""
    if not faulty:
        return f"No learning-rate fault found in {fmt.plural(runs - unknown, 'run')}{rest}."
    return f"{fmt.plural(faulty, 'run')} of {fmt.count(runs)} with a learning-rate fault{rest}."


def row_of(diagnosis: Diagnosis, page: str = "") -> IndexRow:
    """One run's row; `page` is the file name of its page."""
    folder, name = split_path(diagnosis.run.path)
    tags = _tags(diagnosis)
    shown, cost = badge(diagnosis.verdict), cost_of(diagnosis)
    lead = diagnosis.identification.lead
    return IndexRow(
        page=page,
        path=printable(diagnosis.run.path),
        folder=folder,
        name=name,
        kind=shown.kind,
        label=shown.label,
        headline=headline(diagnosis),
        below=printable(diagnosis.run.framework or ""),
        framework=printable(diagnosis.run.framework or _NO_FRAMEWORK),
        tags=tags,
        tags_key=_tags_key(diagnosis),
        fault=f"{tags[0].code} {tags[0].name}" if tags else _NO_FAULT,
        spark=spark(diagnosis),
        schedule=schedule_text(diagnosis),
        family=lead.fit.family if lead is not None and lead.fits else _NO_SCHEDULE,
        cost=cost.text,
        cost_key=round(cost.key, 3),
        share=None if cost.share is None else round(cost.share, 4),
        steps=fmt.count(diagnosis.trajectory.steps),
        steps_key=diagnosis.trajectory.steps,
        lr_points=fmt.count(diagnosis.trajectory.lr_points),
        lr_points_key=diagnosis.trajectory.lr_points,
    )


def row_text(row: IndexRow) -> str:
    """The row as JSON that may stand in a page; `row_from` reads it back."""
    text = json.dumps(asdict(row), sort_keys=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def on_page(text: str, page: str) -> str:
    """The text of a row that had no page yet, with the file name of its page."""
    return text.replace('"page":""', f'"page":{json.dumps(page)}', 1)  # in a string the quotes would be escaped


def row_from(text: str) -> IndexRow:
    fields = json.loads(text)
    tags = tuple(Tag(**tag) for tag in fields["tags"])
    return IndexRow(**{**fields, "tags": tags, "spark": Spark(**fields["spark"])})


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
