"""What an executor has to tell about itself for its work to survive the death of a process."""

from __future__ import annotations

from concurrent.futures import Executor
from types import TracebackType
from typing import Protocol


class Crew(Protocol):
    """An executor, how much it takes at once, and what its processes die of. A context manager, which closes it."""

    @property
    def executor(self) -> Executor:
        """The executor to submit to now."""

    def room(self) -> int:
        """How many tasks to have under way: enough that no process waits for one."""

    def died(self, error: BaseException) -> bool:
        """Whether this error of a task says that the process died that worked on it."""

    def renew(self) -> None:
        """Get an executor that takes tasks again, where the last one broke. UsageError where there is none."""

    def __enter__(self) -> Crew: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give up what is still under way."""
