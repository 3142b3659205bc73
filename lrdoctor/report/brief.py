"""A run in brief, as plain data: all that SARIF, JUnit, annotations and Markdown say of it.

A diagnosis holds every logged point; of thousands of runs only this is kept, on a disk, and read back one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from lrdoctor.model.diagnosis import Audit, Diagnosis, Skipped, Verdict
from lrdoctor.model.finding import Finding, Remedy
from lrdoctor.report.json import ordered
from lrdoctor.report.lr_curves import LrCurves, lr_curves
from lrdoctor.report.place import file_of
from lrdoctor.report.strict import strict
from lrdoctor.report.words import counterfactual_words, schedule_words, verdict_sentence

CURVE_WIDTH = 24


@dataclass(frozen=True, slots=True)
class Brief:
    """One run. `file` is where its findings are shown; the findings' remedies carry code and no schedule.

    `schedule` and `counterfactual` are in words, empty where there is nothing to say.
    """

    path: str
    file: str
    verdict: Verdict
    sentence: str
    schedule: str
    counterfactual: str
    curves: LrCurves | None
    findings: tuple[Finding, ...]

    @property
    def active(self) -> tuple[Finding, ...]:
        """The findings no other finding explains."""
        return tuple(finding for finding in self.findings if finding.suppressed_by is None)


class Collection(Protocol):
    """Briefs that can be gone through more than once."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Brief]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Briefs:
    """An audit in brief, its runs sorted by path."""

    runs: Collection
    skipped: tuple[Skipped, ...]
    version: str


def briefs_of(audit: Audit | Briefs) -> Briefs:
    """The audit in brief, where it is not so already."""
    if isinstance(audit, Briefs):
        return audit
    return Briefs(tuple(map(brief_of, audit.diagnoses)), audit.skipped, audit.version)


def brief_of(diagnosis: Diagnosis) -> Brief:
    lead = diagnosis.identification.lead
    known = lead is not None and lead.fits
    return Brief(
        path=diagnosis.run.path,
        file=file_of(diagnosis),
        verdict=diagnosis.verdict,
        sentence=verdict_sentence(diagnosis),
        schedule=schedule_words(lead.fit, diagnosis.trajectory.step_unit) if lead is not None and known else "",
        counterfactual=counterfactual_words(diagnosis.counterfactual),
        curves=lr_curves(diagnosis, width=CURVE_WIDTH),
        findings=tuple(map(_plain, ordered(diagnosis.findings))),
    )


def _plain(finding: Finding) -> Finding:
    evidence: Mapping[str, Any] = strict(dict(finding.evidence))[0]
    return replace(finding, evidence=evidence, remedy=_without_schedule(finding.remedy))


def _without_schedule(remedy: Remedy | None) -> Remedy | None:
    if remedy is None or remedy.schedule is None:
        return remedy
    return Remedy(remedy.summary, None, remedy.code or remedy.schedule.torch_code())


_TEXTS = ("measured", "expected", "consequence", "severity", "group", "code", "name", "suppressed_by")


def fields_of(brief: Brief) -> dict[str, Any]:
    """The brief as a tree of JSON types; `brief_from` reads it back."""
    curves = brief.curves
    return {
        "path": brief.path,
        "file": brief.file,
        "verdict": brief.verdict,
        "sentence": brief.sentence,
        "schedule": brief.schedule,
        "counterfactual": brief.counterfactual,
        "curves": None if curves is None else [curves.executed, curves.fixed],
        "findings": [_finding_fields(finding) for finding in brief.findings],
    }


def brief_from(fields: Mapping[str, Any]) -> Brief:
    curves = fields["curves"]
    findings = tuple(map(_finding_from, fields["findings"]))
    return Brief(**{**fields, "curves": None if curves is None else LrCurves(*curves), "findings": findings})


def _finding_fields(finding: Finding) -> dict[str, Any]:
    remedy = finding.remedy
    return {
        **{name: getattr(finding, name) for name in _TEXTS},
        "first_step": float(finding.first_step),
        "last_step": float(finding.last_step),
        "evidence": dict(finding.evidence),
        "remedy": None if remedy is None else [remedy.summary, remedy.code],
    }


def _finding_from(fields: Mapping[str, Any]) -> Finding:
    remedy = fields["remedy"]
    return Finding(**{**fields, "remedy": None if remedy is None else Remedy(remedy[0], None, remedy[1])})


def active_findings(runs: Iterable[Brief]) -> Iterator[tuple[Brief, Finding]]:
    """Each active finding with its run."""
    return ((brief, finding) for brief in runs for finding in brief.active)
