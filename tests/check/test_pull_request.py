"""A pull request as the Action, the workflow in the docs and the pre-commit hook see it, run by their own commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SPARKS = set("▁▂▃▄▅▆▇█")
FINETUNE = """\
# a fine-tuning
model_name_or_path: some/model
learning_rate: 2.0e-05
per_device_train_batch_size: 8
gradient_accumulation_steps: 4
max_steps: 1000
lr_scheduler_type: cosine
warmup_ratio: 0.05
"""
DETECTOR = """\
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.02))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12)
"""
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the commands are for bash")


@pytest.fixture
def checkout(project: Path, git: Any) -> Path:
    """A repository on a branch that plants three faults, its base known as origin/main."""
    configs = project / "configs"
    configs.mkdir()
    (project / ".gitignore").write_text("bin/\n", encoding="utf-8")
    (configs / "finetune.yaml").write_text(FINETUNE, encoding="utf-8")
    (configs / "detector.py").write_text(DETECTOR, encoding="utf-8")
    (configs / "same.yaml").write_text(FINETUNE, encoding="utf-8")
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "base")
    git("update-ref", "refs/remotes/origin/main", "main")
    git("checkout", "-qb", "change")
    planted = FINETUNE.replace("warmup_ratio: 0.05", "warmup_ratio: 0.5").replace("steps: 4", "steps: 64")
    (configs / "finetune.yaml").write_text("# one more line\n" + planted, encoding="utf-8")
    (configs / "detector.py").write_text(DETECTOR.replace("[8, 11]", "[8, 14]"), encoding="utf-8")
    git("commit", "-qam", "change")
    return project


def line_of(path: Path, text: str) -> int:
    """The 1-based line of a file that holds `text`."""
    return next(n for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if text in line)


@pytest.fixture
def environment(project: Path) -> dict[str, str]:
    """One in which `lrdoctor` is this checkout and installing it does nothing."""
    bin_ = project / "bin"
    bin_.mkdir()
    for name, body in (
        ("lrdoctor", f'exec "{sys.executable}" -m lrdoctor "$@"'),
        ("python", f'case "$*" in *"pip install"*) exit 0;; esac; exec "{sys.executable}" "$@"'),
        ("pip", 'case "$1" in install) exit 0;; esac; exit 1'),
    ):
        file = bin_ / name
        file.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        file.chmod(0o755)
    path = f"{bin_}{os.pathsep}{os.environ['PATH']}"
    summary = str(project / "bin" / "summary.md")
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "GITHUB_STEP_SUMMARY": summary}


def bash(script: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """As a runner starts a step."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def run_action(folder: Path, environment: Mapping[str, str], **inputs: str) -> subprocess.CompletedProcess[str]:
    """The steps of action.yml with these inputs; the last one's result."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    values = {name: str(value["default"]) for name, value in action["inputs"].items()} | inputs
    for step in action["runs"]["steps"]:
        given = {key: values[value.split("inputs.")[1].split(" ")[0]] for key, value in step["env"].items()}
        done = bash(step["run"], folder, {**environment, **given})
        if done.returncode:
            break
    return done


def annotations(output: str) -> dict[tuple[str, str], int]:
    """(file, code) -> line of each workflow command."""
    found = re.finditer(r"^::(?:error|warning|notice) file=([^,]+),line=(\d+),.*?title=(LR\d+)", output, re.MULTILINE)
    return {(match[1], match[3]): int(match[2]) for match in found}


def test_the_action_annotates_the_lines_of_planted_faults(checkout, environment):
    done = run_action(
        checkout, environment, args="--against origin/main", **{"fail-on": "warning", "sarif-file": "bin/out.sarif"}
    )
    finetune, detector = checkout / "configs" / "finetune.yaml", checkout / "configs" / "detector.py"
    assert done.returncode == 1, done.stderr
    expected = {
        ("configs/finetune.yaml", "LR401"): line_of(finetune, "gradient_accumulation_steps"),
        ("configs/finetune.yaml", "LR502"): line_of(finetune, "warmup_ratio"),
        ("configs/detector.py", "LR902"): line_of(detector, "milestones"),
    }
    assert annotations(done.stdout) == expected
    results = json.loads((checkout / "bin" / "out.sarif").read_text(encoding="utf-8"))["runs"][0]["results"]
    places = [(result["ruleId"], result["locations"][0]["physicalLocation"]) for result in results]
    assert {
        (place["artifactLocation"]["uri"], code): place["region"]["startLine"] for code, place in places
    } == expected


def test_the_step_summary_draws_the_plan_before_and_after_the_change(checkout, environment):
    assert run_action(checkout, environment, args="--against origin/main").returncode == 0  # warnings alone
    summary = Path(environment["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8")
    row = next(line for line in summary.splitlines() if line.startswith("| `configs/finetune.yaml`"))
    before, after = row.split("|")[3].replace("`", "").strip().split("<br>")
    assert set(before) <= SPARKS
    assert before != after
    assert "LR502" in summary


def test_an_action_that_looks_at_changes_alone_is_content_with_none(checkout, environment):
    done = run_action(checkout, environment, args="--diff-base HEAD")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_workflow_in_the_docs_annotates_them_too(checkout, environment):
    page = (ROOT / "docs" / "check.md").read_text(encoding="utf-8")
    block = next(text for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "pull_request" in text)
    assert len(block.splitlines()) <= 10
    (job,) = yaml.safe_load(block)["jobs"].values()
    outputs = []
    for step in (one for one in job["steps"] if "run" in one):
        done = bash(step["run"].replace("${{ github.base_ref }}", "main"), checkout, environment)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert {code for _, code in annotations("".join(outputs))} == {"LR401", "LR502", "LR902"}


def test_the_hooks_entry_takes_any_files_of_a_commit(checkout, environment):
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    (checkout / "other.yaml").write_text("kind: Service\n", encoding="utf-8")
    (checkout / "setup.py").write_text("print('no config')\n", encoding="utf-8")

    def commit(*files: str) -> subprocess.CompletedProcess[str]:
        return bash(" ".join([hook["entry"], *files]), checkout, environment)

    assert (commit("other.yaml", "setup.py").returncode, commit("other.yaml", "setup.py").stdout) == (0, "")
    told = commit("other.yaml", "configs/finetune.yaml").stdout
    line = line_of(checkout / "configs" / "finetune.yaml", "warmup_ratio")
    assert f"configs/finetune.yaml:{line}:1: LR502" in told
