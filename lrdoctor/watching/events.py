"""What a watch has to tell."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.model.finding import Finding
from lrdoctor.report.json import finding_fields
from lrdoctor.report.printable import printable
from lrdoctor.report.strict import strict
from lrdoctor.report.words import verdict_sentence

Kind = Literal["run", "finding", "withdrawn", "ended", "resumed", "gone", "unreadable"]


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One thing that happened to the run at `path`, at `time` (seconds since 1970).

    "run": it was read for the first time; "finding": one came up, or became graver; "withdrawn": it no longer holds;
    "ended": its files have been quiet for long enough to judge it as a whole; "resumed": an ended one goes on;
    "gone": its files were deleted; "unreadable": it cannot be read, for the `reason` given.
    """

    kind: Kind
    path: str
    time: float
    diagnosis: Diagnosis | None = None
    finding: Finding | None = None
    finding_id: str = ""
    reason: str = ""

    def fields(self) -> dict[str, Any]:
        """As JSON types; the finding has the shape it has in an audit's JSON."""
        tree: dict[str, Any] = {
            "event": self.kind,
            "time": datetime.fromtimestamp(self.time, UTC).isoformat(timespec="seconds"),
            "run": self.path,
        }
        if self.diagnosis is not None:
            trajectory = self.diagnosis.trajectory
            tree |= {"steps": trajectory.steps, "step_unit": trajectory.step_unit, "verdict": self.diagnosis.verdict}
            if self.finding is not None:
                tree["finding"] = finding_fields(self.finding, self.diagnosis, self.finding_id)
        if self.reason:
            tree["reason"] = self.reason
        plain: dict[str, Any] = strict(tree)[0]
        return {**plain, "text": self.text()}

    def line(self) -> str:
        """The fields as one line of strict JSON."""
        return json.dumps(self.fields(), sort_keys=True, allow_nan=False)

    def text(self) -> str:
        """One line for a person, without control characters."""
        return printable(f"{self.path} {self._words()}")

    def _words(self) -> str:
        finding = self.finding
        if finding is not None:
            head = f"{finding.code} {finding.name} {finding.severity or 'info'}"
            if self.kind == "withdrawn":
                return f"{head}: no longer holds"
            cure = f" Fix: {finding.remedy.summary}" if finding.remedy is not None and finding.remedy.summary else ""
            return f"{head}: {finding.message}{cure}"
        if self.kind == "ended" and self.diagnosis is not None:
            return f"has ended: {verdict_sentence(self.diagnosis)}"
        return _WORDS[self.kind] + (f": {self.reason}" if self.reason else "")


_WORDS = {
    "run": "is watched",
    "ended": "has ended",
    "resumed": "goes on",
    "gone": "was deleted",
    "unreadable": "cannot be read",
}
