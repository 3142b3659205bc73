"""Settings beside a log, in the spellings of the frameworks, and files that mean harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrdoctor.limits import Limits
from lrdoctor.model.run import Hint, Note
from lrdoctor.readers import inert_yaml, side_files
from lrdoctor.readers.setting_names import hints_from


def items_of(tmp_path: Path, text: str | bytes, name: str = "hparams.yaml") -> list[Hint | Note]:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(side_files.read_hints(str(path)))


def hints(tmp_path: Path, text: str, name: str = "hparams.yaml") -> dict[str, Any]:
    items = items_of(tmp_path, text, name)
    assert not [item for item in items if isinstance(item, Note)]
    return {item.name: item.value for item in items if isinstance(item, Hint)}


@pytest.mark.parametrize(
    "name",
    [
        "hparams.yaml", "args.yaml", "args.json", "config.yaml", "config.json", "hyp.yaml", "opt.yaml", "cfg.yml",
        "configuration.yaml", "training_args.json", "training_args.yaml", "train_config.json", "adapter_config.json",
        "ds_config.json", "ds_config_zero3.json", "deepspeed.json", "run1_config.yaml", "run1.args.json",
    ],
)  # fmt: skip
def test_settings_are_known_by_name(name: str) -> None:
    assert side_files.is_side_file(f"some/run/{name}")


@pytest.mark.parametrize("name", ["metrics.json", "config.py", "data.yaml", "tokenizer.json", "myconfig.txt", "args"])
def test_other_files_are_not(name: str) -> None:
    assert not side_files.is_side_file(f"config.yaml/{name}")


def test_timm(tmp_path: Path) -> None:
    text = """
batch_size: 128
epochs: 300
lr: 0.001
min_lr: 1.0e-05
opt: adamw
sched: cosine
warmup_epochs: 5
warmup_lr: 1.0e-06
weight_decay: 0.05
model: vit_small_patch16_224
pretrained: true
native_amp: true
"""
    assert hints(tmp_path, text, "args.yaml") == {
        "lr": 0.001, "min_lr": 1e-5, "batch_size": 128, "epochs": 300, "warmup_epochs": 5, "weight_decay": 0.05,
        "optimizer": "adamw", "scheduler": "cosine", "model": "vit_small_patch16_224", "framework": "timm",
        "precision": "amp", "finetune": True,
    }  # fmt: skip
    (batch,) = [item for item in items_of(tmp_path, text) if isinstance(item, Hint) and item.name == "batch_size"]
    assert batch.detail == "per device"


def test_ultralytics(tmp_path: Path) -> None:
    text = "task: detect\nmodel: yolov8n.pt\nepochs: 50\nbatch: 16\noptimizer: auto\nlr0: 0.01\nlrf: 0.1\nnbs: 64\n"
    items = items_of(tmp_path, text, "args.yaml")
    found = {item.name: (item.value, item.detail) for item in items if isinstance(item, Hint)}
    assert found["lr"] == (0.01, None)
    assert found["min_lr"] == (0.1, "fraction")
    assert found["batch_size"] == (16, None)
    assert found["framework"] == ("ultralytics", None)
    assert found["task"] == ("detect", None)
    assert "optimizer" not in found


def test_a_share_of_the_memory_is_no_batch_size(tmp_path: Path) -> None:
    assert "batch_size" not in hints(tmp_path, "batch: 0.7\n")
    assert "batch_size" not in hints(tmp_path, "batch: -1\n")


def test_hugging_face(tmp_path: Path) -> None:
    settings = {
        "learning_rate": 5e-5, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 8, "max_steps": -1,
        "num_train_epochs": 3.0, "warmup_steps": 0.1, "adam_beta2": 0.95, "optim": "adamw_torch", "bf16": True,
        "lr_scheduler_type": "cosine",
    }  # fmt: skip
    items = items_of(tmp_path, json.dumps(settings), "training_args.json")
    found = {item.name: (item.value, item.key, item.detail) for item in items if isinstance(item, Hint)}
    assert found["batch_size"] == (4, "per_device_train_batch_size", "per device")
    assert found["grad_accum"] == (8, "gradient_accumulation_steps", None)
    assert found["warmup_ratio"] == (0.1, "warmup_steps", None)
    assert found["beta2"] == (0.95, "adam_beta2", None)
    assert found["precision"] == ("bf16", "bf16", None)
    assert found["framework"][0] == "transformers"
    assert "max_steps" not in found
    assert "warmup_steps" not in found


def test_deepspeed(tmp_path: Path) -> None:
    settings = {
        "train_batch_size": 256, "train_micro_batch_size_per_gpu": 4, "gradient_accumulation_steps": 8,
        "optimizer": {"type": "AdamW", "params": {"lr": 1e-4, "betas": [0.9, 0.95], "weight_decay": 0.1}},
        "scheduler": {"type": "WarmupDecayLR", "params": {"warmup_num_steps": 100, "total_num_steps": 1000}},
        "fp16": {"enabled": True},
    }  # fmt: skip
    items = items_of(tmp_path, json.dumps(settings), "ds_config.json")
    found = {item.name: (item.value, item.key) for item in items if isinstance(item, Hint)}
    assert found["lr"] == (1e-4, "optimizer.params.lr")
    assert found["beta2"] == (0.95, "optimizer.params.beta2")
    assert found["optimizer"] == ("AdamW", "optimizer")
    assert found["scheduler"] == ("WarmupDecayLR", "scheduler")
    assert found["warmup_steps"] == (100, "scheduler.params.warmup_num_steps")
    assert found["max_steps"] == (1000, "scheduler.params.total_num_steps")
    assert found["batch_size"] == (4, "train_micro_batch_size_per_gpu")


def test_wandb_wraps_each_setting(tmp_path: Path) -> None:
    text = (
        "wandb_version: 1\n\n_wandb:\n  desc: null\n  value:\n    lr: 9\nlearning_rate:\n  desc: null\n  value: 0.001\n"
    )
    assert hints(tmp_path, text, "config.yaml") == {"lr": 0.001}


def test_ml_agents_has_a_section_for_the_behaviour(tmp_path: Path) -> None:
    text = """
