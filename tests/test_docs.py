"""The pages made from the code are up to date, and the README names what exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from lrdoctor.engine import load_rules
from lrdoctor.resources import rules_dir
from lrdoctor.testing import check_rule

ROOT = Path(__file__).parents[1]


def test_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "make.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_lists_exactly_the_built_in_rules() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| (LR\d{3}) \|", readme, re.MULTILINE))
    assert listed == {rule.code for rule in load_rules((rules_dir(),))}


def test_every_local_link_of_the_docs_leads_somewhere() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_examples_of_the_reading_page_run_as_printed() -> None:
    """In a process of its own, as a reader would try them."""
    page = ROOT / "docs" / "reading.md"
    command = [sys.executable, "-m", "doctest", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert page.read_text(encoding="utf-8").count(">>>") > 10
    assert done.returncode == 0, done.stdout


def test_the_rule_shown_in_the_docs_loads_and_its_cases_hold(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "writing-rules.md").read_text(encoding="utf-8")
    shown = next(block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "@rule" in block)
    (tmp_path / "ends_while_rising.py").write_text(shown, encoding="utf-8")
    (rule,) = load_rules([tmp_path])
    assert check_rule(rule) == []
