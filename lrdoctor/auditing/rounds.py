"""All runs of an audit, in two rounds: each by itself, then again those that rules compare with others.

What a rule would compare a run with is known only when all runs have been summed up. Few runs are compared, so each is
audited as if it were alone, at first; nothing but its summary has to be kept in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from lrdoctor.auditing.options import Options
from lrdoctor.auditing.tags import Names, check_tags
from lrdoctor.auditing.task import Audited, Task
from lrdoctor.engine import Fleet, Rule, Sibling
from lrdoctor.executors.work import Lost
from lrdoctor.model.diagnosis import Skipped
from lrdoctor.readers.discover import RunFiles

Product = TypeVar("Product")
Ask = Callable[[Sequence[Task]], Iterator[tuple[int, Audited[Product] | Skipped | Lost]]]
"""Tasks in, the place and the result of each out, in any order."""


def in_two_rounds(
    runs: Sequence[RunFiles],
    rules: Sequence[Rule],
    options: Options,
    ask: Ask[Product],
    keep: Callable[[int, Product], None],
) -> dict[int, Skipped]:
    """Audit `runs`; `keep` takes the place of a run and what was made of it, a second time where it was audited again.

    The result holds, by place, the runs that could not be used, with the reasons. UsageError for a tag no run has.
    """
    in_short = len(runs) > 1 and any(rule.looks_beside and rule.compares is None for rule in rules)
    lost: dict[int, Skipped] = {}
    own: dict[int, Sibling] = {}
    names: list[Names | None] = []
    for place, found in ask([Task(files, in_short=in_short) for files in runs]):
        if not isinstance(found, Audited):
            lost[place] = _skipped(runs[place], found)
            continue
        own[place] = found.own
        names.append(found.names)
        if found.product is not None:
            keep(place, found.product)
    check_tags(names, options)
    again = _compared(own, rules, options, every=in_short)
    places = list(again)
    for index, found in ask([Task(runs[place], chosen) for place, chosen in again.items()]):
        if not isinstance(found, Audited):
            lost[places[index]] = _skipped(runs[places[index]], found)
        elif found.product is not None:
            keep(places[index], found.product)
    return lost


def _compared(
    own: dict[int, Sibling], rules: Sequence[Rule], options: Options, *, every: bool
) -> dict[int, dict[str, tuple[Sibling, ...]]]:
    """The runs to audit again, each with those that rules compare it with."""
    places = sorted(own)
    fleet = Fleet(rules, [own[place] for place in places], options.rule_options)
    found = {}
    for index, place in enumerate(places):
        chosen = fleet.chosen(index)
        if chosen or every:
            found[place] = chosen
    return found


def _skipped(files: RunFiles, found: Skipped | Lost) -> Skipped:
    if isinstance(found, Skipped):
        return found
    reason = f"its process died while it was audited, again when nothing else was under way ({found.reason})"
    return Skipped(files.path, reason)
