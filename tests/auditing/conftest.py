"""A folder of small runs, quick to audit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[..., Path]


@pytest.fixture
def write_run(tmp_path: Path) -> Write:
    """Write a run with a constant learning rate below tmp_path; the keywords are its declared facts."""

    def write(name: str, lr: float = 0.1, steps: int = 60, **facts: object) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        rows = [f"{step},{lr},{2.0 + 3.0 / (1 + step)}" for step in range(steps)]
        (folder / "metrics.csv").write_text("\n".join(["step,lr,loss", *rows, ""]), encoding="utf-8")
        told = "".join(f"{key}: {value}\n" for key, value in facts.items())
        (folder / "hparams.yaml").write_text(told, encoding="utf-8")
        return folder

    return write
