"""Which of the other runs a rule looks at: what decides when a run has to be audited again because of another one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from lrdoctor.engine.evidence import Evidence, Sibling
from lrdoctor.engine.rule import Compares, Rule

Chosen = dict[str, tuple[Sibling, ...]]
"""The runs beside one that matter to it, by the code of the rule that looks at them; codes without any are left out."""


def beside(
    rules: Sequence[Rule], own: Sibling, others: Sequence[Sibling], options: Mapping[str, Mapping[str, Any]]
) -> Chosen:
    """What the rules look at among `others`. A rule that does not say what it compares looks at all of them."""
    found: Chosen = {}
    for rule in rules:
        if rule.looks_beside:
            compared = _compared(rule, own, others, {**rule.options, **options.get(rule.code, {})})
            if compared:
                found[rule.code] = compared
    return found


def with_compared(rule: Rule, evidence: Evidence, options: Mapping[str, Any]) -> Evidence:
    """The evidence with the runs beside it that this rule looks at."""
    if evidence.chosen is not None:
        return replace(evidence, siblings=evidence.chosen.get(rule.code, ()))
    if not evidence.siblings or rule.compares is None:
        return evidence
    return replace(evidence, siblings=_compared(rule, evidence.as_sibling, evidence.siblings, options))


def _compared(
    rule: Rule, own: Sibling, others: Sequence[Sibling], options: Mapping[str, Any]
) -> tuple[Sibling, ...]:
    if rule.compares is None:
        return tuple(others)
    wanted = {name: options[name] for name in _options_of(rule.compares) if name in options}
    return tuple(rule.compares(own, others, **wanted))


@cache
def _options_of(compares: Compares) -> tuple[str, ...]:
    parameters = inspect.signature(compares).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)
