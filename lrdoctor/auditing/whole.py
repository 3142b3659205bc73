"""The audit from Python: every diagnosis in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from lrdoctor import __version__
from lrdoctor.auditing.crews import Hands
from lrdoctor.auditing.one import examine_one
from lrdoctor.auditing.options import Options, Progress, rules_of
from lrdoctor.auditing.rounds import in_two_rounds
from lrdoctor.auditing.task import Job
from lrdoctor.engine import Evidence, Rule
from lrdoctor.model.diagnosis import Audit, Diagnosis, Skipped
from lrdoctor.readers.discover import RunFiles, discover


def audit(
    paths: Sequence[str],
    options: Options | None = None,
    progress: Progress = lambda *_: None,
    *,
    client: Any = None,
) -> Audit:
    """Audit every run below `paths`.

    With `options.jobs` other than 1 in so many processes, with `client`, a `distributed.Client`, on its cluster: then
    the paths must be seen by every worker. The result is the same.

    A run that cannot be used is listed in `Audit.skipped` with the reason; the others are not affected. Raises
    `UsageError` for a missing path, an unknown rule code or a broken rule file.
    """
    options = options or Options()
    rules = rules_of(options)
    found = discover(paths)
    diagnoses: dict[int, Diagnosis] = {}
    job = Job(options, _itself)
    if client is not None:
        job = job.for_elsewhere()
    with Hands(options, client, progress) as hands:
        ask = partial(hands.results, job)
        lost = in_two_rounds(found.runs, rules, options, ask, diagnoses.__setitem__)
    kept = (diagnoses[place] for place in sorted(diagnoses) if place not in lost)
    return Audit(tuple(kept), all_skipped(found.skipped, lost.values()), __version__)


def _itself(diagnosis: Diagnosis, rules: tuple[Rule, ...]) -> Diagnosis:
    return diagnosis


def examine(
    paths: Sequence[str], options: Options, progress: Progress = lambda *_: None
) -> tuple[list[Evidence], tuple[Skipped, ...]]:
    """Find, read, reconstruct and identify every run below `paths`; what could not be used, with the reasons."""
    found = discover(paths)
    examined = list(_examined(found.runs, options, progress))
    lost = [one for one in examined if isinstance(one, Skipped)]
    return [one for one in examined if isinstance(one, Evidence)], all_skipped(found.skipped, lost)


def _examined(runs: Sequence[RunFiles], options: Options, progress: Progress) -> Iterator[Evidence | Skipped]:
    for done, files in enumerate(runs, start=1):
        yield examine_one(files, options)
        progress("reading", done, len(runs))


def all_skipped(found: Iterable[Skipped], lost: Iterable[Skipped]) -> tuple[Skipped, ...]:
    """What was not audited, each once, sorted."""
    return tuple(sorted({*found, *lost}, key=lambda item: (item.path, item.reason)))
