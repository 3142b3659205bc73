"""Which of the runs beside it a rule is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lrdoctor.engine import Chosen, Fleet, Rule, Sibling, apply_rules, load_rules
from lrdoctor.resources import rules_dir

OWN = Sibling("runs/a", None, "SGD", 512, 0.1, "CosineAnnealingLR", 1.0, "resnet18", "loss", 5.0)
SMALL = replace(OWN, path="runs/b", batch_size=32)
RULE = """
from lrdoctor import Finding, Sibling, rule

def larger(own, others, *, by=2.0):
    return [one for one in others if one.batch_size >= by * (own.batch_size or 1)]

@rule("XX001", name="a"{compares})
def a(siblings: tuple[Sibling, ...], *, by: float = 2.0):
    yield Finding(" ".join(one.path for one in siblings), "", "", 0.0, 0.0)
"""


def beside(rules: Sequence[Rule], own: Sibling, others: Sequence[Sibling], options: Mapping[str, Any]) -> Chosen:
    return Fleet(rules, (own, *others), options).chosen(0)


def test_a_rule_that_says_what_it_compares_is_shown_that_alone(loaded, evidence):
    rules = loaded(RULE.format(compares=", compares=larger"))
    (finding,) = apply_rules(rules, replace(evidence, siblings=(OWN, replace(SMALL, batch_size=1)))).findings
    assert finding.measured == "runs/a"


def test_a_rule_that_does_not_say_is_shown_all(loaded, evidence):
    rules = loaded(RULE.format(compares=""))
    (finding,) = apply_rules(rules, replace(evidence, siblings=(OWN, SMALL))).findings
    assert finding.measured == "runs/a runs/b"
    assert beside(rules, OWN, (SMALL,), {}) == {"XX001": (SMALL,)}


def test_options_reach_the_choice(loaded):
    rules = loaded(RULE.format(compares=", compares=larger"))
    assert beside(rules, SMALL, (OWN,), {}) == {"XX001": (OWN,)}
    assert beside(rules, SMALL, (OWN,), {"XX001": {"by": 20.0}}) == {}


def test_a_rule_is_shown_only_runs_that_are_the_same_to_it(loaded, evidence):
    rules = loaded(RULE.format(compares=", compares=larger, within=lambda run: run.model"))
    other, unknown = replace(OWN, path="runs/c", model="vgg"), replace(OWN, path="runs/d", model=None)
    assert beside(rules, SMALL, (other, OWN, unknown), {}) == {"XX001": (OWN,)}
    assert beside(rules, unknown, (OWN, replace(unknown, path="runs/e")), {"XX001": {"by": 0.0}}) == {}
    fleet = Fleet(rules, (SMALL, other, OWN, unknown), {"XX001": {"by": 0.0}})
    assert [fleet.chosen(place) for place in range(4)] == [{"XX001": (OWN,)}, {}, {"XX001": (SMALL,)}, {}]
    rules = loaded(RULE.format(compares=", compares=larger, within=lambda run: run.model or 'unnamed'"))
    beside_it = (replace(OWN, model=None), replace(OWN, path="runs/f", model="vgg"))
    (finding,) = apply_rules(rules, replace(evidence, siblings=beside_it)).findings
    assert finding.measured == "runs/a"


def test_what_was_chosen_beforehand_is_not_chosen_again(loaded, evidence):
    rules = loaded(RULE.format(compares=", compares=larger"))
    chosen = replace(evidence, siblings=(), chosen={"XX001": (SMALL,)})
    (finding,) = apply_rules(rules, chosen).findings
    assert finding.measured == "runs/b"
    assert apply_rules(rules, replace(chosen, chosen={})).findings == ()


def test_built_in_rules_choose_the_same_among_their_own_choice():
    rules = load_rules((rules_dir(),))
    test = replace(SMALL, path="runs/test", family="RangeTest", batch_size=None, range_limit=0.01)
    tried = replace(OWN, path="runs/c", peak_lr=0.3)
    for others in ((SMALL, test), (SMALL, test, tried), (replace(SMALL, path="runs/0", batch_size=64), SMALL)):
        chosen = beside(rules, OWN, others, {})
        for code, found in chosen.items():
            assert beside(rules, OWN, found, {})[code] == found
    assert "LR401" in beside(rules, OWN, (SMALL,), {})
    assert "LR401" not in beside(rules, OWN, (SMALL, tried), {})
    assert "LR505" in beside(rules, OWN, (test,), {})
