"""The public names: what is promised is there, cheap to import, and typed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import lrdoctor


def test_every_public_name_can_be_loaded() -> None:
    assert lrdoctor.__all__ == sorted(lrdoctor.__all__)
    assert all(getattr(lrdoctor, name) is not None for name in lrdoctor.__all__)


def test_type_checkers_are_told_the_same_names() -> None:
    told = re.findall(r"^    from \S+ import (\w+) as \1$", Path(lrdoctor.__file__).read_text("utf-8"), re.MULTILINE)
    assert sorted(told) == lrdoctor.__all__


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, lrdoctor, lrdoctor.cli.main; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "scipy", "pandas", "torch", "plotly", "tensorboard", "jinja2", "rich"}
    assert heavy & set(done.stdout.split()) == set()
