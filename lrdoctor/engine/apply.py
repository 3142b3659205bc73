"""Rules and evidence -> findings: ask each rule that applies, complete what it says, mark what others explain."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lrdoctor.engine.beside import with_compared
from lrdoctor.engine.evidence import ConfigEvidence, Evidence
from lrdoctor.engine.rule import Rule
from lrdoctor.errors import SettingsError
from lrdoctor.model.finding import SEVERITIES, Finding

RuleOptions = Mapping[str, Mapping[str, Any]]
"""Options by rule code."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What the rules said. `problems` tells, a sentence each, which rules failed on this run and why."""

    findings: tuple[Finding, ...]
    problems: tuple[str, ...] = ()


def apply_rules(
    rules: Sequence[Rule], evidence: Evidence | ConfigEvidence, options: RuleOptions | None = None
) -> Applied:
    """The findings of every rule that has the evidence it needs, by code and first step.

    A rule that raises loses its own findings and nobody else's. SettingsError where `options` does not fit a rule.
    """
    chosen = {rule.code: options_of(rule, (options or {}).get(rule.code, {})) for rule in rules}
    findings: list[Finding] = []
    problems: list[str] = []
    for rule in rules:
        try:
            for check in rule.checks:
                findings += ask(check, evidence, chosen[rule.code])
        except Exception as error:  # a faulty rule must not cost the run its other findings
            problems.append(_failure(rule, error))
    ordered = sorted(findings, key=lambda finding: (finding.code, finding.first_step, finding.group or ""))
    return Applied(tuple(_explained(ordered, rules)), tuple(problems))


def missing(rule: Rule, evidence: Evidence | ConfigEvidence) -> tuple[str, ...]:
    """What the run lacks of the rule's evidence ("a checkpoint"); empty where the rule applies."""
    return tuple(need.label for need in rule.needs if not need.optional and need.find(evidence) is None)


def ask(rule: Rule, evidence: Evidence | ConfigEvidence, options: Mapping[str, Any]) -> list[Finding]:
    """The findings of one check with code, name and severity filled in; none where it does not apply.

    `options` may hold those of the rule's other check as well.
    """
    if rule.looks_beside and isinstance(evidence, Evidence):
        evidence = with_compared(rule, evidence, options)
    if missing(rule, evidence):
        return []
    own = {name: options[name] for name in rule.options if name in options}
    found = rule.check(*(need.find(evidence) for need in rule.needs), **own)
    return [_signed(rule, finding) for finding in found or ()]


def _signed(rule: Rule, finding: object) -> Finding:
    if not isinstance(finding, Finding):
        raise TypeError(f"a rule yields findings, not {type(finding).__name__}")
    return replace(finding, code=rule.code, name=rule.name, severity=finding.severity or rule.severity)


def _failure(rule: Rule, error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"rule {rule.code} ({rule.name}) failed on this run: {type(error).__name__}: {error} "
        f"({frame.filename}, line {frame.lineno})"
    )


def _explained(findings: Iterable[Finding], rules: Sequence[Rule]) -> Iterator[Finding]:
    """Mark the findings that a finding of another rule explains. What is grave is not explained by a mere note."""
    findings = list(findings)
    gravest: dict[str, int] = {}
    for finding in findings:
        gravest[finding.code] = min(_rank(finding), gravest.get(finding.code, len(SEVERITIES)))
    for finding in findings:
        parents = (rule.code for rule in rules if finding.code in rule.suppresses)
        parent = next((code for code in parents if gravest.get(code, len(SEVERITIES)) <= _rank(finding)), None)
        yield finding if parent is None else replace(finding, suppressed_by=parent)


def _rank(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity or "info")


def options_of(rule: Rule, given: Mapping[str, Any]) -> dict[str, Any]:
    """The rule's options, `given` in place of defaults. SettingsError for an unknown name or a value that cannot be."""
    options = rule.all_options
    for name, value in given.items():
        if name not in options:
            raise _unknown_option(rule, name)
        if not _fits(value, options[name]):
            kind = type(options[name]).__name__
            raise SettingsError(
                f"Option `{name}` of {rule.code} cannot be {value!r}.",
                where=f"rule-options.{rule.code}",
                hint=f"a value like its default, {options[name]!r} ({kind})",
            )
    return {**options, **given}


def _fits(value: object, default: object) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return default is None or isinstance(value, type(default))


def _unknown_option(rule: Rule, name: str) -> SettingsError:
    close = difflib.get_close_matches(name, rule.all_options, n=1)
    known = "its options: " + ", ".join(sorted(rule.all_options)) if rule.all_options else "it has none"
    hint = f"did you mean `{close[0]}`?" if close else known
    return SettingsError(f"Rule {rule.code} has no option `{name}`.", where=f"rule-options.{rule.code}", hint=hint)
