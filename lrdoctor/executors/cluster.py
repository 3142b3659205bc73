"""The workers of a Dask cluster (`pip install 'lrdoctor[cluster]'`)."""

from __future__ import annotations

from concurrent.futures import CancelledError, Executor
from importlib import import_module
from types import TracebackType
from typing import Any

from lrdoctor.errors import MissingExtraError, UsageError

_AHEAD = 2  # tasks under way for each thread of the cluster
_AT_LEAST = 16  # and in all: workers may join while the audit runs
_PATIENCE = "10s"


class ClusterCrew:
    """A cluster by the address of its scheduler, or by a `distributed.Client`, which is left open.

    Dask itself gives what a dead worker was doing to another one; a task under which several died one after the other
    is handed back. UsageError where no scheduler answers.
    """

    def __init__(self, where: str | Any) -> None:
        self._own = isinstance(where, str)
        self._client = _connected(where) if isinstance(where, str) else where
        self._executor: Executor = self._client.get_executor(pure=False)

    @property
    def executor(self) -> Executor:
        return self._executor

    def room(self) -> int:
        threads: int = sum(self._client.nthreads().values())
        return max(_AT_LEAST, _AHEAD * threads)

    def died(self, error: BaseException) -> bool:
        from distributed import KilledWorker

        return isinstance(error, KilledWorker | CancelledError)

    def renew(self) -> None:
        if self._client.status != "running":
            raise UsageError("The cluster was lost.", where=str(self._client), hint="see the scheduler's log")

    def __enter__(self) -> ClusterCrew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._executor.shutdown(wait=kind is None)
        if self._own:
            self._client.close()


def _connected(address: str) -> Any:
    try:
        client: Any = import_module("distributed").Client
    except ImportError as missing:
        raise MissingExtraError(
            "An audit on a cluster needs Dask, which is not installed.",
            why=str(missing),
            hint="pip install 'lrdoctor[cluster]'",
        ) from missing
    try:
        return client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(
            "No Dask scheduler answers.",
            where=address,
            why=f"{type(error).__name__}: {error}",
            hint="start one with `dask scheduler`, and give its address as it prints it: tcp://HOST:8786",
        ) from error
