"""The same audit in one process and in several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrdoctor.auditing import Options, audit
from lrdoctor.auditing.kept import Kept, audit_kept
from lrdoctor.report.json import dumps, pieces

KILLS = '''"""Dies of a run."""
import os
from lrdoctor import Run, rule

@rule("XX001", name="kills")
def kills(run: Run):
    if run.path.endswith("poison"):
        os._exit(9)
    yield from ()
'''


def written(kept: Kept) -> str:
    return "".join(pieces(kept.entries(), kept.skipped, kept.version))


@pytest.fixture
def runs(write_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Four runs, of which one has a batch 16 times that of another at the same learning rate, and two broken files."""
    for name, batch in (("a", 32), ("b", 512), ("c", 48)):
        write_run(f"runs/{name}", model="resnet18", optimizer="SGD", batch_size=batch)
    write_run("runs/d", lr=0.3)
    (tmp_path / "runs" / "metrics.csv").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return "runs"


def test_what_is_kept_on_disk_gives_the_same_text_as_what_is_in_memory(runs: str) -> None:
    whole = audit([runs], Options(simulate=False))
    assert written(audit_kept([runs], Options(simulate=False))) == dumps(whole)
    codes = {one.run.path: [finding.code for finding in one.active] for one in whole.diagnoses}
    assert "LR401" in codes["runs/b"]
    assert "LR401" not in codes["runs/c"]
    assert [one.path for one in whole.skipped] == ["runs/metrics.csv"]


def test_two_processes_give_the_same_bytes_as_one(runs: str) -> None:
    one, two = (audit_kept([runs], Options(simulate=False, jobs=jobs)) for jobs in (1, 2))
    assert written(one) == written(two)
    assert [page.text() for page in one.pages()] == [page.text() for page in two.pages()]
    assert dumps(audit([runs], Options(simulate=False, jobs=2))) == written(one)


def test_a_run_that_kills_its_process_is_reported_and_the_others_are_audited(
    runs: str, write_run: Callable[..., Path], tmp_path: Path
) -> None:
    write_run("runs/poison")
    (tmp_path / "kills.py").write_text(KILLS, encoding="utf-8")
    kept = audit_kept([runs], Options(simulate=False, jobs=2, rules=(tmp_path / "kills.py",)))
    assert list(kept.paths) == ["runs/a", "runs/b", "runs/c", "runs/d"]
    reasons = {one.path: one.reason for one in kept.skipped}
    assert "its process died while it was audited" in reasons["runs/poison"]


def test_a_rule_that_looks_at_all_runs_is_shown_all_in_every_process(runs: str, tmp_path: Path) -> None:
    text = '"""Counts."""\nfrom lrdoctor import Finding, Sibling, rule\n\n@rule("XX001", name="counts")\n'
    text += "def counts(siblings: tuple[Sibling, ...]):\n"
    text += '    yield Finding(" ".join(one.path for one in siblings), "", "", 0.0, 0.0)\n'
    (tmp_path / "counts.py").write_text(text, encoding="utf-8")
    options = Options(simulate=False, jobs=2, rules=(tmp_path / "counts.py",), select=("XX001",))
    found = audit([runs], options).diagnoses
    assert [one.findings[0].measured for one in found][:2] == ["runs/b runs/c runs/d", "runs/a runs/c runs/d"]
