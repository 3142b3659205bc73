"""Every format of a check: findings at their lines, escaped, bounded, and valid where there is a schema."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from .conftest import FAULTY, GOOD

ROOT = Path(__file__).parents[2]


@pytest.fixture
def configs(project: Path) -> Path:
    (project / "a.yaml").write_text(FAULTY, encoding="utf-8")
    (project / "b.yaml").write_text(GOOD, encoding="utf-8")
    return project


def test_text_shows_the_line_with_carets_and_the_cure(configs, run):
    lines = run("a.yaml").stdout.splitlines()
    assert lines[0].startswith("a.yaml:5:1: LR502 warmup-length-out-of-range warning: The warmup takes 50%")
    assert lines[1:3] == ["  5 | warmup_ratio: 0.5", "    | ^^^^^^^^^^^^^^^^^"]
    assert lines[3].startswith("  help: Warm up for")
    assert lines[-1] == "Found 1 finding (0 errors, 1 warning) in 1 config."


def test_text_says_what_was_planned_for_a_config_without_findings(configs, run):
    output = run("b.yaml").stdout
    assert "transformers 4.57.1: cosine, peak 2e-5, warmup 50 updates, 1,000 updates, batch 8 or more" in output
    assert run("b.yaml", "--quiet").stdout == ""


def test_json_follows_its_published_schema(configs, run):
    (configs / "c.json").write_text('{"train_batch_size": 8,}', encoding="utf-8")
    document = json.loads(run("a.yaml", "b.yaml", "c.json", "--format", "json").stdout)
    schema = json.loads((ROOT / "docs" / "check.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, schema)
    (finding,) = document["configs"][0]["findings"]
    place = [finding[key] for key in ("line", "column", "end_line", "end_column", "key")]
    assert place == [5, 1, 5, 18, "warmup_ratio"]
    schedule = document["configs"][0]["schedule"]
    assert (schedule["family"], schedule["params"]["T_max"], schedule["warmup"]["steps"]) == (
        "CosineAnnealingLR",
        500,
        500,
    )


def test_json_leaves_null_what_follows_an_unknown_length(configs, run):
    text = GOOD.replace("max_steps: 1000", "num_train_epochs: 3")
    (configs / "d.yaml").write_text(text, encoding="utf-8")
    (one,) = json.loads(run("d.yaml", "--format", "json").stdout)["configs"]
    assert one["schedule"]["params"] == {"T_max": None, "eta_min": 0.0}
    assert one["schedule"]["warmup"] == {"kind": "linear", "start_factor": 0.0, "steps": None}
    assert (one["total_steps"], one["steps_range"], one["warmup_fraction"]) == (None, [3, None], 0.05)


def test_sarif_has_relative_places_regions_fingerprints_and_help(configs, run):
    log = json.loads(run("a.yaml", "--format", "sarif").stdout)
    (result,) = log["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "a.yaml", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 5, "startColumn": 1, "endLine": 5, "endColumn": 18}
    rule = log["runs"][0]["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert rule["id"] == result["ruleId"] == "LR502"
    assert "## What it does" in rule["help"]["markdown"]
    assert result["partialFingerprints"]["primaryLocationLineHash"]


def test_sarif_fingerprints_do_not_hang_on_the_line(configs, run):
    def mark() -> dict[str, str]:
        return json.loads(run("a.yaml", "--format", "sarif").stdout)["runs"][0]["results"][0]["partialFingerprints"]

    before = mark()
    (configs / "a.yaml").write_text("# one more\n\n" + FAULTY, encoding="utf-8")
    assert mark() == before


def test_sarif_marks_what_a_comment_sets_aside(configs, run):
    (configs / "a.yaml").write_text("# lrdoctor: ignore-file\n" + FAULTY, encoding="utf-8")
    (result,) = json.loads(run("a.yaml", "--format", "sarif").stdout)["runs"][0]["results"]
    assert result["suppressions"][0]["kind"] == "inSource"


def test_github_annotates_the_line_and_escapes(configs, run):
    folder = configs / "50%,a:b"
    folder.mkdir()
    (folder / "a.yaml").write_text(FAULTY, encoding="utf-8")
    (line,) = run("50%,a:b/a.yaml", "--format", "github").stdout.splitlines()
    assert line.startswith("::warning file=50%25%2Ca%3Ab/a.yaml,line=5,endLine=5,col=1,endColumn=18,title=LR502")
    assert "::The warmup takes 50%25 of the run" in line


def test_github_stays_below_what_actions_shows_and_says_so(project, run):
    for i in range(14):
        (project / f"{i}.yaml").write_text(FAULTY, encoding="utf-8")
    lines = run(".", "--format", "github").stdout.splitlines()
    assert len([line for line in lines if line.startswith("::warning")]) == 10
    assert "4 more warnings" in lines[-1]


def test_junit_has_a_case_a_config_and_a_failure_a_finding(configs, run):
    root = ElementTree.fromstring(run("a.yaml", "b.yaml", "--format", "junit").stdout)
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert cases["a.yaml"].find("failure").get("type") == "LR502"
    assert cases["b.yaml"].find("failure") is None
    assert root.get("failures") == "1"


def test_markdown_draws_the_plan_before_and_after(configs, run):
    text = run("a.yaml", "--against", "b.yaml", "--format", "markdown").stdout
    assert text.startswith("<!-- lrdoctor -->\n")
    row = next(line for line in text.splitlines() if line.startswith("| `a.yaml`"))
    before, after = row.split("|")[3].strip().split("<br>")
    assert before != after
    assert set(before + after) <= set("▁▂▃▄▅▆▇█`")


def test_markdown_stays_below_githubs_limit(project, run):
    for i in range(300):
        (project / f"{i:03}.yaml").write_text(FAULTY, encoding="utf-8")
    assert len(run(".", "--format", "markdown").stdout) < 65_536


def test_the_page_shows_each_plan_with_its_curve_and_fetches_nothing(configs, run):
    (configs / "c.yaml").write_text(GOOD.replace("2.0e-05", '"<script>alert(1)</script>"'), encoding="utf-8")
    run("a.yaml", "b.yaml", "c.yaml", "--report", "page")
    page = (configs / "page" / "index.html").read_text(encoding="utf-8")
    assert page.count("<polyline points=") == 2 + 1 - ("alert" in page)
    assert "LR502" in page
    assert "<script>alert" not in page
    assert "http" not in page.split("</style>")[-1].replace("http://www.w3.org/2000/svg", "")


def test_a_page_that_is_not_ours_is_kept(configs, run):
    (configs / "page").mkdir()
    (configs / "page" / "index.html").write_text("mine", encoding="utf-8")
    with pytest.raises(Exception, match="another page is in its place"):
        run("a.yaml", "--report", "page")


def test_the_output_can_go_to_a_file(configs, run):
    assert run("a.yaml", "--format", "json", "--output", "out.json").stdout == ""
    assert json.loads((configs / "out.json").read_text(encoding="utf-8"))["format_version"] == 1
