"""How well planted faults are named, and how often a healthy run is blamed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from faults import FAULTS, setting

from lrdoctor.auditing import Options, audit
from lrdoctor.model.finding import SEVERITIES


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the audit of one planted run or of its healthy twin said: the codes of its active findings by severity."""

    fault: str
    faulty: bool
    seed: int
    found: Mapping[str, str]

    @property
    def named(self) -> bool:
        fault = FAULTS[self.fault]
        return any(code in self.found for code in (fault.code, *fault.also))

    @property
    def alarms(self) -> tuple[str, ...]:
        """Errors and warnings that have no business being there."""
        fault = FAULTS[self.fault]
        right = (fault.code, *fault.also) if self.faulty else ()
        return tuple(code for code, grade in self.found.items() if grade != "info" and code not in right)


def verdicts(draws: int, seed: int, jobs: int, faults: Iterable[str] = FAULTS) -> Iterator[Verdict]:
    """Each fault `draws` times, with its healthy twin."""
    drawn = [(name, seed + 1000 * number + draw) for number, name in enumerate(faults) for draw in range(draws)]
    runs = [(name, faulty, here) for name, here in drawn for faulty in (True, False)]
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_verdict, runs, chunksize=4)


def _verdict(run: tuple[str, bool, int]) -> Verdict:
    torch.set_num_threads(1)
    return Verdict(*run, _audited(*run))


def _audited(name: str, faulty: bool, seed: int) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        FAULTS[name].plant(setting(seed, Path(folder) / "run"), faulty)
        found: dict[str, str] = {}
        for diagnosis in audit([folder], Options(simulate=False)).diagnoses:
            for finding in sorted(diagnosis.active, key=lambda one: SEVERITIES.index(one.severity or "info")):
                found.setdefault(finding.code, finding.severity or "info")
        return found
