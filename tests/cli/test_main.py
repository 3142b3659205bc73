"""The command as a user calls it: help is instant, mistakes are answered in words, statuses follow the contract."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "pandas", "scipy", "plotly", "tensorboard", "numpy", "rich", "jinja2")
ENV = {**os.environ, "COLUMNS": "100"}


def lrdoctor(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lrdoctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=ENV, check=False)


def csv_run(folder: Path) -> Path:
    """A run with a plain cosine schedule over 200 updates."""
    import math

    folder.mkdir(parents=True)
    rows = [f"{t},{1e-3 * 0.5 * (1 + math.cos(math.pi * t / 200))!r},{2 / (1 + t)!r}" for t in range(200)]
    (folder / "metrics.csv").write_text("step,lr,train_loss\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom lrdoctor.cli.main import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', [name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "LOADED []" in done.stdout
    assert "audit" in done.stdout


def test_a_missing_path_is_a_usage_error_that_says_what_to_try() -> None:
    done = lrdoctor("audit", "no/such/folder")
    assert done.returncode == 2
    assert "no/such/folder" in done.stderr
    assert "try:" in done.stderr
    assert done.stdout == ""


def test_one_missing_path_does_not_hide_the_others(tmp_path: Path) -> None:
    csv_run(tmp_path / "good")
    done = lrdoctor("audit", "good", "gone", "--format", "json", "--no-report", cwd=tmp_path)
    assert done.returncode == 2
    assert "gone" in done.stderr
    assert [run["path"] for run in json.loads(done.stdout)["runs"]] == ["good"]


def test_an_empty_folder_is_nothing_readable(tmp_path: Path) -> None:
    done = lrdoctor("audit", str(tmp_path))
    assert done.returncode == 3
    assert "No training run could be read" in done.stderr


def test_ten_thousand_irrelevant_files_are_nothing_readable(tmp_path: Path) -> None:
    for index in range(10_000):
        (tmp_path / f"image_{index}.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    done = lrdoctor("audit", str(tmp_path))
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) < 10


def test_an_unknown_rule_code_is_answered_with_the_nearest_one(tmp_path: Path) -> None:
    csv_run(tmp_path / "run")
    done = lrdoctor("audit", str(tmp_path), "--select", "LR1O1")
    assert done.returncode == 2
    assert "LR101" in done.stderr


def test_a_broken_user_rule_names_the_file_and_line(tmp_path: Path) -> None:
    csv_run(tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "xx001.py").write_text('"""Broken."""\n\ndef nope(:\n', encoding="utf-8")
    done = lrdoctor("audit", str(tmp_path / "run"), "--rules", str(tmp_path / "mine"))
    assert done.returncode == 2
    assert "xx001.py" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_binary_named_csv_is_explained_and_the_other_runs_still_reported(tmp_path: Path) -> None:
    csv_run(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "metrics.csv").write_bytes(bytes(range(256)) * 40)
    done = lrdoctor("audit", str(tmp_path), "--format", "json", "--no-report")
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert [Path(run["path"]).name for run in document["runs"]] == ["good"]
    assert any("metrics.csv" in item["path"] or item["path"].endswith("bad") for item in document["skipped"])


def test_json_goes_to_stdout_and_the_report_path_to_stderr(tmp_path: Path) -> None:
    csv_run(tmp_path / "run")
    done = lrdoctor("audit", "run", "--format", "json", cwd=tmp_path)
    run = json.loads(done.stdout)["runs"][0]
    assert done.returncode == 0
    assert run["verdict"] == "lr-healthy"
    assert run["param_groups"][0]["schedule"]["family"] == "CosineAnnealingLR"
    assert run["param_groups"][0]["schedule"]["params"]["T_max"] == 200
    assert "lrdoctor-report" in done.stderr
    assert (tmp_path / "lrdoctor-report" / "index.html").is_file()


def test_output_writes_the_answer_to_a_file(tmp_path: Path) -> None:
    csv_run(tmp_path / "run")
    done = lrdoctor("audit", "run", "--format", "json", "--output", "out/a.json", "--no-report", cwd=tmp_path)
    assert done.stdout == ""
    assert json.loads((tmp_path / "out" / "a.json").read_text(encoding="utf-8"))["format_version"] == 1


def test_text_is_plain_when_not_a_terminal(tmp_path: Path) -> None:
    csv_run(tmp_path / "run")
    done = lrdoctor("audit", "run", "--no-report", cwd=tmp_path)
    assert "\x1b" not in done.stdout
    assert "not your problem" in done.stdout


@pytest.mark.parametrize("format_", ["sarif", "junit", "github", "markdown", "text", "json"])
def test_every_format_answers_for_a_healthy_run(tmp_path: Path, format_: str) -> None:
    csv_run(tmp_path / "run")
    done = lrdoctor("audit", "run", "--format", format_, "--no-report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_two_jobs_give_the_same_answer_as_one(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        csv_run(tmp_path / name)
    one, two = (lrdoctor("audit", ".", "--format", "json", "--no-report", "--jobs", n, cwd=tmp_path) for n in "12")
    assert one.stdout == two.stdout


def test_a_checkpoint_that_would_run_a_command_runs_nothing(tmp_path: Path) -> None:
    import pickle

    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'owned'}",)

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "evil.pt").write_bytes(pickle.dumps({"optimizer": Attack(), "state_dict": {}}))
    done = lrdoctor("audit", str(tmp_path / "run"), "--no-report")
    assert not (tmp_path / "owned").exists()
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1, 3)


def test_an_unknown_command_lists_the_commands() -> None:
    done = lrdoctor("audti")
    assert done.returncode == 2
    assert "audit" in done.stderr


def test_shells_are_told_how_to_complete() -> None:
    program = Path(sys.executable).with_name("lrdoctor")
    asked = {**ENV, "_LRDOCTOR_COMPLETE": "bash_complete", "COMP_WORDS": "lrdoctor re", "COMP_CWORD": "1"}
    done = subprocess.run([program], capture_output=True, text=True, env=asked, check=True)
    assert [line.removeprefix("plain,") for line in done.stdout.split()] == ["recommend", "repair", "replay"]
