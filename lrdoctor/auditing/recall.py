"""Only what has changed is audited again: tasks answered from the cache, and what is new kept in it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lrdoctor.auditing.cache import Cache, Entry
from lrdoctor.auditing.options import rules_mark
from lrdoctor.auditing.record import Record
from lrdoctor.auditing.rounds import Ask
from lrdoctor.auditing.tags import Names
from lrdoctor.auditing.task import Audited, Job, Task
from lrdoctor.engine import Sibling
from lrdoctor.executors.work import Lost
from lrdoctor.model.diagnosis import Skipped
from lrdoctor.readers.marks import mark_of
from lrdoctor.resources import package_dir, templates_dir

_PACKAGES = ("numpy", "scipy", "pandas", "torch", "pyarrow", "tensorboard", "plotly")  # what results may hang on
Result = Audited[Record] | Skipped | Lost


@dataclass(frozen=True, slots=True)
class Recall:
    """Stands before `ask`: what the cache holds is answered at once, the rest is asked and then kept."""

    cache: Cache
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
        files = mark_of(task.files, self.cache)
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
        lacks_page = isinstance(found, Audited) and found.product is not None and not found.product.page
        return None if self.pages and lacks_page else found

    def _keep(self, key: str | None, task: Task, found: Result) -> None:
        """Not what may turn out otherwise next time, nor what was read from files that have changed since."""
        entry = _entry(found)
        if key is not None and entry is not None and self._key(task) == key:
            self.cache.keep(key, entry)


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
    told["record"] = [record.verdict, record.severities, record.left_out, record.key]
    return Entry(json.dumps(told), record.data, record.page)


def _result(entry: Entry) -> Audited[Record] | Skipped | None:
    """None where the summary is not one of ours."""
    try:
        told = json.loads(entry.summary)
        if "skipped" in told:
            return Skipped(*told["skipped"])
        names = None if told["names"] is None else Names(*(_tuples(part) for part in told["names"]))
        record = None
        if "record" in told:
            verdict, severities, left_out, key = told["record"]
            record = Record(verdict, tuple(severities), tuple(left_out), key, entry.data, entry.page)
        return Audited(Sibling(**told["own"]), names, record)
    except (ValueError, KeyError, TypeError):
        return None


def _tuples(tree: Any) -> Any:
    return tuple(map(_tuples, tree)) if isinstance(tree, list) else tree


def job_mark(job: Job[Any]) -> str:
    """Equal for two audits that must say the same of the same run: one lrdoctor, one set of rules, the same options."""
    options = job.options
    asked = {
        "rule_options": options.rule_options,
        "simulate": options.simulate,
        "device": options.device,
        "tags": options.tags,
        "limits": asdict(job.limits),
        "version": job.version,
        "code": _code_mark(),
        "rules": rules_mark(options),
        "library": _content(_library()),
        "packages": [_version(name) for name in _PACKAGES],
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


def _code_mark() -> str:
    """Changes with lrdoctor's own files: a checkout has one version for long."""
    files = sorted(file for folder in (package_dir(), templates_dir()) for file in folder.rglob("*") if _counts(file))
    told = [(file.name, status.st_size, status.st_mtime_ns) for file in files for status in (file.stat(),)]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _counts(file: Path) -> bool:
    return file.suffix in (".py", ".json", ".html", ".css", ".js", ".svg")


def _library() -> Path:
    from lrdoctor.simulate.user_library import library_file

    return library_file()


def _content(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() if os.path.isfile(file) else ""
    except OSError:
        return ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
