"""What an earlier look at files noted is taken for granted as long as they are as they were, and no longer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.readers import marks, roles
from lrdoctor.readers.discover import Discovery, discover
from lrdoctor.readers.file_role import FileRole

TABLE = "step,lr,loss\n" + "".join(f"{step},0.1,2.0\n" for step in range(9))
TICK = 0.02  # seconds: longer than one of the clock that files are stamped by
WIDE = "Step,one - lr,two - lr\n0,0.1,0.2\n1,0.1,0.2\n"  # two runs side by side, as W&B exports them


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were looked at; all files count as written long ago."""
    found: list[str] = []
    look = roles.role_of

    def looked(path: str) -> FileRole:
        found.append(Path(path).name)
        return look(path)

    monkeypatch.setattr(roles, "role_of", looked)
    monkeypatch.setattr(roles, "is_settled", lambda status: True)
    return found


@pytest.fixture
def look(tmp_path: Path, notes: Any, opened: list[str]) -> Callable[[], Discovery]:
    """Search for runs with the notes; the answer must be the one without them."""

    def looked() -> Discovery:
        without = discover([str(tmp_path)])
        opened.clear()
        assert discover([str(tmp_path)], notes) == without
        return without

    return looked


def test_files_that_are_as_they_were_are_not_opened_again(
    tmp_path: Path, opened: list[str], look: Callable[[], Discovery]
) -> None:
    for name, text in (("a", TABLE), ("b", TABLE), ("export", WIDE)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text(text, encoding="utf-8")
        (tmp_path / name / "hparams.yaml").write_text("lr: 0.1\n", encoding="utf-8")
    first = look()
    assert len(first.runs) == 4
    assert sorted(opened) == ["hparams.yaml"] * 3 + ["metrics.csv"] * 3
    assert look() == first
    assert opened == []
    (tmp_path / "b" / "metrics.csv").write_text("name,age\nx,3\n", encoding="utf-8")
    assert len(look().runs) == 3
    assert opened == ["metrics.csv"]
    (tmp_path / "a" / "more.csv").write_text(TABLE, encoding="utf-8")
    assert "more.csv" in str(look().runs)
    assert opened == ["more.csv", "metrics.csv"]  # of a, and again b's, which is no log


def test_a_file_put_in_the_place_of_another_is_looked_at_although_size_and_time_are_the_same(
    tmp_path: Path, opened: list[str], look: Callable[[], Discovery]
) -> None:
    log = tmp_path / "metrics.csv"
    log.write_text(TABLE, encoding="utf-8")
    assert len(look().runs) == 1
    before = log.stat()
    time.sleep(TICK)
    log.write_text("x" * len(TABLE), encoding="utf-8")  # in place: the same inode
    os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert look().runs == ()
    other = tmp_path / "other"
    other.write_text(TABLE, encoding="utf-8")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(log)
    assert len(look().runs) == 1


def test_what_was_written_this_moment_is_not_noted(
    tmp_path: Path, notes: Any, opened: list[str], look: Callable[[], Discovery], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrdoctor.readers import noted

    monkeypatch.setattr(roles, "is_settled", noted.is_settled)
    log = tmp_path / "metrics.csv"
    log.write_text(TABLE, encoding="utf-8")
    os.utime(log, ns=(10**18, 10**18))  # the time of writing was put back, that of the change cannot be
    look()
    (run,) = look().runs
    assert opened == ["metrics.csv"]
    assert marks.mark_of(run, notes) is not None
    assert notes.told == {}


def test_a_log_whose_runs_could_not_be_read_is_looked_at_again(
    tmp_path: Path, notes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrdoctor.readers import detect

    (tmp_path / "export.csv").write_text(WIDE, encoding="utf-8")

    def fails(path: str) -> list[str]:
        raise OSError("out of reach")

    with monkeypatch.context() as patched:
        patched.setitem(detect._SEVERAL, "csv", fails)
        assert len(discover([str(tmp_path)], notes).runs) == 1
    assert len(discover([str(tmp_path)], notes).runs) == 2
