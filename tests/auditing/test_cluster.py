"""The same audit on a Dask cluster: a real scheduler and workers, on this machine's loopback."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lrdoctor.auditing import Options, audit
from lrdoctor.auditing.kept import Kept, audit_kept
from lrdoctor.errors import UsageError
from lrdoctor.report.json import dumps, pieces

distributed = pytest.importorskip("distributed")

SLOW = '''"""Takes its time, and dies of some runs."""
import os
import time
from lrdoctor import Run, rule

@rule("XX001", name="slow")
def slow(run: Run):
    time.sleep(0.2)
    if run.path.endswith("poison"):
        os._exit(9)
    yield from ()
'''


@contextmanager
def cluster(folder: Path, workers: int, *, nanny: bool = False) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a scheduler and its workers' processes; they start in another folder than the audit."""
    folder.mkdir()
    file = folder / "scheduler.json"
    scheduler = _start(folder, "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
    started = [scheduler]
    try:
        address = _address(file)
        each = ("--nthreads", "1", "--nanny" if nanny else "--no-nanny", "--local-directory", str(folder))
        started += [_start(folder, "dask_worker", address, *each) for _ in range(workers)]
        with distributed.Client(address, timeout="60s", set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)
        yield address, started[1:]
    finally:
        for process in reversed(started):
            process.terminate()  # a worker's nanny ends its worker with it
        for process in started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()


def _start(folder: Path, command: str, *arguments: str) -> subprocess.Popen[bytes]:
    told = (sys.executable, "-m", f"distributed.cli.{command}", "--no-dashboard", *arguments)
    return subprocess.Popen(told, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _address(file: Path) -> str:
    """What the scheduler writes once it listens."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(OSError, ValueError):
            return str(json.loads(file.read_text("utf-8"))["address"])
        time.sleep(0.1)
    raise TimeoutError(f"no scheduler wrote {file}")


def written(kept: Kept) -> str:
    return "".join(pieces(kept.entries(), kept.skipped, kept.version))


@pytest.fixture
def slow(write_run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    """Twelve runs below ./runs, of which two are compared, and options that make each of them last."""
    for number in range(10):
        write_run(f"runs/{number}", lr=0.1 + number / 100)
    write_run("runs/small", optimizer="SGD", model="resnet18", batch_size=32)
    write_run("runs/large", optimizer="SGD", model="resnet18", batch_size=512)
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return Options(rules=(tmp_path / "slow.py",))


def test_a_worker_that_is_killed_loses_nothing(slow: Options, tmp_path: Path) -> None:
    local = dumps(audit(["runs"], slow))
    assert "LR401" in local
    with cluster(tmp_path / "dask", 2) as (address, workers):
        killed: list[int] = []

        def progress(what: str, done: int, total: int) -> None:
            if done == 3 and not killed:
                workers[0].kill()
                killed.append(workers[0].pid)

        assert written(audit_kept(["runs"], slow, progress, client=address)) == local
        assert killed
        assert workers[0].wait(timeout=10) != 0
        url = (tmp_path / "runs").as_uri()  # through fsspec
        quick = Options(simulate=False)
        assert dumps(audit([url], quick, client=address)) == dumps(audit([url], quick))


def test_a_clients_cluster_serves_python_and_a_run_that_kills_its_workers_is_reported(
    slow: Options, write_run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run("runs/poison")
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "1")  # by default three workers more die of it
    with cluster(tmp_path / "dask", 1, nanny=True) as (address, _), distributed.Client(address) as client:
        found = audit(["runs"], slow, client=client)
        assert client.status == "running"
    assert len(found.diagnoses) == 12
    (skipped,) = found.skipped
    assert skipped.path == "runs/poison"
    assert "died" in skipped.reason
    assert "KilledWorker" in skipped.reason


def test_no_scheduler_is_a_usage_error(slow: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    from lrdoctor.executors import cluster as module

    monkeypatch.setattr(module, "_PATIENCE", "1s")
    with pytest.raises(UsageError, match="No Dask scheduler answers"):
        audit_kept(["runs"], slow, client="tcp://127.0.0.1:9")
