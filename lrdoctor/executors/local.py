"""Processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from types import TracebackType

from lrdoctor.errors import UsageError

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_RUNS_A_PROCESS = 8  # below that a process costs more to start than it gains


def cores() -> int:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processes_for(tasks: int, jobs: int) -> int:
    """How many processes to start: `jobs`, or where that is 0 one a core, if there is enough to do."""
    wanted = jobs or min(cores(), tasks // _RUNS_A_PROCESS)
    return max(1, min(wanted, tasks))


class LocalCrew:
    """A pool of processes, each with one thread for its arithmetic. A pool that broke is replaced.

    UsageError where no process stays alive at all.

    `modules` are imported once and shared by the processes, where the system can fork.
    """

    def __init__(self, processes: int, modules: Sequence[str] = ()) -> None:
        self._processes = processes
        self._context = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
        self._context.set_forkserver_preload(list(modules))
        self._pool = self._new()

    @property
    def executor(self) -> ProcessPoolExecutor:
        return self._pool

    def room(self) -> int:
        return 2 * self._processes

    def died(self, error: BaseException) -> bool:
        return isinstance(error, BrokenExecutor)

    def renew(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._new()

    def __enter__(self) -> LocalCrew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def _new(self) -> ProcessPoolExecutor:
        if self._context.get_start_method() == "forkserver":
            from multiprocessing.forkserver import ensure_running

            with _environment(_ONE_THREAD):  # the server imports numpy, which asks for its threads then
                ensure_running()
        pool = ProcessPoolExecutor(self._processes, mp_context=self._context, initializer=_start)
        try:
            pool.submit(os.getpid).result()
        except BrokenExecutor as error:
            raise UsageError(
                "No process could be started to work in.",
                why=f"the first one died at once ({error})",
                hint="a script that asks for several jobs needs `if __name__ == '__main__':` around what it does;"
                " or ask for one job",
            ) from error
        return pool


def _start() -> None:
    """Ctrl-C is the parent's to handle."""
    for name, value in _ONE_THREAD.items():
        os.environ.setdefault(name, value)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    """Variables for the processes that are started within, where the user has not set them."""
    added = [name for name in wanted if name not in os.environ]
    os.environ.update({name: wanted[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
