"""What a rule has to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lrdoctor.model.place import Place
from lrdoctor.model.schedule import Schedule

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Remedy:
    """The fix: a sentence, and the fixed schedule as an object over the trajectory's steps (None: nothing to replay).

    `code` is what to write in the training script; left empty, the schedule's own torch code is shown.
    """

    summary: str
    schedule: Schedule | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: what was measured, what was expected, and what follows from it (each a sentence).

    Rules fill the first block; the engine adds code, name and severity (a rule may lower or raise its severity).
    Steps are trajectory steps, both ends inclusive. `place` and `key` say which setting of a training config is meant.
    """

    measured: str
    expected: str
    consequence: str
    first_step: float
    last_step: float
    evidence: Mapping[str, float | int | str | bool | None] = field(default_factory=dict)
    remedy: Remedy | None = None
    severity: Severity | None = None
    group: str | None = None
    place: Place | None = None
    key: str = ""
    code: str = ""
    name: str = ""
    suppressed_by: str | None = None

    @property
    def message(self) -> str:
        return " ".join(part for part in (self.measured, self.expected, self.consequence) if part)
