"""`lrdoctor recommend` on a run, on settings alone, in each format, and its errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lrdoctor.cli.main import cli
from lrdoctor.errors import ReadError, UsageError

RUNS = Path(__file__).parents[2] / "fixtures" / "runs"


def recommend(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["recommend", *map(str, arguments)])


def as_json(*arguments: object) -> list[dict[str, Any]]:
    result = recommend(*arguments, "--format", "json")
    assert result.exit_code == 0, (result.output, result.exception)
    document = json.loads(result.stdout)
    assert document["format_version"] == 1
    found: list[dict[str, Any]] = document["recommendations"]
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "training_args.json"
    given = {
        "per_device_train_batch_size": 8, "gradient_accumulation_steps": 4, "max_steps": 2000, "optim": "adamw_torch",
        "lr_scheduler_type": "cosine", "model_name_or_path": "bert-base-uncased", "learning_rate": 4e-5,
    }  # fmt: skip
    path.write_text(json.dumps(given))
    return path


def test_a_run_is_scaled_to_another_batch_as_a_range() -> None:
    (found,) = as_json(RUNS / "torch-batch-unscaled" / "batch512", "--batch-size", 2048)
    assert found["peak_lr"]["low"] < found["peak_lr"]["start"] < found["peak_lr"]["high"]
    assert found["batch_size"] == 2048
    assert any("batch 2048 is 4 times 512" in reason["text"] for reason in found["reasons"])


def test_settings_alone_are_enough(settings: Path) -> None:
    (found,) = as_json(settings, "--task", "finetune")
    assert found["about"] == "fine-tuning a pretrained language model"
    assert (found["batch_size"], found["horizon_steps"], found["warmup_steps"]) == (32, 2000, 120)
    assert found["peak_lr"]["start"] == 4e-5
    assert found["code"]["framework"] == "transformers"
    assert 'lr_scheduler_type="linear"' in found["code"]["code"]


def test_options_override_what_the_files_say(settings: Path) -> None:
    (found,) = as_json(settings, "--task", "adapter", "--steps", 500, "--optimizer", "AdamW", "--model", "llama")
    assert (found["about"], found["horizon_steps"]) == ("an adapter (LoRA) on a pretrained model", 500)


def test_text_and_markdown_name_the_sources(settings: Path, tmp_path: Path) -> None:
    text = recommend(settings, "--task", "finetune").stdout
    assert "start at 4e-5, search from 2e-5 to 8e-5" in text
    assert "(Devlin et al. 2019, BERT, appendix A.3)" in text
    recommend(settings, "--format", "markdown", "--output", tmp_path / "out.md")
    assert "| peak LR | start at 4e-5" in (tmp_path / "out.md").read_text()


def test_a_fault_puts_the_runs_own_peak_in_doubt() -> None:
    (found,) = as_json(RUNS / "torch-onecycle-jump")
    assert any("LR201 scheduler-state-missing" in reason["text"] for reason in found["reasons"])


def test_a_missing_path_is_a_usage_error(tmp_path: Path) -> None:
    assert isinstance(recommend(tmp_path / "nowhere").exception, UsageError)


def test_settings_without_a_known_key_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"colour": "blue"}')
    error = recommend(tmp_path / "config.json").exception
    assert isinstance(error, ReadError)
    assert error.exit_status == 3
