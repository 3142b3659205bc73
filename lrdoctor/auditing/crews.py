"""Who audits the runs: this process, several of this machine, or a cluster. One loop for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from lrdoctor.auditing.options import Options, Progress
from lrdoctor.auditing.task import Task
from lrdoctor.executors.crew import Crew
from lrdoctor.executors.local import LocalCrew, processes_for
from lrdoctor.executors.work import Lost, work

Result = TypeVar("Result")
_MODULES = ("lrdoctor.auditing.task", "lrdoctor.auditing.record", "lrdoctor.readers.tensorboard", "scipy.optimize")


def crew_for(runs: int, options: Options, client: Any = None) -> Crew | None:
    """The cluster of a `distributed.Client` (or at an address), else processes, else None: this process is enough."""
    if client is not None:
        from lrdoctor.executors.cluster import ClusterCrew

        return ClusterCrew(client)
    processes = processes_for(runs, options.jobs)
    return LocalCrew(processes, _MODULES) if processes > 1 else None


def results(
    job: Callable[[Task], Result], tasks: Sequence[Task], *, crew: Crew | None, progress: Progress
) -> Iterator[tuple[int, Result | Lost]]:
    """The place and the result of each task, as they are done."""
    found: Iterator[tuple[int, Result | Lost]]
    found = enumerate(map(job, tasks)) if crew is None else work(job, tasks, crew)
    for done, pair in enumerate(found, start=1):
        progress("auditing", done, len(tasks))
        yield pair
