"""--select and --ignore: rules by code, prefix of a code, name, or ALL."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from lrdoctor.engine.rule import Rule
from lrdoctor.errors import UnknownRuleError


def select_rules(rules: Sequence[Rule], select: Iterable[str] = (), ignore: Iterable[str] = ()) -> tuple[Rule, ...]:
    """The rules that `select` names (all, where empty) without those `ignore` names. UnknownRuleError for neither."""
    wanted = [_matching(rules, item) for item in select]
    unwanted = {rule.code for item in ignore for rule in _matching(rules, item)}
    chosen = {rule.code for group in wanted for rule in group} if wanted else {rule.code for rule in rules}
    return tuple(rule for rule in rules if rule.code in chosen - unwanted)


def find_rule(rules: Sequence[Rule], wanted: str) -> Rule:
    """The one rule with that code or name, in any case."""
    for rule in rules:
        if wanted.lower() in (rule.code.lower(), rule.name):
            return rule
    raise _unknown(rules, wanted)


def _matching(rules: Sequence[Rule], item: str) -> list[Rule]:
    wanted = item.strip()
    if wanted.upper() == "ALL":
        return list(rules)
    found = [rule for rule in rules if rule.code.startswith(wanted.upper()) or rule.name == wanted.lower()]
    if not wanted or not found:
        raise _unknown(rules, item)
    return found


def _unknown(rules: Sequence[Rule], wanted: str) -> UnknownRuleError:
    known = {key.lower(): key for rule in rules for key in (rule.code, rule.name)}
    text = wanted.strip().lower()
    begun = [key for key in known if text and key.startswith(text)]
    close = begun[:1] or difflib.get_close_matches(text, known, n=1, cutoff=0.5)
    hint = f"did you mean {known[close[0]]}? " if close else ""
    return UnknownRuleError(f"There is no rule {wanted!r}.", hint=f"{hint}`lrdoctor rules` lists them all")
