"""Who audits the runs: this process, several of this machine, or a cluster. One loop for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, TypeVar

from lrdoctor.auditing.options import Options, Progress
from lrdoctor.auditing.task import Task
from lrdoctor.executors.crew import Crew
from lrdoctor.executors.local import LocalCrew, processes_for
from lrdoctor.executors.work import Lost, work

Result = TypeVar("Result")
_MODULES = ("lrdoctor.auditing.task", "lrdoctor.auditing.record", "lrdoctor.readers.tensorboard", "scipy.optimize")


class Hands:
    """A context in which tasks are done. Processes are started when there is enough to do for them.

    `client` is a `distributed.Client` or the address of a scheduler, None for this machine.
    """

    def __init__(self, options: Options, client: Any = None, progress: Progress = lambda *_: None) -> None:
        self._jobs = options.jobs
        self._client = client
        self._progress = progress
        self._open = ExitStack()
        self._crew: Crew | None = None

    def __enter__(self) -> Hands:
        if self._client is not None:
            from lrdoctor.executors.cluster import ClusterCrew

            self._crew = self._open.enter_context(ClusterCrew(self._client))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.__exit__(kind, error, at)

    def results(
        self, job: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Result | Lost]]:
        """The place and the result of each task, as they are done."""
        found: Iterator[tuple[int, Result | Lost]]
        crew = self._crew_for(len(tasks))
        found = enumerate(map(job, tasks)) if crew is None else work(job, tasks, crew)
        for done, pair in enumerate(found, start=1):
            self._progress("auditing", done, len(tasks))
            yield pair

    def _crew_for(self, tasks: int) -> Crew | None:
        """None where this process is enough."""
        processes = processes_for(tasks, self._jobs)
        if self._crew is None and processes > 1:
            self._crew = self._open.enter_context(LocalCrew(processes, _MODULES))
        return self._crew
