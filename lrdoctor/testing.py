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
from pathlib import Path

from lrdoctor.configs import Context, Sizes, read_plans
from lrdoctor.configs.read import KINDS, parse
from lrdoctor.configs.tree import Document
from lrdoctor.configs.versions import Version
from lrdoctor.engine.apply import apply_rules
from lrdoctor.engine.evidence import ConfigEvidence, Evidence, Sibling, sibling_of
from lrdoctor.engine.rule import Case, Rule
from lrdoctor.identify import identify
from lrdoctor.model.count import Count
from lrdoctor.model.finding import Finding
from lrdoctor.model.plan import Broken, Plan
from lrdoctor.reconstruct import reconstruct
from lrdoctor.synth import ConfigSpec, RunSpec


def examine(spec: RunSpec, siblings: tuple[RunSpec, ...] = ()) -> Evidence:
    """The run built from `spec`, taken the way every run takes: reconstruct, identify. Its siblings likewise."""
    run = spec.build()
    trajectory = reconstruct(run)
    return Evidence(run, trajectory, identify(trajectory, run.checkpoints), tuple(_sibling(one) for one in siblings))


def _sibling(spec: RunSpec) -> Sibling:
    evidence = examine(spec)
    return sibling_of(evidence.run, evidence.trajectory, evidence.identification)


def examine_config(spec: ConfigSpec) -> ConfigEvidence:
    """The config taken the way every config takes. Raises NotAConfig where it is none."""
    found = _planned(spec, spec.text)
    base = _planned(spec, spec.against) if spec.against is not None else None
    base = base if isinstance(base, Plan) else None
    return ConfigEvidence(found, None, base) if isinstance(found, Plan) else ConfigEvidence(None, found, base)


def _planned(spec: ConfigSpec, text: str) -> Plan | Broken:
    beside = {Path(name): content for name, content in spec.beside}
    pinned = {package: Version(version, "requirements.txt") for package, version in spec.versions}

    def load(path: Path) -> Document | None:
        content = beside.get(path)
        return None if content is None else parse(path, content, KINDS[path.suffix])[0]

    context = Context(
        Sizes(_count(spec.dataset_size), _count(spec.world_size), _count(spec.steps_per_epoch)), pinned.get, load
    )
    return read_plans(Path(spec.name), text.encode(), context)[0]


def _count(size: int | None) -> Count | None:
    return None if size is None else Count.exactly(size)


def run_case(rule: Rule, case: Case) -> tuple[Finding, ...]:
    """The rule's findings on a case. RuntimeError where the rule itself failed."""
    return _findings(rule, case.spec, case)


def _findings(rule: Rule, spec: RunSpec | ConfigSpec, case: Case) -> tuple[Finding, ...]:
    evidence = examine_config(spec) if isinstance(spec, ConfigSpec) else examine(spec, case.siblings)
    applied = apply_rules((rule,), evidence)
    if applied.problems:
        raise RuntimeError("; ".join(applied.problems))
    return applied.findings


def check_rule(rule: Rule) -> list[str]:
    """What is wrong with a rule: cases that do not hold, remedies that do not cure; a sentence each, or nothing."""
    return [*_shape_problems(rule), *(problem for case in rule.cases for problem in _case_problems(rule, case))]


def _shape_problems(rule: Rule) -> Iterator[str]:
    if not rule.page.title:
        yield f"{rule.code}: the rule file has no docstring, which is the rule's page"
    for check in rule.checks:
        kind = ConfigSpec if check.checks_configs else RunSpec
        own = [case for case in rule.cases if isinstance(case.spec, kind)]
        for fires, what in ((True, "fires"), (False, "stays silent")):
            if not any(case.fires is fires for case in own):
                yield f"{rule.code}: no case of a {'config' if check.checks_configs else 'run'} in which it {what}"


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
    if case.cured is None and (schedule is None or isinstance(case.spec, ConfigSpec)):
        yield "the remedy has no schedule, so the case must say what the cured run is (`cured=`)"
        return
    spec = case.cured or case.spec
    if schedule is not None and isinstance(spec, RunSpec):
        spec = replace(spec, schedule=schedule)
    after = _findings(rule, spec, case)
    if after:
        yield f"the remedy does not silence the rule, which now says: {after[0].message}"