behaviors:
  MoveToGoal:
    trainer_type: ppo
    hyperparameters:
      batch_size: 1024
      learning_rate: 0.0003
      num_epoch: 3
      learning_rate_schedule: linear
    max_steps: 500000
"""
    assert hints(tmp_path, text, "configuration.yaml") == {
        "batch_size": 1024, "lr": 0.0003, "scheduler": "linear", "max_steps": 500000, "framework": "ml-agents",
    }  # fmt: skip


def test_detectron2_writes_in_capitals(tmp_path: Path) -> None:
    text = "SOLVER:\n  BASE_LR: 0.02\n  IMS_PER_BATCH: 16\n  MAX_ITER: 90000\n  WARMUP_ITERS: 1000\n"
    found = hints(tmp_path, text, "config.yaml")
    assert found["framework"] == "detectron2"
    assert (found["lr"], found["batch_size"], found["max_steps"], found["warmup_steps"]) == (0.02, 16, 90000, 1000)


def test_a_class_path_is_named_by_its_last_part(tmp_path: Path) -> None:
    text = "optimizer:\n  class_path: torch.optim.AdamW\n  init_args:\n    lr: 1e-4\ntrainer:\n  max_epochs: 7\n"
    assert hints(tmp_path, text, "config.yaml") == {"optimizer": "AdamW", "lr": 1e-4, "epochs": 7}


def test_fairseq_has_lists_of_one(tmp_path: Path) -> None:
    text = "optimization:\n  lr: [0.25]\n  max_update: 100\n  update_freq: [8]\n"
    assert hints(tmp_path, text, "config.yaml") == {"lr": 0.25, "max_steps": 100, "grad_accum": 8}


def test_sections_that_are_not_about_the_training_are_left_alone(tmp_path: Path) -> None:
    assert hints(tmp_path, "discriminator:\n  lr: 0.5\nwriter:\n  epochs: 3\n") == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1.0e-4", 1e-4), ("5E-05", 5e-5), (".5", 0.5), ("0.001", 0.001), ("'0.001'", 0.001),
        ("!!float 1e-3", 1e-3),
    ],
)  # fmt: skip
def test_numbers_in_all_spellings(tmp_path: Path, text: str, value: float) -> None:
    assert hints(tmp_path, f"lr: {text}\n") == {"lr": value}


@pytest.mark.parametrize("text", ["null", "''", "~", "high", "true", ".nan", "-1", "0", "[1, 2]", "{a: 1}"])
def test_what_sets_no_rate_gives_no_hint(tmp_path: Path, text: str) -> None:
    assert hints(tmp_path, f"lr: {text}\n") == {}


def test_python_tags_build_nothing(tmp_path: Path) -> None:
    """PyYAML's full loader would run this; its safe loader would refuse the whole file."""
    marker = tmp_path / "ran"
    text = f"""
lr: 0.001
evil: !!python/object/apply:os.system ["touch {marker}"]
shape: !!python/tuple [1, 2]
loss: !!python/name:torch.nn.MSELoss ''
weight_decay: 0.1
"""
    assert hints(tmp_path, text) == {"lr": 0.001, "weight_decay": 0.1}
    assert not marker.exists()


