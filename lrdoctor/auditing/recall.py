"""Only what has changed is audited again: tasks answered from the cache, and what is new kept in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lrdoctor.auditing.cache import Cache, Entry
from lrdoctor.auditing.notes import CachedNotes
from lrdoctor.auditing.record import Record
from lrdoctor.auditing.rounds import Ask
from lrdoctor.auditing.same import code_seal, job_mark
from lrdoctor.auditing.tags import Names
from lrdoctor.auditing.task import Audited, Job, Task
from lrdoctor.engine import Sibling
from lrdoctor.executors.work import Lost
from lrdoctor.model.diagnosis import Skipped
from lrdoctor.readers.marks import mark_of
from lrdoctor.readers.noted import Notes

Result = Audited[Record] | Skipped | Lost


@dataclass(frozen=True, slots=True)
class Recall:
    """Stands before `ask`: what the cache holds is answered at once, the rest is asked and then kept."""

    cache: Cache
    notes: Notes
    job_mark: str
    pages: bool

    def before(self, ask: Ask[Record]) -> Ask[Record]:
        def asked(tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
            missing: list[int] = []
            keys: dict[int, str | None] = {}
            for place, task in enumerate(tasks):
                keys[place] = self._key(task)
                known = self._find(keys[place])
                if known is None:
                    missing.append(place)
                else:
                    yield place, known
            for index, found in ask([tasks[place] for place in missing]):
                place = missing[index]
                self._keep(keys[place], tasks[place], found)
                yield place, found

        return asked

    def _key(self, task: Task) -> str | None:
        files = mark_of(task.files, self.notes)
        if files is None:
            return None
        beside = {code: [asdict(one) for one in chosen] for code, chosen in task.chosen.items()}
        told = json.dumps([self.job_mark, files, beside, task.in_short], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    def _find(self, key: str | None) -> Result | None:
        entry = None if key is None else self.cache.find(key)
        if entry is None:
            return None
        found = _result(entry)
        lacks_page = isinstance(found, Audited) and found.product is not None and not found.product.page_mark
        return None if self.pages and lacks_page else found

    def _keep(self, key: str | None, task: Task, found: Result) -> None:
        """Not what may turn out otherwise next time, nor what was read from files that have changed since."""
        entry = _entry(found)
        if key is not None and entry is not None and self._key(task) == key:
            self.cache.keep(key, entry)


def recall_from(cache: Cache, job: Job[Any], pages: bool) -> Recall:
    """What earlier audits kept in `cache` that this job would say again; `pages`: with the runs' pages."""
    seal = code_seal(job)
    return Recall(cache, CachedNotes(cache, seal), job_mark(job, seal), pages)


def _entry(found: Result) -> Entry | None:
    if isinstance(found, Lost):
        return None
    if isinstance(found, Skipped):
        if "internal error" in found.reason:
            return None
        return Entry(json.dumps({"skipped": [found.path, found.reason]}))
    names, record = found.names, found.product
    told: dict[str, Any] = {"own": asdict(found.own), "names": None if names is None else [names.found, names.names]}
    if record is None:
        return Entry(json.dumps(told))
    told["record"] = record.facts
    return Entry(json.dumps(told), record.data)


def _result(entry: Entry) -> Audited[Record] | Skipped | None:
    """None where the summary is not one of ours."""
    try:
        told = json.loads(entry.summary)
        if "skipped" in told:
            return Skipped(*told["skipped"])
        names = None if told["names"] is None else Names(*(_tuples(part) for part in told["names"]))
        record = None
        if "record" in told:
            verdict, severities, left_out, key, page_mark, sizes = told["record"]
            record = Record(verdict, tuple(severities), tuple(left_out), key, page_mark, tuple(sizes), entry.data)
        return Audited(Sibling(**told["own"]), names, record)
    except (ValueError, KeyError, TypeError):
        return None


def _tuples(tree: Any) -> Any:
    return tuple(map(_tuples, tree)) if isinstance(tree, list) else tree
