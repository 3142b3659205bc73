"""How many runs of each verdict, how many findings of each severity: what the last lines of an audit say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lrdoctor.model.diagnosis import Diagnosis


@dataclass(slots=True)
class Tally:
    """Counted run by run. `left_out` names each station that was skipped once, in the order it was first met."""

    runs: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    severities: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, None] = field(default_factory=dict)

    def add(self, verdict: str, severities: Iterable[str], left_out: Iterable[str]) -> None:
        """Count a run; `severities` are those of its active findings."""
        self.runs += 1
        self.verdicts[verdict] += 1
        self.severities.update(severities)
        self.left_out |= dict.fromkeys(left_out)

    @classmethod
    def of(cls, diagnoses: Iterable[Diagnosis]) -> Tally:
        tally = cls()
        for one in diagnoses:
            tally.add(one.verdict, severities_of(one), one.left_out)
        return tally


def severities_of(diagnosis: Diagnosis) -> list[str]:
    """The severity of each active finding."""
    return [finding.severity or "info" for finding in diagnosis.active]
