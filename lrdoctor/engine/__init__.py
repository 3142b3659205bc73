"""The engine: rule files in, findings out."""

from collections.abc import Iterable

from lrdoctor.engine.apply import Applied, apply_rules
from lrdoctor.engine.beside import Chosen, Fleet
from lrdoctor.engine.evidence import BasePlan, ConfigEvidence, Evidence, Sibling, sibling_of
from lrdoctor.engine.load import load_rules
from lrdoctor.engine.page import RulePage
from lrdoctor.engine.rule import Case, Rule
from lrdoctor.engine.select import find_rule, select_rules

__all__ = [
    "Applied",
    "BasePlan",
    "Case",
    "Chosen",
    "ConfigEvidence",
    "Evidence",
    "Fleet",
    "Rule",
    "RulePage",
    "Sibling",
    "apply_rules",
    "find_rule",
    "load_rules",
    "pages_of",
    "select_rules",
    "sibling_of",
]


def pages_of(rules: Iterable[Rule]) -> dict[str, RulePage]:
    """The rules' pages by code, for the reports."""
    return {rule.code: rule.page for rule in rules}
