"""Tasks in, results out, each exactly once, whatever happens to the processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from lrdoctor.executors.crew import Crew

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Lost:
    """A task that killed the process working on it, again when nothing else was under way."""

    reason: str


def work(
    function: Callable[[Task], Result], tasks: Sequence[Task], crew: Crew
) -> Iterator[tuple[int, Result | Lost]]:
    """The place in `tasks` and the result of each, as they are done.

    When a process dies, whatever was under way with it is suspected, and tried again alone, one task after the other:
    what kills its process again is the culprit and `Lost`, everything else is done as if nothing had happened. An
    error that `function` raises ends all.
    """
    yield from _Work(function, tasks, crew).results()


class _Work(Generic[Task, Result]):
    def __init__(self, function: Callable[[Task], Result], tasks: Sequence[Task], crew: Crew) -> None:
        self._function = function
        self._tasks = tasks
        self._crew = crew
        self._waiting = deque(range(len(tasks)))
        self._suspects: deque[int] = deque()
        self._under_way: dict[Future[Result], int] = {}

    def results(self) -> Iterator[tuple[int, Result | Lost]]:
        while self._waiting or self._suspects or self._under_way:
            alone = self._feed()
            for future in wait(self._under_way, return_when=FIRST_COMPLETED).done:
                place = self._under_way.pop(future)
                found = self._result(future, place, alone)
                if found is not None:
                    yield place, found

    def _feed(self) -> bool:
        """Submit what there is room for. A suspect goes alone, once all others are done; True where it is its turn."""
        if not self._suspects:
            while self._waiting and len(self._under_way) < self._crew.room():
                self._submit(self._waiting.popleft())
            return False
        if self._under_way:
            return False
        self._submit(self._suspects.popleft())
        return True

    def _submit(self, place: int) -> None:
        try:
            future = self._crew.executor.submit(self._function, self._tasks[place])
        except BrokenExecutor:
            self._crew.renew()
            future = self._crew.executor.submit(self._function, self._tasks[place])
        self._under_way[future] = place

    def _result(self, future: Future[Result], place: int, alone: bool) -> Result | Lost | None:
        """None where the task has to be tried again."""
        try:
            return future.result()
        except BaseException as error:
            if not self._crew.died(error):
                raise
            self._crew.renew()
            if alone:
                return Lost(f"{type(error).__name__}: {error}")
            self._suspects.append(place)
            return None
