"""The watch: each poll reads and judges again the runs that changed, and tells what is new of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lrdoctor import __version__
from lrdoctor.auditing import Options, rules_of
from lrdoctor.engine import Evidence
from lrdoctor.engine.evidence import Sibling
from lrdoctor.errors import UsageError
from lrdoctor.model.diagnosis import Audit, Diagnosis, Skipped
from lrdoctor.model.finding import Finding
from lrdoctor.readers.discover import RunFiles
from lrdoctor.readers.growing import Growing
from lrdoctor.readers.storage import is_remote
from lrdoctor.report.finding_ids import Place, finding_ids, places
from lrdoctor.report.words import severity_rank
from lrdoctor.watching.events import Event, Kind
from lrdoctor.watching.files import Files, RunStamp, all_files
from lrdoctor.watching.judge import examine, judge, seen_by_others

SETTLED_AFTER = 300.0
"""Seconds without a write after which a run counts as ended (chosen by us: most trainings log every few minutes)."""
SHARE_OF_TIME = 0.2
"""Looking at one growing run may take this share of the time: what takes a second is done every five at most."""
UNSIMULATED = "left to `lrdoctor audit`: a watch does not estimate losses"


@dataclass(slots=True, eq=False)
class Watched:
    """One run. `changed` is when it was last written to, `growing` whether that is recent; `trouble` says why it cannot
    be read; `told` are its findings by place, with their ids; `not_before` is when it may be looked at again.
    """

    files: RunFiles
    changed: float
    stamp: RunStamp = ()
    read: RunStamp | None = None
    growing: bool = True
    evidence: Evidence | None = None
    diagnosis: Diagnosis | None = None
    trouble: str = ""
    told: dict[Place, tuple[Finding, str]] = field(default_factory=dict)
    not_before: float = 0.0


class Watch:
    """The runs below `paths`, local ones, looked at whenever `poll` is called.

    A run whose files have not changed for `settled_after` seconds counts as ended. `leave_out` is a folder in which no
    run is looked for: that of the report. `clock` gives the time in seconds since 1970. `UsageError` for a URL, an
    unknown rule or a broken rule file. `judged` are the paths of the runs that the last poll judged.
    """

    def __init__(
        self,
        paths: Sequence[str],
        options: Options | None = None,
        *,
        settled_after: float = SETTLED_AFTER,
        leave_out: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        for path in filter(is_remote, paths):
            raise UsageError("A URL cannot be watched.", where=path, hint="`lrdoctor audit` reads it as it stands")
        self.options = replace(options or Options(), simulate=False, unsimulated=UNSIMULATED)
        self.rules = rules_of(self.options)
        self._settled_after = settled_after
        self._clock, self._begun = clock, clock()
        self._files = Files(paths, leave_out)
        self._growing = Growing()
        self._runs: dict[str, Watched] = {}
        self._siblings: dict[str, Sibling] = {}
        self.judged: frozenset[str] = frozenset()
        self._others_changed = False
        self._others_not_before = 0.0

    @property
    def runs(self) -> tuple[Watched, ...]:
        """Sorted by path, those that cannot be read included."""
        return tuple(self._runs[path] for path in sorted(self._runs))

    @property
    def idle(self) -> bool:
        """Whether no run is growing; where there is no run, whether none came up for as long as one takes to end."""
        waited = self._clock() - self._begun >= self._settled_after
        return not any(run.growing for run in self._runs.values()) and (bool(self._runs) or waited)

    def audit(self) -> Audit:
        """Everything as it stands."""
        found = tuple(run.diagnosis for run in self.runs if run.diagnosis is not None)
        lost = {Skipped(run.files.path, run.trouble) for run in self.runs if run.trouble}
        skipped = sorted({*self._files.skipped, *lost}, key=lambda item: (item.path, item.reason))
        return Audit(found, tuple(skipped), __version__)

    def poll(self) -> list[Event]:
        """Look once; what is new since the last time, run by run."""
        now, self.judged = self._clock(), frozenset()
        events = list(self._take(now))
        due = [run for run in self.runs if self._is_due(run, now)]
        changes = {run: self._read(run, now) for run in due}  # all of them first: the rules compare runs
        for run in due:
            events += self._judge(run, now, changes[run])
        if self._others_changed and now >= self._others_not_before:
            events += self._judge_others(due, now)
        return sorted(events, key=lambda event: event.path)

    def _take(self, now: float) -> Iterator[Event]:
        """Bring the runs in line with what lies on the disk."""
        seen = self._files.look()
        for path in self._runs.keys() - seen.runs.keys():
            lost = self._runs.pop(path)
            self._siblings.pop(path, None)
            self._others_changed = True
            self._growing.forget(all_files(lost.files))
            yield Event("gone", path, now, lost.diagnosis)
        for path, files in seen.runs.items():
            stamp = seen.stamps[path]
            run = self._runs.get(path)
            if run is None:
                newest = max((one.changed_ns / 1e9 for _, one in stamp), default=now)
                run = self._runs[path] = Watched(files, min(newest, now))
            elif stamp != run.stamp:
                run.changed = now
            run.files, run.stamp = files, stamp

    def _is_due(self, run: Watched, now: float) -> bool:
        """Whether there is something to read, or the run has been quiet for so long that it is judged as ended."""
        if run.read is None:
            return True
        settles = run.growing and now - run.changed >= self._settled_after
        return settles or (run.read != run.stamp and now >= run.not_before)

    def _read(self, run: Watched, now: float) -> list[Kind]:
        """Read what is new of a run; what that makes of it."""
        first, was_growing, begun = run.evidence is None, run.growing, time.perf_counter()
        run.read, run.growing = run.stamp, now - run.changed < self._settled_after
        found = examine(run.files, self._growing, self.options)
        run.not_before = now + (time.perf_counter() - begun) / SHARE_OF_TIME
        if not run.growing:
            self._growing.forget(all_files(run.files))
        if isinstance(found, Skipped):
            changed, run.trouble = found.reason != run.trouble, found.reason
            return ["unreadable"] if changed else []
        run.evidence, run.trouble = found, ""
        sibling = seen_by_others(found, growing=run.growing)
        self._others_changed |= self._siblings.get(run.files.path) != sibling
        self._siblings[run.files.path] = sibling
        if first:
            return ["run"]
        return [] if run.growing == was_growing else ["resumed" if run.growing else "ended"]

    def _judge_others(self, done: Sequence[Watched], now: float) -> Iterator[Event]:
        """Ask the rules anew about the runs that are what they were, because those beside them are not.

        Of many runs that takes long: then it is done more rarely.
        """
        begun, self._others_changed = time.perf_counter(), False
        for run in self.runs:
            if run not in done:
                yield from self._judge(run, now, [])
        self._others_not_before = now + (time.perf_counter() - begun) / SHARE_OF_TIME

    def _judge(self, run: Watched, now: float, changes: Sequence[Kind]) -> Iterator[Event]:
        """Ask the rules, and tell where the answer is another one."""
        path = run.files.path
        if run.evidence is not None:
            others = [found for other, found in sorted(self._siblings.items()) if other != path]
            run.diagnosis = judge(run.evidence, others, self.rules, self.options, growing=run.growing)
            self.judged |= {path}
        for kind in changes:
            yield Event(kind, path, now, run.diagnosis, reason=run.trouble)
        if run.diagnosis is not None:
            yield from self._news(run, run.diagnosis, now)

    def _news(self, run: Watched, found: Diagnosis, now: float) -> Iterator[Event]:
        path, (names,) = run.files.path, finding_ids([found])
        present = {
            place: (finding, name)
            for place, finding, name in zip(places(found.findings), found.findings, names, strict=True)
            if finding.suppressed_by is None
        }
        for place, (finding, name) in sorted(present.items(), key=lambda item: item[0]):
            if place not in run.told or severity_rank(finding) < severity_rank(run.told[place][0]):
                yield Event("finding", path, now, found, finding, name)
        for place in sorted(run.told.keys() - present.keys()):
            yield Event("withdrawn", path, now, found, *run.told[place])
        run.told = present
