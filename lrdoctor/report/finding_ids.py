"""A name for each finding that stays the same when the audit is run again, the log has grown or the folder has moved.

It is made of the rule, the run and the place: the run is known by the name of its folder and the first record of its
log, the place by the parameter group and how many findings of that rule come before it there.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.model.finding import Finding
from lrdoctor.model.run import Run, Series
from lrdoctor.readers.storage import is_remote

_DIGITS = 10
Place = tuple[str, str, int]
"""Rule, parameter group, and the number of the finding among those of that rule in that group."""


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids of one run's findings, in their order: `own`, or `by_path` where another run has the same `key`."""

    key: str
    own: tuple[str, ...]
    by_path: tuple[str, ...]


def ids_of(diagnosis: Diagnosis) -> Ids:
    """What the ids of a run are, whatever runs are beside it."""
    key, at = run_key(diagnosis.run), tuple(places(diagnosis.findings))
    copied = f"{key}\0{diagnosis.run.path}"
    return Ids(_digest(key), tuple(_id(key, place) for place in at), tuple(_id(copied, place) for place in at))


def finding_ids(diagnoses: Sequence[Diagnosis]) -> list[tuple[str, ...]]:
    """The ids of `diagnosis.findings`, a tuple each: "LR101-3f9c1d2a7b".

    Runs of one name that begin alike (copies of one another) are told apart by their paths.
    """
    found = [ids_of(diagnosis) for diagnosis in diagnoses]
    times = Counter(ids.key for ids in found)
    return [ids.own if times[ids.key] == 1 else ids.by_path for ids in found]


def places(findings: Iterable[Finding]) -> Iterator[Place]:
    """What tells the findings of one run apart, in their order."""
    before: Counter[tuple[str, str]] = Counter()
    for finding in findings:
        at = finding.code, finding.group or ""
        before[at] += 1
        yield (*at, before[at])


def run_key(run: Run) -> str:
    """What a run is known by wherever it lies: the name of its folder, and the first record of its log."""
    name = run.path.rstrip("/").rpartition("/")[2] if is_remote(run.path) else Path(run.path).resolve().name
    return "\0".join([name, *_first_record(run)])


def _first_record(run: Run) -> Iterator[str]:
    """Tags, counters and numbers of the first record; of event files first, which are never copied or redone."""
    filled = [series for series in run.series if len(series)]
    if not filled:
        return
    path = min(filled, key=lambda series: (series.kind != "tensorboard", series.path)).path
    own = [series for series in filled if series.path == path]
    start = min(int(series.origin[0]) for series in own)
    for series in sorted((one for one in own if int(one.origin[0]) == start), key=lambda one: one.tag):
        yield _words(series)


def _words(series: Series) -> str:
    axes = [f"{name}={float(axis[0])!r}" for name, axis in sorted(series.axes.items())]
    clock = [] if series.wall_time is None else [f"{float(series.wall_time[0])!r}"]
    return " ".join([series.tag, f"{float(series.values[0])!r}", *axes, *clock])


def _id(key: str, place: Place) -> str:
    identity = "\0".join((key, *map(str, place)))
    return f"{place[0]}-{_digest(identity)[:_DIGITS]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
