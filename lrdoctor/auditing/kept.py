"""An audit whose runs are on a disk: what the command line works with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from lrdoctor import __version__
from lrdoctor.auditing.crews import Hands
from lrdoctor.auditing.options import Options, Progress, rules_of
from lrdoctor.auditing.record import ENTRY, PAGE, REST, ROW, MakeRecord, Record
from lrdoctor.auditing.rounds import Ask, in_two_rounds
from lrdoctor.auditing.spool import Spool
from lrdoctor.auditing.task import Job
from lrdoctor.auditing.whole import all_skipped
from lrdoctor.model.diagnosis import Skipped
from lrdoctor.readers.discover import discover
from lrdoctor.report.brief import Brief, brief_from
from lrdoctor.report.html import Marked
from lrdoctor.report.json import entry_text
from lrdoctor.report.tally import Tally
from lrdoctor.report.view_index import on_page

if TYPE_CHECKING:
    from lrdoctor.auditing.cache import Cache
    from lrdoctor.auditing.recall import Recall
    from lrdoctor.readers.noted import Notes


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Everything one audit found; runs are named by their place in `paths`, which is sorted.

    `copies` are those whose name and first record another run has too. `page_marks` tell one text of a page from
    another; `notes` are those in the cache, None where there is none.
    """

    paths: tuple[str, ...]
    copies: frozenset[int]
    page_marks: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    tally: Tally
    spool: Spool
    notes: Notes | None = None
    version: str = __version__

    def entries(self) -> Iterator[str]:
        """The texts of the runs' entries of the JSON document."""
        return map(self._entry, range(len(self.paths)))

    def _entry(self, place: int) -> str:
        text = self.spool.text(place, ENTRY)
        if place not in self.copies:
            return text
        entry, copied = json.loads(text), self._rest(place)["copied"]
        for finding in entry["findings"]:
            finding["id"] = copied[finding["id"]]
        return entry_text(entry)

    def told(self) -> Iterator[dict[str, list[Any]]]:
        """What is said of each run in a terminal."""
        return (self._rest(place)["told"] for place in range(len(self.paths)))

    def pages(self) -> Iterator[Marked]:
        """The runs' pages, with marks where the report is to fill in something."""
        return (Marked(partial(self.spool.text, place, PAGE), mark) for place, mark in enumerate(self.page_marks))

    def brief(self, place: int) -> Brief:
        return brief_from(self._rest(place)["brief"])

    def row(self, place: int) -> str:
        """The text of a run's row in the report's first page."""
        return self.spool.text(place, ROW)

    def _rest(self, place: int) -> Any:
        return json.loads(self.spool.text(place, REST))


class KeptBriefs:
    """The runs in brief, read back one by one."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def __len__(self) -> int:
        return len(self._kept.paths)

    def __iter__(self) -> Iterator[Brief]:
        return map(self._kept.brief, range(len(self)))


class KeptRows:
    """The texts of the first page's rows, read back one by one; `names` are the names of the runs' pages."""

    def __init__(self, kept: Kept, names: Sequence[str]) -> None:
        self._kept = kept
        self._names = names

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self._names)))

    def __getitem__(self, place: int) -> str:
        return on_page(self._kept.row(place), self._names[place])


def audit_kept(
    paths: Sequence[str],
    options: Options,
    progress: Progress = lambda *_: None,
    *,
    pages: bool = True,
    cache: Cache | None = None,
    client: Any = None,
) -> Kept:
    """Audit every run below `paths` as `audit` does, in memory that does not grow with their number.

    `pages` says whether the runs' pages are made; runs that `cache` knows are not audited again.
    `client` is a `distributed.Client`, or the address of a scheduler.
    """
    rules = rules_of(options)
    job = Job(options, MakeRecord(pages))
    if client is not None:
        job = job.for_elsewhere()
    recall = _recall(cache, job, pages)
    found = discover(paths, None if recall is None else recall.notes)
    records: dict[int, Record] = {}
    spool = Spool()

    def keep(place: int, record: Record) -> None:
        spool.keep(place, record)
        records[place] = replace(record, data=b"")

    with Hands(options, client, progress) as hands:
        ask: Ask[Record] = partial(hands.results, job)
        if recall is not None:
            ask = recall.before(ask)
        lost = in_two_rounds(found.runs, rules, options, ask, keep)
    places = [place for place in sorted(records) if place not in lost]
    kept = [records[place] for place in places]
    tally = Tally()
    for record in kept:
        tally.add(record.verdict, record.severities, record.left_out)
    times = Counter(record.key for record in kept)
    return Kept(
        paths=tuple(found.runs[place].path for place in places),
        copies=frozenset(place for place, record in enumerate(kept) if times[record.key] > 1),
        page_marks=tuple(record.page_mark for record in kept),
        skipped=all_skipped(found.skipped, lost.values()),
        tally=tally,
        spool=spool.only(places),
        notes=None if recall is None else recall.notes,
    )


def _recall(cache: Cache | None, job: Job[Record], pages: bool) -> Recall | None:
    if cache is None:
        return None
    from lrdoctor.auditing.recall import recall_from

    return recall_from(cache, job, pages)
