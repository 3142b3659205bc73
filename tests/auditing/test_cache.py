"""Only what has changed is audited again."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.auditing import Options, task
from lrdoctor.auditing.cache import Cache, cache_file
from lrdoctor.auditing.kept import Kept, audit_kept
from lrdoctor.auditing.notes import CachedNotes
from lrdoctor.readers import marks
from lrdoctor.readers.discover import RunFiles
from lrdoctor.report.json import pieces

Write = Callable[..., Path]


class Audits:
    """Audits of ./runs with one cache; `read` names the runs that were read, `told` what was said of the cache."""

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = file
        self.read: list[str] = []
        self.told: list[str] = []
        examine = task.examine_one
        monkeypatch.setattr(task, "examine_one", lambda files, options: self._note(files) or examine(files, options))

    def _note(self, files: Any) -> None:
        self.read.append(files.path.removeprefix("runs/"))

    def __call__(self, *, pages: bool = False, **options: Any) -> str:
        self.read.clear()
        with closing(Cache(self.file, self.told.append)) as cache:
            kept = audit_kept(["runs"], Options(simulate=False, **options), pages=pages, cache=cache)
        assert not pages or all(page.text() and page.mark for page in kept.pages())
        return written(kept)


def written(kept: Kept) -> str:
    return "".join(pieces(kept.entries(), kept.skipped, kept.version))


@pytest.fixture
def audits(write_run: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audits:
    write_run("runs/a", optimizer="SGD", model="resnet18", batch_size=32)
    write_run("runs/b", optimizer="SGD", model="resnet18", batch_size=512)
    write_run("runs/c", lr=0.3)
    monkeypatch.chdir(tmp_path)
    return Audits(tmp_path / "cache" / "file.sqlite", monkeypatch)


def test_what_has_not_changed_is_not_read_again(audits: Audits) -> None:
    first = audits()
    assert audits.read == ["a", "b", "c", "b"]  # b again, beside a
    assert audits() == first
    assert audits.read == []
    assert audits.told == []


def test_a_changed_run_alone_is_read_again(audits: Audits, write_run: Write) -> None:
    audits()
    write_run("runs/c", lr=0.2)
    assert '"peak_lr": 0.2' in audits()
    assert audits.read == ["c"]


def test_a_run_is_read_again_when_one_it_is_compared_with_changes(audits: Audits, write_run: Write) -> None:
    assert "LR401" in audits()
    write_run("runs/a", optimizer="SGD", model="resnet18", batch_size=16)
    assert '"baseline_batch_size": 16' in audits()
    assert audits.read == ["a", "b"]
    write_run("runs/d", optimizer="SGD", model="another", batch_size=1)
    audits()
    assert audits.read == ["d"]


def test_a_copy_with_other_times_is_known_by_its_content(audits: Audits, tmp_path: Path) -> None:
    first = audits()
    shutil.copytree(tmp_path / "runs", tmp_path / "copy")  # times of now
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "copy").rename(tmp_path / "runs")
    assert audits() == first
    assert audits.read == []


def test_a_change_of_the_same_size_is_seen_although_the_time_is_put_back(audits: Audits, tmp_path: Path) -> None:
    audits()
    log = tmp_path / "runs" / "c" / "metrics.csv"
    status = log.stat()
    log.write_text(log.read_text("utf-8").replace("0.3", "0.4"), encoding="utf-8")
    os.utime(log, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert '"peak_lr": 0.4' in audits()


def test_other_options_rules_and_pages_ask_anew(audits: Audits, tmp_path: Path) -> None:
    audits()
    audits(select=("LR4",))
    assert audits.read[:3] == ["a", "b", "c"]
    rule = tmp_path / "rules.py"
    text = '"""A."""\nfrom lrdoctor import Run, rule\n@rule("XX001", name="a")\ndef a(run: Run):\n    yield from ()\n'
    for more in ("", "# changed\n"):
        rule.write_text(text + more, encoding="utf-8")
        audits(rules=(rule,))
        assert audits.read[:3] == ["a", "b", "c"]
    audits(pages=True)
    assert audits.read == ["a", "b", "c", "b"]
    audits(pages=True)
    assert audits.read == []


@pytest.mark.parametrize("damage", ["no database", "cut", "overwritten"])
def test_a_damaged_file_is_told_and_begun_anew(audits: Audits, damage: str) -> None:
    first = audits()
    content = audits.file.read_bytes()
    broken = {
        "no database": b"not a database at all" * 100,
        "cut": content[: len(content) // 2],
        "overwritten": content[:4096] + b"\xa5" * (len(content) - 4096),
    }
    for beside in audits.file.parent.glob("*-*"):
        beside.unlink()
    audits.file.write_bytes(broken[damage])
    assert audits() == first
    assert audits.told
    assert "damaged" in audits.told[0]
    audits.told.clear()
    assert audits() == first
    assert (audits.read, audits.told) == ([], [])


def test_an_entry_that_is_not_what_was_kept_is_left_out(audits: Audits) -> None:
    first = audits()
    with closing(sqlite3.connect(audits.file)) as base, base:
        base.execute("UPDATE runs SET data = substr(data, 2)")
    assert audits() == first
    assert "An entry of the cache is damaged" in audits.told[0]
    assert set(audits.read) == {"a", "b", "c"}


def test_where_no_cache_can_be_the_audit_goes_on(audits: Audits, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with closing(Cache(tmp_path / "file" / "cache.sqlite", audits.told.append)) as cache:
        kept = audit_kept(["runs"], Options(simulate=False), cache=cache)
    assert len(kept.paths) == 3
    assert "cannot be used" in audits.told[0]


def test_two_audits_at_once_share_a_cache(audits: Audits, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lrdoctor", "audit", "runs", "--no-simulate", "--no-report", "--format", "json"]
    asked = {**os.environ, "LRDOCTOR_CACHE": str(tmp_path / "shared")}
    both = [subprocess.Popen(command, env=asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    (first, said), (second, also) = (one.communicate(timeout=120) for one in both)
    assert first == second
    assert (said, also) == (b"", b"")
    (file,) = (tmp_path / "shared").glob("*.sqlite")
    with closing(sqlite3.connect(file)) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert base.execute("SELECT count(*) FROM runs").fetchone() == (4,)


def test_the_command_line_says_where_the_cache_is_and_clears_it(
    audits: Audits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from lrdoctor.cli.main import cli

    def lrdoctor(*arguments: str) -> str:
        return CliRunner().invoke(cli, arguments, catch_exceptions=False).output

    monkeypatch.setenv("LRDOCTOR_CACHE", str(tmp_path / "own"))
    audit = ("audit", "runs", "--no-simulate", "--no-report", "--quiet", "--fail-on", "never")
    lrdoctor(*audit, "--no-cache")
    assert not (tmp_path / "own").exists()
    lrdoctor(*audit)
    assert f"{tmp_path / 'own'}" in lrdoctor("cache")
    assert "4 runs" in lrdoctor("cache")
    assert "removed" in lrdoctor("cache", "clear")
    assert "no cache" in lrdoctor("cache", "clear")
    assert "0 runs" in lrdoctor("cache")
    monkeypatch.setenv("LRDOCTOR_CACHE", "off")
    assert "switched off" in lrdoctor("cache")


def test_by_default_the_cache_lies_where_the_platform_keeps_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LRDOCTOR_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = cache_file()
    assert file is not None
    assert file.parent == tmp_path / "lrdoctor"


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lrdoctor.auditing import cache as module

    monkeypatch.setattr(module, "LIMIT", 1000)
    file = tmp_path / "cache.sqlite"
    with closing(Cache(file, pytest.fail)) as cache:
        for name in ("old", "used", "new"):
            cache.keep(name, module.Entry("{}", b"x" * 300))
        with closing(sqlite3.connect(file)) as base, base:
            base.execute("UPDATE uses SET used = used - 5 WHERE key != 'new'")
        assert cache.find("used") is not None
        cache.keep("more", module.Entry("{}", b"x" * 300))
    with closing(Cache(file, pytest.fail)) as cache:
        assert cache.find("old") is None
        assert cache.find("used") is not None


def test_a_url_is_known_by_what_its_store_says(
    write_run: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec")
    url = f"{write_run('runs/a').as_uri()}/metrics.csv"
    files = RunFiles(url, (url,))
    with closing(Cache(tmp_path / "cache.sqlite", pytest.fail)) as cache:
        known = CachedNotes(cache, b"seal")
        first = marks.mark_of(files, known)
        assert first is not None
        assert marks.mark_of(files, known) == first
        write_run("runs/a", lr=0.2)
        assert marks.mark_of(files, known) not in (None, first)
        monkeypatch.setattr(marks, "remote_mark", lambda url: None)
        assert marks.mark_of(files, known) is None


def test_a_large_file_is_known_by_its_state_and_its_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "WHOLE", 1000)
    monkeypatch.setattr(marks, "_ENDS", 100)
    log = tmp_path / "log.csv"
    files = RunFiles(str(log), (str(log),))
    with closing(Cache(tmp_path / "cache.sqlite", pytest.fail)) as cache:
        known = CachedNotes(cache, b"seal")
        found = []
        for text in ("a" * 2000, "b" + "a" * 1999, "b" + "a" * 2000):
            log.write_text(text, encoding="utf-8")
            os.utime(log, ns=(10**18, 10**18))
            found.append(marks.mark_of(files, known))
        assert len(set(found)) == 3
        log.unlink()
        assert marks.mark_of(files, known) is None


def test_a_note_that_was_damaged_or_is_of_another_lrdoctor_is_none(tmp_path: Path) -> None:
    file = tmp_path / "cache.sqlite"
    with closing(Cache(file, pytest.fail)) as cache:
        notes = CachedNotes(cache, b"seal")
        notes.note("roles", "/runs\udcff", {"a.csv": ["state", "log"]})
        assert notes.noted("roles", "/runs\udcff") == {"a.csv": ["state", "log"]}
        assert CachedNotes(cache, b"other").noted("roles", "/runs\udcff") is None
        assert notes.noted("content", "/runs\udcff") is None
        with closing(sqlite3.connect(file)) as base, base:
            base.execute("UPDATE notes SET told = replace(told, 'log', 'lag')")
        assert notes.noted("roles", "/runs\udcff") is None


def test_what_comes_out_of_the_cache_is_the_same_byte_for_byte(
    audits: Audits, write_run: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from lrdoctor.cli.main import cli

    write_run("runs/other/b", optimizer="SGD", model="resnet18", batch_size=512)  # named and begun as runs/b is
    monkeypatch.setenv("LRDOCTOR_CACHE", str(tmp_path / "own"))

    def audit(*more: str, report: str) -> str:
        asked = ("audit", "runs", "--no-simulate", "--fail-on", "never", "--report", report, *more)
        return CliRunner().invoke(cli, asked, catch_exceptions=False).stdout.replace(report, "report")

    def pages(report: str) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in (tmp_path / report).iterdir()}

    audit(report="kept")
    audits.read.clear()
    write_run("runs/c", lr=0.2)
    for format_ in ("json", "text", "sarif", "junit", "github", "markdown"):
        known = audit("--format", format_, report="kept")
        assert audits.read == (["c"] if format_ == "json" else [])
        assert known == audit("--format", format_, "--no-cache", report="fresh")
        assert pages("kept") == pages("fresh")
        audits.read.clear()
    left = (tmp_path / "kept" / "index.html").stat().st_mtime_ns
    written = {file.name for file in (tmp_path / "kept").iterdir() if file.stat().st_mtime_ns >= left}
    assert written == {"index.html"}
