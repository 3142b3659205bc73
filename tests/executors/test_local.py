"""Work done by processes that may die."""

from __future__ import annotations

import operator
import os
import subprocess
import sys
from functools import partial
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.executors import local
from lrdoctor.executors.local import LocalCrew, processes_for
from lrdoctor.executors.work import Lost, work


def done(*tasks: Any) -> list[tuple[int, Any]]:
    with LocalCrew(2) as crew:
        return sorted(work(operator.call, tasks, crew), key=lambda pair: pair[0])


def test_every_task_is_done_once() -> None:
    assert done(*(partial(sqrt, n * n) for n in range(20))) == [(n, float(n)) for n in range(20)]


def test_what_kills_its_process_is_lost_and_nothing_else_is() -> None:
    harmless = [partial(abs, n) for n in range(6)]
    results = done(*harmless[:3], partial(os._exit, 9), *harmless[3:], partial(os._exit, 1))
    assert [place for place, _ in results] == list(range(8))
    assert [place for place, found in results if isinstance(found, Lost)] == [3, 7]
    assert "terminated" in results[3][1].reason
    assert [found for _, found in results if not isinstance(found, Lost)] == list(range(6))


def test_an_error_ends_the_work() -> None:
    with pytest.raises(ValueError, match=r"math domain|nonnegative"):
        done(partial(sqrt, 1.0), partial(sqrt, -1.0))


def test_as_many_processes_are_started_as_there_is_work_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "cores", lambda: 4)
    assert [processes_for(tasks, 0) for tasks in (0, 1, 15, 16, 1000)] == [1, 1, 1, 2, 4]
    assert [processes_for(tasks, 3) for tasks in (0, 1, 2, 1000)] == [1, 1, 2, 3]


def test_a_script_without_a_guard_is_told_to_have_one(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("from lrdoctor.executors.local import LocalCrew\nLocalCrew(1)\n", encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "if __name__ == '__main__'" in done.stderr.splitlines()[-1]
