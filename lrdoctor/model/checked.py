"""The end of the line for configs: all that is known about each, ready for the reports."""

from __future__ import annotations

from dataclasses import dataclass

from lrdoctor.model.diagnosis import Skipped
from lrdoctor.model.finding import Finding
from lrdoctor.model.place import Place
from lrdoctor.model.plan import Broken, Plan

BY_COMMENT = "comment"
BY_BASELINE = "baseline"
"""What `Finding.suppressed_by` says where no other finding but the user has set one aside."""


@dataclass(frozen=True, slots=True, eq=False)
class CheckedConfig:
    """One config: its plan (None where it cannot be read) and what the rules say of it, suppressed findings included.

    `lines` is its text, for snippets; `base` the plan it was compared with.
    """

    path: str
    plan: Plan | None
    broken: Broken | None
    findings: tuple[Finding, ...]
    lines: tuple[str, ...] = ()
    base: Plan | None = None
    left_out: tuple[str, ...] = ()

    @property
    def active(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.suppressed_by is None)

    @property
    def framework(self) -> str | None:
        known = self.plan or self.broken
        return known.framework if known is not None else None


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about the check itself: an ignore comment that ignores nothing, a baseline entry that is gone."""

    text: str
    place: Place | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """Everything one `lrdoctor check` found, sorted by path. `skipped` holds paths that were named and are no config.

    `passed_over` counts files of a walk that are no training config, `unchanged` those that were not looked at because
    they are as they were at the revision whose differences alone are wanted.
    """

    configs: tuple[CheckedConfig, ...]
    skipped: tuple[Skipped, ...]
    version: str
    remarks: tuple[Remark, ...] = ()
    passed_over: int = 0
    unchanged: int = 0
