"""A project with configs, and the command as a user calls it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lrdoctor.cli.check import command

GOOD = """\
learning_rate: 2.0e-05
per_device_train_batch_size: 8
max_steps: 1000
lr_scheduler_type: cosine
warmup_ratio: 0.05
"""
FAULTY = GOOD.replace("0.05", "0.5")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working folder, with Transformers pinned."""
    (tmp_path / "requirements.txt").write_text("transformers==4.57.1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run() -> Callable[..., Result]:
    """`run("configs", "--format", "json")`: stdout, stderr, exit code; errors are raised."""

    def call(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(command, list(arguments), input=stdin, catch_exceptions=False)

    return call


@pytest.fixture
def git(project: Path) -> Callable[..., None]:
    def call(*arguments: str) -> None:
        author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(project), *author, *arguments], check=True, capture_output=True)

    return call
