"""Every built-in rule: its cases hold, its remedy cures, its page is complete, and it imports only what a rule may."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import lrdoctor
from lrdoctor.engine import load_rules
from lrdoctor.engine.codes import CODES
from lrdoctor.engine.page import HEADINGS
from lrdoctor.resources import rules_dir
from lrdoctor.synth import ConfigSpec
from lrdoctor.testing import check_rule, examine, run_case

RULES = load_rules([rules_dir()])
FILES = sorted(rules_dir().glob("*.py"))
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)


@each_rule
def test_cases_hold_and_remedies_cure(rule):
    assert check_rule(rule) == []


@each_rule
def test_the_code_is_a_permanent_one_and_the_file_has_its_name(rule):
    assert rule.name == CODES[rule.code].name
    assert rule.severity == CODES[rule.code].severity
    assert Path(rule.path).stem.replace("_", "-") == rule.name


@each_rule
def test_the_page_has_the_fixed_headings_in_order(rule):
    names = [name for name, text in rule.page.sections if text]
    assert names == [heading for heading in HEADINGS if heading in names]
    assert {"What it does", "Why is this bad?", "How to fix it", "References"} <= set(names)
    assert rule.page.title.endswith(".")


@each_rule
def test_the_page_explains_every_option_and_no_other(rule):
    assert re.findall(r"^- `(\w+)`", rule.page.section("Options"), re.MULTILINE) == list(rule.all_options)


@each_rule
def test_findings_carry_numbers_and_steps_inside_the_run(rule):
    for case in (case for case in rule.cases if case.fires):
        steps = np.inf if isinstance(case.spec, ConfigSpec) else examine(case.spec).trajectory.steps
        for finding in run_case(rule, case):
            assert re.search(r"\d|Nothing was logged|learning rate", finding.measured), finding.measured
            assert finding.expected
            assert finding.consequence
            assert finding.evidence
            assert 0 <= finding.first_step <= finding.last_step <= max(steps, finding.first_step)
            assert finding.remedy is not None
            assert finding.remedy.summary


@each_rule
def test_suppressed_codes_exist(rule):
    assert set(rule.suppresses) <= CODES.keys() - {rule.code}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_rule_imports_the_standard_library_numpy_and_public_names_only(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots = {alias.name.split(".")[0] for alias in node.names}
            assert roots <= {*sys.stdlib_module_names, "numpy"}, roots
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            module = node.module or ""
            if module == "lrdoctor":
                assert {alias.name for alias in node.names} <= set(lrdoctor.__all__)
            else:
                assert module.split(".")[0] in {*sys.stdlib_module_names, "numpy"}, module


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_rule_reaches_for_nothing_private(file):
    used = {
        node.attr
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
    }
    assert used == set()
