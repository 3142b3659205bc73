"""Rule files and evidence made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from lrdoctor import synth
from lrdoctor.engine import Evidence, Rule, load_rules
from lrdoctor.schedules import CosineAnnealingLR
from lrdoctor.testing import examine

HEAD = '''"""A test rule."""
from lrdoctor import Checkpoint, Finding, Fit, OneCycleLR, Run, Schedule, Sibling, Trajectory, rule
'''


@pytest.fixture
def rule_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a rule file below the head that imports the usual names, and returns its path."""

    def write(body: str, name: str = "mine.py", head: str = HEAD) -> Path:
        path = tmp_path / name
        path.write_text(head + dedent(body), encoding="utf-8")
        return path

    return write


@pytest.fixture
def loaded(rule_file: Callable[..., Path]) -> Callable[..., tuple[Rule, ...]]:
    """The rules of a file with that body."""
    return lambda body: load_rules([rule_file(body)])


@pytest.fixture
def evidence() -> Evidence:
    """A cosine over 200 updates with a complete checkpoint at its end, without siblings."""
    return examine(synth.run(CosineAnnealingLR(0.1, T_max=200), steps=200, checkpoints=(100, 200)))