def test_a_saved_namespace_is_read_as_the_mapping_it_is(tmp_path: Path) -> None:
    assert hints(tmp_path, "!!python/object:argparse.Namespace\nlr: 0.5\nepochs: 3\n") == {"lr": 0.5, "epochs": 3}


def test_aliases_are_shared_and_not_multiplied(tmp_path: Path) -> None:
    bomb = "a0: &a0 {lr: 0.5}\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
    bomb += "config: &c {x: 1, config: *a0}\nlr: 0.25\n"
    assert hints(tmp_path, bomb)["lr"] == 0.25
    sections = "train: &t0 {x: 1}\n" + "".join(
        f"params{n}: &t{n} {{train: *t{n - 1}, optimizer: *t{n - 1}, data: *t{n - 1}}}\n" for n in range(1, 60)
    )
    assert hints(tmp_path, sections + "model: *t59\nlr: 0.25\n")["lr"] == 0.25


def test_an_alias_to_what_contains_it_ends(tmp_path: Path) -> None:
    assert hints(tmp_path, "model: &m\n  params: *m\nlr: 0.25\n") == {"lr": 0.25}


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("lr: [1\n", "args.yaml", "cannot be read as settings"),
        ("{broken", "args.json", "cannot be read as settings"),
        ("[" * 200_000, "args.json", "nested too deeply"),
        ("[" * 200_000, "args.yaml", "nest"),
        (b"\x00\x01\x02", "args.yaml", "not text"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "args.yaml", "git lfs pull"),
        ("#" * (Limits().settings_bytes + 1), "args.yaml", "too many"),
    ],
)
def test_a_broken_file_is_a_note(tmp_path: Path, text: str | bytes, name: str, said: str) -> None:
    (note,) = items_of(tmp_path, text, name)
    assert isinstance(note, Note)
    assert said in str(note)


@pytest.mark.parametrize("text", ["", "\n", "- 1\n- 2\n", "just words\n", "{}\n", "null\n"])
def test_files_without_settings_give_nothing(tmp_path: Path, text: str) -> None:
    assert items_of(tmp_path, text, "args.yaml") == []


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["lr", "optimizer", "params", "epochs", "value", "batch_size", "x"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["lr", "optimizer", "behaviors", "wandb_version", "betas", "x"]), trees))
def test_any_settings_give_hints_with_plain_values(settings: dict[str, Any]) -> None:
    for hint in hints_from(settings, "args.yaml"):
        assert isinstance(hint.value, str | int | float | bool)


@given(st.text(alphabet="ab:-[]{}&*!#|>'\"\n 01.~?,", max_size=120))
def test_any_yaml_is_plain_values_or_refused(text: str) -> None:
    try:
        found = inert_yaml.parse(text)
    except inert_yaml.YamlError:
        return
    assert found is None or isinstance(found, str | int | float | bool | list | dict)
