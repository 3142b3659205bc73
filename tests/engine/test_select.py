"""Rules by code, prefix, name or ALL; a typing mistake gets the nearest one."""

from __future__ import annotations

import pytest

from lrdoctor.engine import find_rule, load_rules, select_rules
from lrdoctor.errors import UnknownRuleError
from lrdoctor.resources import rules_dir

RULES = load_rules([rules_dir()])


def codes(select=(), ignore=()):
    return [rule.code for rule in select_rules(RULES, select, ignore)]


def test_nothing_selected_is_everything():
    assert codes() == [rule.code for rule in RULES]
    assert codes(["ALL"]) == codes()


def test_a_prefix_selects_its_group():
    assert codes(["LR5"]) == [code for code in codes() if code.startswith("LR5")]
    assert {"LR501", "LR503"} <= set(codes(["LR5"]))


def test_codes_and_names_in_any_case_add_up():
    assert codes(["lr101", "No-Warmup"]) == ["LR101", "LR501"]


def test_ignore_wins_over_select():
    assert codes(["LR501", "LR503"], ["LR503"]) == ["LR501"]
    assert codes(["LR101"], ["ALL"]) == []


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [("LR1O1", "LR101"), ("no-warmpu", "no-warmup"), ("lr-not-scaled", "lr-not-scaled-for-batch")],
)
@pytest.mark.parametrize("use", [lambda w: select_rules(RULES, [w]), lambda w: select_rules(RULES, (), [w])])
def test_an_unknown_one_is_answered_with_the_nearest(use, wanted, nearest):
    with pytest.raises(UnknownRuleError) as caught:
        use(wanted)
    assert nearest.lower() in caught.value.hint.lower()
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("wanted", ["", " ", "zzzzzzzz"])
def test_without_anything_near_the_list_is_pointed_to(wanted):
    with pytest.raises(UnknownRuleError) as caught:
        select_rules(RULES, [wanted])
    assert "did you mean" not in caught.value.hint
    assert "lrdoctor rules" in caught.value.hint


def test_one_rule_is_found_by_code_or_name_but_not_by_prefix():
    assert find_rule(RULES, "lr101") is find_rule(RULES, "onecycle-stepped-per-epoch")
    with pytest.raises(UnknownRuleError):
        find_rule(RULES, "LR1")
