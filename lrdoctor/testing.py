"""The harness for rule files: do the cases hold, and does the remedy cure what the rule found?

from pathlib import Path

from lrdoctor.engine import load_rules
from lrdoctor.testing import check_rule


def test_my_rules():
    for rule in load_rules([Path("my_rules")]):
        assert check_rule(rule) == []
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lrdoctor.engine.apply import apply_rules
from lrdoctor.engine.evidence import Evidence, Sibling, sibling_of
from lrdoctor.engine.rule import Case, Rule
from lrdoctor.identify import identify
from lrdoctor.model.finding import Finding
from lrdoctor.reconstruct import reconstruct
from lrdoctor.synth import RunSpec


def examine(spec: RunSpec, siblings: tuple[RunSpec, ...] = ()) -> Evidence:
    """The run built from `spec`, taken the way every run takes: reconstruct, identify. Its siblings likewise."""
    run = spec.build()
    trajectory = reconstruct(run)
    return Evidence(run, trajectory, identify(trajectory, run.checkpoints), tuple(_sibling(one) for one in siblings))


def _sibling(spec: RunSpec) -> Sibling:
    evidence = examine(spec)
    return sibling_of(evidence.run, evidence.trajectory, evidence.identification)


def run_case(rule: Rule, case: Case) -> tuple[Finding, ...]:
    """The rule's findings on a case. RuntimeError where the rule itself failed."""
    return _findings(rule, case.spec, case)


def _findings(rule: Rule, spec: RunSpec, case: Case) -> tuple[Finding, ...]:
    applied = apply_rules((rule,), examine(spec, case.siblings))
    if applied.problems:
        raise RuntimeError("; ".join(applied.problems))
    return applied.findings


def check_rule(rule: Rule) -> list[str]:
    """What is wrong with a rule: cases that do not hold, remedies that do not cure; a sentence each, or nothing."""
    return [*_shape_problems(rule), *(problem for case in rule.cases for problem in _case_problems(rule, case))]


def _shape_problems(rule: Rule) -> Iterator[str]:
    if not rule.page.title:
        yield f"{rule.code}: the rule file has no docstring, which is the rule's page"
    for fires, what in ((True, "fires"), (False, "stays silent")):
        if not any(case.fires is fires for case in rule.cases):
            yield f"{rule.code}: no case in which it {what}"


def _case_problems(rule: Rule, case: Case) -> Iterator[str]:
    where = f"{rule.code}, case {case.title!r}"
    try:
        findings = run_case(rule, case)
        if case.fires and not findings:
            yield f"{where}: should fire and is silent"
        if not case.fires and findings:
            yield f"{where}: should be silent and says: {findings[0].message}"
        if case.fires and findings:
            yield from (f"{where}: {problem}" for problem in _remedy_problems(rule, case, findings))
    except Exception as error:  # anything a rule file can do wrong is an answer here, not an end
        yield f"{where}: {type(error).__name__}: {error}"


def _remedy_problems(rule: Rule, case: Case, findings: tuple[Finding, ...]) -> Iterator[str]:
    """Give the run the remedy's schedule and look again."""
    remedies = [finding.remedy for finding in findings if finding.remedy is not None]
    if not remedies:
        yield "the finding has no remedy"
        return
    schedule = next((remedy.schedule for remedy in remedies if remedy.schedule is not None), None)
    if schedule is None and case.cured is None:
        yield "the remedy has no schedule, so the case must say what the cured run is (`cured=`)"
        return
    spec = case.cured or case.spec
    after = _findings(rule, spec if schedule is None else replace(spec, schedule=schedule), case)
    if after:
        yield f"the remedy does not silence the rule, which now says: {after[0].message}"
