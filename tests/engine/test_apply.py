"""Rules are asked, completed, kept apart from each other's failures, and marked where another explains them."""

from __future__ import annotations

import pytest

from lrdoctor.engine import apply_rules
from lrdoctor.errors import SettingsError

FINDING = "Finding('Measured.', 'Expected.', 'Follows.', 0.0, 1.0{more})"


def body(code, name, what, parameters="run: Run", more="", **settings):
    given = "".join(f", {key}={value!r}" for key, value in settings.items())
    return f'@rule("{code}", name="{name}"{given})\ndef r_{code}({parameters}):\n    yield {what.format(more=more)}\n\n'


def test_code_name_and_severity_are_filled_in(loaded, evidence):
    (finding,) = apply_rules(loaded(body("XX001", "a", FINDING)), evidence).findings
    assert (finding.code, finding.name, finding.severity) == ("XX001", "a", "warning")
    assert finding.message == "Measured. Expected. Follows."


def test_a_rule_may_set_another_severity(loaded, evidence):
    rules = loaded(body("XX001", "a", FINDING, more=", severity='info'", severity="error"))
    assert [finding.severity for finding in apply_rules(rules, evidence).findings] == ["info"]


@pytest.mark.parametrize("fault", ["[][0]", "1 / 0", "'text'"])
def test_a_rule_that_fails_costs_only_itself(loaded, evidence, fault):
    rules = loaded(body("XX001", "a", fault) + body("XX002", "b", FINDING))
    applied = apply_rules(rules, evidence)
    assert [finding.code for finding in applied.findings] == ["XX002"]
    (problem,) = applied.problems
    assert "XX001" in problem
    assert "line" in problem


def test_a_rule_that_returns_nothing_finds_nothing(loaded, evidence):
    assert apply_rules(loaded('@rule("XX001", name="a")\ndef a(run: Run): ...\n'), evidence).findings == ()


def test_a_finding_another_rule_explains_says_so(loaded, evidence):
    rules = loaded(body("XX001", "a", FINDING, suppresses=("XX002",)) + body("XX002", "b", FINDING))
    parents = {finding.code: finding.suppressed_by for finding in apply_rules(rules, evidence).findings}
    assert parents == {"XX001": None, "XX002": "XX001"}


@pytest.mark.parametrize(
    ("parent", "child", "explained"),
    [("info", "warning", False), ("warning", "error", False), ("warning", "warning", True), ("error", "info", True)],
)
def test_nothing_is_explained_by_what_is_less_grave(loaded, evidence, parent, child, explained):
    graded = body("XX001", "a", FINDING, suppresses=("XX002",), severity=parent)
    rules = loaded(graded + body("XX002", "b", FINDING, severity=child))
    _, found = apply_rules(rules, evidence).findings
    assert (found.suppressed_by is not None) is explained


def test_a_silent_rule_explains_nothing(loaded, evidence):
    silent = '@rule("XX001", name="a", suppresses=("XX002",))\ndef a(run: Run):\n    yield from ()\n\n'
    (finding,) = apply_rules(loaded(silent + body("XX002", "b", FINDING)), evidence).findings
    assert finding.suppressed_by is None


def test_findings_come_by_code_and_first_step(loaded, evidence):
    late = "Finding('Late.', '', '', 9.0, 9.0)"
    two = body("XX001", "a", late).rstrip() + f"\n    yield {FINDING.format(more='')}\n"
    rules = loaded(body("XX002", "b", FINDING) + two)
    found = apply_rules(tuple(reversed(rules)), evidence).findings
    assert [(finding.code, finding.first_step) for finding in found] == [("XX001", 0.0), ("XX001", 9.0), ("XX002", 0.0)]


EVIDENCE = {
    "a run": ("run: Run", True),
    "a trajectory": ("trajectory: Trajectory", True),
    "the last checkpoint": ("checkpoint: Checkpoint", True),
    "all checkpoints": ("checkpoints: tuple[Checkpoint, ...]", True),
    "a fit": ("fit: Fit", True),
    "any recognised schedule": ("schedule: Schedule", True),
    "a family it is not": ("schedule: OneCycleLR", False),
    "siblings it has none of": ("siblings: tuple[Sibling, ...]", False),
    "siblings it can do without": ("siblings: tuple[Sibling, ...] | None", True),
}


@pytest.mark.parametrize(("parameters", "asked"), EVIDENCE.values(), ids=EVIDENCE)
def test_a_rule_is_asked_only_where_its_evidence_is_there(loaded, evidence, parameters, asked):
    applied = apply_rules(loaded(body("XX001", "a", FINDING, parameters)), evidence)
    assert bool(applied.findings) is asked
    assert applied.problems == ()


def test_the_checkpoint_asked_for_is_the_last(loaded, evidence):
    what = "Finding(str(checkpoint.global_step), '', '', 0.0, 0.0)"
    (finding,) = apply_rules(loaded(body("XX001", "a", what, "checkpoint: Checkpoint")), evidence).findings
    assert finding.measured == "200"


WITH_OPTION = body(
    "XX001", "a", "Finding(repr((limit, on)), '', '', 0.0, 0.0)", "run: Run, *, limit: float = 0.5, on: bool = True"
)


def test_options_replace_defaults(loaded, evidence):
    rules = loaded(WITH_OPTION)
    assert apply_rules(rules, evidence).findings[0].measured == "(0.5, True)"
    assert apply_rules(rules, evidence, {"XX001": {"limit": 2}}).findings[0].measured == "(2, True)"


@pytest.mark.parametrize(
    ("given", "hint"), [({"limti": 1.0}, "limit"), ({"limit": "high"}, "0.5"), ({"on": 1}, "True")]
)
def test_options_that_do_not_fit_are_an_error_with_a_hint(loaded, evidence, given, hint):
    with pytest.raises(SettingsError) as caught:
        apply_rules(loaded(WITH_OPTION), evidence, {"XX001": given})
    assert hint in caught.value.hint
    assert "XX001" in caught.value.where


def test_options_of_rules_that_do_not_run_are_left_alone(loaded, evidence):
    assert apply_rules(loaded(WITH_OPTION), evidence, {"ZZ999": {"x": 1}}).findings
