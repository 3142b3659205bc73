"""SARIF, JUnit, GitHub annotations and Markdown."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from lrdoctor.model.diagnosis import Audit, Diagnosis
from lrdoctor.model.finding import Finding, Remedy
from lrdoctor.report import github, junit, markdown, sarif
from lrdoctor.report import json as json_report


@dataclass(frozen=True)
class Page:
    title: str = "OneCycleLR is stepped once per epoch."
    what: str = "Compares the visited part of the cycle with the whole of it."
    why: str = "The run never reaches its peak."
    fix: str = "Step it after every update."
    markdown: str = "# LR101\n\nOneCycleLR is stepped once per epoch."


PAGES = {"LR101": Page()}


def log_of(audit: Audit) -> dict[str, Any]:
    (log,) = json.loads(sarif.render(audit, PAGES))["runs"]
    assert isinstance(log, dict)
    return log


def many(diagnosis: Diagnosis, severity: str, count: int) -> Audit:
    """One run with `count` findings of a severity."""
    finding = replace(diagnosis.findings[0], severity=severity)  # type: ignore[arg-type]
    return Audit((replace(diagnosis, findings=(finding,) * count),), (), "0.1.0")


# SARIF


def test_sarif_has_version_tool_and_one_rule_a_code(audit: Audit) -> None:
    assert json.loads(sarif.render(audit, {}))["version"] == "2.1.0"
    driver = log_of(audit)["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("lrdoctor", "0.1.0")
    assert [rule["id"] for rule in driver["rules"]] == ["LR101", "LR109", "LR201", "LR901"]


def test_sarif_rule_carries_its_page_as_help(audit: Audit) -> None:
    rules = {rule["id"]: rule for rule in log_of(audit)["tool"]["driver"]["rules"]}
    assert rules["LR101"]["help"]["markdown"] == Page().markdown
    assert rules["LR101"]["shortDescription"]["text"] == Page().title
    assert "help" not in rules["LR201"]


def test_sarif_results_point_at_their_rule(audit: Audit) -> None:
    log = log_of(audit)
    rules = log["tool"]["driver"]["rules"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in log["results"])
    assert {result["level"] for result in log["results"]} == {"error", "warning", "note"}


def test_sarif_place_is_a_relative_uri_with_a_line(audit: Audit) -> None:
    for result in log_of(audit)["results"]:
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
        assert place["artifactLocation"]["uri"].startswith("runs/")
        assert place["region"]["startLine"] == 1


def test_sarif_uri_is_percent_encoded_and_absolute_outside_the_working_folder(
    unknown: Diagnosis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def uri(path: Path) -> dict[str, str]:
        run = replace(unknown.run, sources=(replace(unknown.run.sources[0], path=str(path)),))
        log = log_of(Audit((replace(unknown, run=run),), (), "0.1.0"))
        location = log["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
        assert isinstance(location, dict)
        return location

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert uri(tmp_path / "here" / "a b%.csv") == {"uri": "a%20b%25.csv", "uriBaseId": "%SRCROOT%"}
    outside = uri(tmp_path / "elsewhere.csv")
    assert outside["uri"].startswith("file:///")
    assert "uriBaseId" not in outside


def test_sarif_suppressed_finding_is_marked(audit: Audit) -> None:
    marked = {result["ruleId"]: result.get("suppressions") for result in log_of(audit)["results"]}
    assert marked["LR101"] is None
    assert marked["LR109"][0]["justification"] == "explained by LR101"


def test_sarif_fingerprints_are_stable_and_differ_between_findings(audit: Audit) -> None:
    marks = [result["partialFingerprints"]["primaryLocationLineHash"] for result in log_of(audit)["results"]]
    assert len(set(marks)) == len(marks)
    assert marks == [result["partialFingerprints"]["primaryLocationLineHash"] for result in log_of(audit)["results"]]


def test_sarif_fingerprint_does_not_hang_on_measured_numbers(faulty: Diagnosis) -> None:
    def mark(finding: Finding) -> str:
        log = log_of(Audit((replace(faulty, findings=(finding,)),), (), "0.1.0"))
        return str(log["results"][0]["partialFingerprints"]["lrdoctorFinding/v1"])

    first = faulty.findings[0]
    assert mark(first) == mark(replace(first, measured="Something else was measured.", last_step=5.0))


# JUnit


def test_junit_has_a_case_a_run_and_a_failure_a_finding(audit: Audit) -> None:
    suite = ElementTree.fromstring(junit.render(audit, PAGES)).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "2", "1")
    failures = {case.get("name"): [one.get("type") for one in case.findall("failure")] for case in suite}
    assert failures["runs/resnet-onecycle"] == ["LR101", "LR201"]
    assert failures["runs/gpt-small"] == []


def test_junit_survives_characters_xml_forbids(faulty: Diagnosis) -> None:
    odd = replace(faulty.findings[0], measured="null \x00 escape \x1b surrogate \udcff <tag> & 'quote'")
    text = junit.render(Audit((replace(faulty, findings=(odd,)),), (), "0.1.0"), {})
    failure = ElementTree.fromstring(text.encode("utf-8")).find(".//failure")
    assert failure is not None
    assert "<tag> & 'quote'" in str(failure.get("message"))


# GitHub


def test_github_annotation_names_file_line_and_title(faulty: Diagnosis) -> None:
    line = github.render(Audit((faulty,), (), "0.1.0"), PAGES).splitlines()[0]
    place = "file=runs/resnet-onecycle/events.out.tfevents.0,line=1"
    assert line.startswith(f"::error {place},title=LR101 OneCycleLR is stepped once per epoch::runs/resnet-onecycle: ")


def test_github_message_and_properties_are_escaped(faulty: Diagnosis) -> None:
    odd = replace(faulty.findings[0], measured="50 %\r\n::error::forged \x1b[2J\udcff", name="a:b,c", remedy=None)
    lines = github.render(Audit((replace(faulty, findings=(odd,)),), (), "0.1.0"), {}).splitlines()
    assert len(lines) == 1
    assert "50 %25%0A::error::forged " in lines[0]
    assert not {"\x1b", "\udcff"} & set(lines[0])
    assert "title=LR101 a%3Ab%2Cc::" in lines[0]


@pytest.mark.parametrize(("severity", "command"), [("error", "::error "), ("warning", "::warning ")])
def test_github_shows_ten_of_a_kind_and_counts_the_rest(faulty: Diagnosis, severity: str, command: str) -> None:
    lines = github.render(many(faulty, severity, 13), {}).splitlines()
    assert sum(line.startswith(command) for line in lines) == 10
    assert f"3 more {severity}s" in lines[-1]


def test_github_notices_leave_room_for_the_line_that_counts_the_rest(faulty: Diagnosis) -> None:
    lines = github.render(many(faulty, "info", 30), {}).splitlines()
    assert sum(line.startswith("::notice ") for line in lines) == 10


def test_github_says_nothing_of_suppressed_findings_and_healthy_runs(faulty: Diagnosis, healthy: Diagnosis) -> None:
    assert "LR109" not in github.render(Audit((faulty,), (), "0.1.0"), {})
    assert github.render(Audit((healthy,), (), "0.1.0"), {}) == ""


# Markdown


def test_markdown_has_marker_headline_and_faulty_runs_first(audit: Audit) -> None:
    lines = markdown.render(audit, PAGES).splitlines()
    assert lines[0] == "<!-- lrdoctor -->"
    assert "2 of 4 runs" in lines[1]
    rows = [line for line in lines if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [
        "runs/refused/version_0",
        "runs/resnet-onecycle",
        "runs/no-lr/results.csv",
        "runs/gpt-small",
    ]


@pytest.mark.parametrize("count", [1, 3, 40, 2_000])
def test_markdown_fits_into_a_chat_window_and_says_what_it_leaves_out(faulty: Diagnosis, count: int) -> None:
    runs = tuple(replace(faulty, run=replace(faulty.run, path=f"runs/{i:04d}")) for i in range(count))
    text = markdown.render(Audit(runs, (), "0.1.0"), PAGES)
    assert len(text) <= markdown.CHAT
    assert ("more: see the HTML report" in text) == (count > 3)
    assert "- **LR101 onecycle-stepped-per-epoch** error" in text  # the first run is always told in full


def test_markdown_of_many_runs_names_the_findings_of_most_by_their_codes(faulty: Diagnosis) -> None:
    runs = tuple(replace(faulty, run=replace(faulty.run, path=f"runs/{i:04d}")) for i in range(9))
    text = markdown.render(Audit(runs, (), "0.1.0"), PAGES)
    assert "`runs/0008`: LR101 onecycle-stepped-per-epoch, LR201 scheduler-state-missing" in text
    assert text.index("- **LR101") < text.index("`runs/0008`: ")


def test_markdown_one_huge_finding_does_not_break_the_limit(faulty: Diagnosis) -> None:
    for huge in (
        replace(faulty.findings[0], measured="x" * 200_000),
        replace(faulty.findings[0], measured="*" * 200_000),
        replace(faulty.findings[0], remedy=Remedy("x" * 200_000, None, "y" * 200_000)),
    ):
        run = replace(faulty.run, path="p/" * 5_000)
        text = markdown.render(Audit((replace(faulty, run=run, findings=(huge,)),), (), "0.1.0"), {})
        assert len(text) <= markdown.CHAT
        assert "LR101" in text


def test_markdown_escapes_markup_mentions_and_cell_ends(faulty: Diagnosis) -> None:
    odd = replace(faulty.findings[0], measured="a | b <img src=x> @team `code` [link](u)\nnew line", remedy=None)
    run = replace(faulty.run, path="runs/a|b`c")
    text = markdown.render(Audit((replace(faulty, run=run, findings=(odd,)),), (), "0.1.0"), {})
    (row,) = [line for line in text.splitlines() if line.startswith("| `")]
    assert row.replace("\\|", "").count("|") == 5
    assert "<img" not in text.replace("\\<img", "")
    assert "@team" not in text


def test_markdown_code_with_a_fence_inside_stays_a_block(faulty: Diagnosis) -> None:
    assert faulty.findings[0].remedy is not None
    remedy = replace(faulty.findings[0].remedy, code="a = '```'\nb = 1")
    odd = replace(faulty.findings[0], remedy=remedy)
    assert "````python" in markdown.render(Audit((replace(faulty, findings=(odd,)),), (), "0.1.0"), {})


@pytest.mark.parametrize("render", [json_report.render, sarif.render, junit.render, github.render, markdown.render])
def test_output_is_the_same_every_time(audit: Audit, render: Any) -> None:
    assert render(audit, PAGES) == render(audit, PAGES)


@pytest.mark.parametrize("render", [json_report.render, sarif.render, junit.render, github.render, markdown.render])
def test_audit_of_nothing_is_rendered(render: Any) -> None:
    assert isinstance(render(Audit((), (), "0.1.0"), {}), str)
