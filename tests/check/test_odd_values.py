"""Whatever stands in a config, planning it and asking the rules ends in findings, never in an error of ours."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lrdoctor import synth
from lrdoctor.configs import NotAConfig
from lrdoctor.engine import apply_rules, load_rules
from lrdoctor.model.checked import Checked, CheckedConfig
from lrdoctor.report.checked.json import document
from lrdoctor.resources import rules_dir
from lrdoctor.synth import ConfigSpec
from lrdoctor.testing import examine_config

RULES = tuple(rule for rule in load_rules([rules_dir()]) if any(check.checks_configs for check in rule.checks))
SPECS = [
    (rule.code, index, case.spec)
    for rule in RULES
    for index, case in enumerate(rule.cases)
    if isinstance(case.spec, ConfigSpec)
]
TABLES = sorted((Path(__file__).parents[2] / "fixtures" / "executed").glob("*.json"))
SPECS += [
    (path.stem, index, synth.config(case["config"], case["file"], **case["sizes"]))
    for path in TABLES
    for index, case in enumerate(json.loads(path.read_text(encoding="utf-8"))["cases"][::4])
]
ODD = ("null", "''", "[]", "{}", "[1, 2]", "-1", "0", "1e400", "true", "{a: b}", "0.5", "1e-4", "9" * 30, "???", "1..2")
_VALUE = re.compile(r"(?:(?<=[:=] )|(?<==)|(?<=-\w{2} )|(?<=iters ))[^\s,{}\[\]()=]+")


def changed(spec: ConfigSpec, seed: int) -> list[ConfigSpec]:
    """The config with one value after the other replaced by two odd ones."""
    chance = random.Random(seed)
    return [
        replace(spec, text=spec.text[: match.start()] + odd + spec.text[match.end() :])
        for match in _VALUE.finditer(spec.text)
        for odd in chance.sample(ODD, 2)
    ]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("code", "index", "spec"), SPECS, ids=lambda part: "" if isinstance(part, ConfigSpec) else None
)
def test_odd_values_are_planned_or_refused_and_the_answer_is_strict_json(code, index, spec):
    for other in changed(spec, index):
        try:
            evidence = examine_config(other)
        except NotAConfig:
            continue
        applied = apply_rules(RULES, evidence)
        assert applied.problems == (), other.text
        one = CheckedConfig(other.name, evidence.plan, evidence.broken, applied.findings)
        json.dumps(document(Checked((one,), (), "0")), allow_nan=False)
