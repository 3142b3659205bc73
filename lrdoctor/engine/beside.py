"""Which of the other runs a rule looks at: what decides when a run has to be audited again because of another one."""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from lrdoctor.engine.evidence import Evidence, Sibling
from lrdoctor.engine.rule import Compares, Rule

Chosen = dict[str, tuple[Sibling, ...]]
"""The runs beside one that matter to it, by the code of the rule that looks at them; codes without any are left out."""


class Fleet:
    """All runs of an audit. A rule that does not say what it compares looks at all others."""

    def __init__(
        self, rules: Iterable[Rule], runs: Sequence[Sibling], options: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._runs = runs
        looking = [rule for rule in rules if rule.looks_beside]
        self._rules = [(rule, {**rule.options, **options.get(rule.code, {})}, _Groups(rule, runs)) for rule in looking]

    def chosen(self, place: int) -> Chosen:
        """What the rules look at beside the run at this place."""
        found: Chosen = {}
        for rule, options, groups in self._rules:
            others = [self._runs[other] for other in groups.of(place) if other != place]
            compared = _compared(rule, self._runs[place], others, options) if others else ()
            if compared:
                found[rule.code] = compared
        return found


class _Groups:
    """The places of the runs among which a rule compares."""

    def __init__(self, rule: Rule, runs: Sequence[Sibling]) -> None:
        self._keys: list[Hashable | None] = [_key(rule, run) for run in runs]
        self._places: dict[Hashable, list[int]] = {}
        for place, key in enumerate(self._keys):
            if key is not None:
                self._places.setdefault(key, []).append(place)

    def of(self, place: int) -> Sequence[int]:
        return self._places.get(self._keys[place], ())


def _key(rule: Rule, run: Sibling) -> Hashable | None:
    return "all" if rule.within is None else rule.within(run)


def with_compared(rule: Rule, evidence: Evidence, options: Mapping[str, Any]) -> Evidence:
    """The evidence with the runs beside it that this rule looks at."""
    if evidence.chosen is not None:
        return replace(evidence, siblings=evidence.chosen.get(rule.code, ()))
    if not evidence.siblings or rule.compares is None:
        return evidence
    own = evidence.as_sibling
    key = _key(rule, own)
    alike = [] if key is None else [one for one in evidence.siblings if _key(rule, one) == key]
    return replace(evidence, siblings=_compared(rule, own, alike, options))


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
