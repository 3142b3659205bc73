"""A folder becomes rules, or an error that names the file and the line."""

from __future__ import annotations

import pytest

from lrdoctor.engine import load_rules
from lrdoctor.errors import RuleFileError
from lrdoctor.resources import rules_dir

GOOD = """
@rule("XX001", name="too-low")
def too_low(run: Run):
    yield from ()
"""


def test_a_folder_gives_its_rules_sorted_by_code(rule_file, tmp_path):
    rule_file(GOOD.replace("XX001", "XX002").replace("too-low", "other"), "a.py")
    rule_file(GOOD, "b.py")
    assert [rule.code for rule in load_rules([tmp_path])] == ["XX001", "XX002"]


def test_built_in_and_user_rules_load_together(rule_file):
    codes = [rule.code for rule in load_rules([rules_dir(), rule_file(GOOD)])]
    assert "XX001" in codes
    assert "LR101" in codes


def test_files_with_a_leading_underscore_are_helpers(rule_file, tmp_path):
    rule_file("raise RuntimeError", "_helper.py")
    rule_file(GOOD)
    assert len(load_rules([tmp_path])) == 1


def test_a_rule_keeps_its_page_its_cases_and_its_file(rule_file):
    path = rule_file("from lrdoctor import Case\nCASES = (Case('a', None),)\n" + GOOD)
    (rule,) = load_rules([path])
    assert (rule.page.title, rule.cases[0].title, rule.path) == ("A test rule.", "a", str(path))


def test_a_file_may_hold_a_dataclass(rule_file):
    """Dataclasses look their module up in sys.modules while they are made."""
    body = "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\n"
    path = rule_file("", head=body + "from lrdoctor import rule, Run\n" + GOOD)
    assert load_rules([path])[0].code == "XX001"


def test_two_files_of_one_name_do_not_mix(rule_file, tmp_path):
    first, second = tmp_path / "one", tmp_path / "two"
    for folder in (first, second):
        folder.mkdir()
    rule_file(GOOD, "one/mine.py")
    rule_file(GOOD.replace("XX001", "XX002").replace("too-low", "other"), "two/mine.py")
    assert [rule.code for rule in load_rules([first, second])] == ["XX001", "XX002"]


BROKEN = {
    "a syntax error": ("def nope(:\n", "line 3", "SyntaxError"),
    "an import of nothing": ("import no_such_module_anywhere\n", "line 3", "No module named"),
    "an exception": ("\n\nraise ValueError('boom')\n", "line 5", "boom"),
    "an exit": ("raise SystemExit(3)\n", "line 3", "SystemExit"),
    "no rule": ("x = 1\n", "mine.py", ""),
    "an unknown LR code": ('@rule("LR199")\ndef a(run: Run): ...\n', "line 3", ""),
    "a wrong name for a known code": ('@rule("LR101", name="other")\ndef a(run: Run): ...\n', "line 3", ""),
    "a code of no form": ('@rule("nope", name="a")\ndef a(run: Run): ...\n', "line 3", ""),
    "a rule without a name": ('@rule("XX001")\ndef a(run: Run): ...\n', "line 3", ""),
    "an unknown severity": ('@rule("XX001", "fatal", name="a")\ndef a(run: Run): ...\n', "line 3", ""),
    "an option without default": ('@rule("XX001", name="a")\ndef a(run: Run, *, x: int): ...\n', "line 3", ""),
    "evidence of no known type": ('@rule("XX001", name="a")\ndef a(run: int): ...\n', "line 3", "annotation"),
    "evidence without annotation": ('@rule("XX001", name="a")\ndef a(run): ...\n', "line 3", "annotation"),
    "an option that is positional": ('@rule("XX001", name="a")\ndef a(run: Run = None): ...\n', "line 3", ""),
    "star arguments": ('@rule("XX001", name="a")\ndef a(*run: Run): ...\n', "line 3", ""),
    "an annotation that is not imported": ('@rule("XX001", name="a")\ndef a(run: "Nope"): ...\n', "line 3", "Nope"),
}


@pytest.mark.parametrize(("body", "place", "why"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_named_with_line_and_reason(rule_file, body, place, why):
    with pytest.raises(RuleFileError) as caught:
        load_rules([rule_file(body)])
    assert "mine.py" in caught.value.where
    assert place in caught.value.where
    assert why in (caught.value.why or "")
    assert caught.value.hint
    assert caught.value.exit_status == 2


def test_a_broken_file_can_be_mended_and_loaded_again(rule_file):
    with pytest.raises(RuleFileError):
        load_rules([rule_file("raise ValueError")])
    assert load_rules([rule_file(GOOD)])[0].code == "XX001"


@pytest.mark.parametrize("again", ['@rule("XX001", name="b")', '@rule("XX002", name="too-low")'])
def test_a_code_or_name_that_is_taken_names_both_files(rule_file, tmp_path, again):
    rule_file(GOOD, "a.py")
    rule_file(again + "\ndef other(run: Run):\n    yield from ()\n", "b.py")
    with pytest.raises(RuleFileError) as caught:
        load_rules([tmp_path])
    assert "b.py" in caught.value.where
    assert "a.py" in caught.value.why


def test_a_built_in_code_cannot_be_replaced_silently(rule_file):
    with pytest.raises(RuleFileError, match="LR101"):
        load_rules([rules_dir(), rule_file('@rule("LR101")\ndef mine(run: Run):\n    yield from ()\n')])


def test_a_missing_and_an_empty_folder_are_told_apart(tmp_path):
    with pytest.raises(RuleFileError, match="No such"):
        load_rules([tmp_path / "gone"])
    with pytest.raises(RuleFileError, match="no rule file"):
        load_rules([tmp_path])
