"""Checkpoints in the layouts of frameworks that are told apart by the names they use at the top level."""

from __future__ import annotations

import argparse
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Checkpoint
from lrdoctor.readers.checkpoint import is_checkpoint, read_checkpoint
from lrdoctor.readers.checkpoint_hints import checkpoint_hints, training_arguments
from lrdoctor.readers.resume import missing_parts

torch = pytest.importorskip("torch")

WEIGHTS = OrderedDict({"layer.weight": torch.ones(2, 3)})
ADAM = {
    "state": {0: {"step": torch.tensor(40.0), "exp_avg": torch.ones(2, 3), "exp_avg_sq": torch.ones(2, 3)}},
    "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.99), "initial_lr": 1e-3, "params": [0]}],
}
STEP_LR = {"step_size": 2, "gamma": 0.1, "base_lrs": [1e-3], "last_epoch": 4, "_step_count": 5, "_last_lr": [1e-5]}

LAYOUTS: dict[str, tuple[dict[str, Any], int | None, float | None, bool]] = {
    "timm": (
        {
            "epoch": 7, "arch": "vit", "state_dict": WEIGHTS, "optimizer": ADAM, "version": 2,
            "args": argparse.Namespace(),
        },
        None, 7, True,
    ),
    "ultralytics": (
        {
            "epoch": 3, "best_fitness": None, "model": WEIGHTS, "ema": WEIGHTS, "updates": 120,
            "optimizer": ADAM, "train_args": {},
        },
        120, 3, True,
    ),
    "mmengine": (
        {
            "meta": {"epoch": 2, "iter": 80}, "state_dict": WEIGHTS, "message_hub": {},
            "optimizer": ADAM, "param_schedulers": [STEP_LR],
        },
        80, 2, False,
    ),
    "torchtune": (
        {"optimizer": ADAM, "epochs_run": 1, "total_epochs": 3, "max_steps_per_epoch": None, "seed": 1},
        None, 1, True,
    ),
    "fairseq": (
        {
            "model": WEIGHTS, "last_optimizer_state": ADAM, "extra_state": {"train_iterator": {"epoch": 5}},
            "optimizer_history": [{"num_updates": 10}, {"num_updates": 40, "lr_scheduler_state": {"best": None}}],
        },
        40, 5, True,
    ),
    "detectron2": ({"model": WEIGHTS, "optimizer": ADAM, "scheduler": STEP_LR, "iteration": 39}, 39, None, False),
    "deepspeed": (
        {
            "module": WEIGHTS, "optimizer": ADAM, "lr_scheduler": {"last_batch_iteration": 39},
            "global_steps": 40, "skipped_steps": 0,
        },
        40, None, False,
    ),
    "nanogpt": ({"model": WEIGHTS, "optimizer": ADAM, "model_args": {}, "iter_num": 40, "config": {}}, 40, None, True),
    "mae": (
        {"model": WEIGHTS, "optimizer": ADAM, "epoch": 9, "scaler": {}, "args": argparse.Namespace(blr=1e-3)},
        None, 9, True,
    ),
}  # fmt: skip


def _saved(folder: Path, held: object, name: str = "last.pt") -> str:
    path = folder / name
    torch.save(held, path)
    return str(path)


@pytest.mark.parametrize("framework", LAYOUTS)
def test_framework_and_its_counters_are_recognised(framework: str, tmp_path: Path) -> None:
    held, step, epoch, recomputes = LAYOUTS[framework]
    found = read_checkpoint(_saved(tmp_path, held))
    assert (found.framework, found.global_step, found.epoch) == (framework, step, epoch)
    assert found.recomputes_schedule == (framework if recomputes else None)
    assert found.optimizer is not None
    assert found.optimizer.step == 40


@pytest.mark.parametrize("framework", sorted(set(LAYOUTS) - {"torchtune"}))
def test_what_a_framework_saves_completely_lacks_nothing(framework: str, tmp_path: Path) -> None:
    found = read_checkpoint(_saved(tmp_path, LAYOUTS[framework][0]))
    assert found.model
    assert missing_parts(found) == ()


def test_an_unknown_script_is_read_all_the_same(tmp_path: Path) -> None:
    held = {"net": WEIGHTS, "opt": ADAM, "sched_state": STEP_LR, "step": 40, "epoch": 4}
    found = read_checkpoint(_saved(tmp_path, held))
    assert (found.framework, found.global_step, found.epoch, found.model) == (None, 40, 4, True)
    assert found.scheduler is not None
    assert found.scheduler.family == "StepLR"
    assert found.optimizer is not None


def test_weights_alone_have_no_training_state(tmp_path: Path) -> None:
    found = read_checkpoint(_saved(tmp_path, WEIGHTS))
    assert (found.model, found.optimizer, found.schedulers, found.global_step) == (True, None, (), None)


def test_a_parameter_called_step_is_no_counter(tmp_path: Path) -> None:
    held = OrderedDict({"step": torch.tensor(9.0), "weight": torch.ones(3)})
    assert read_checkpoint(_saved(tmp_path, held)).global_step is None


def test_random_state_is_no_model(tmp_path: Path) -> None:
    held = {"rng_state": torch.get_rng_state(), "optimizer": ADAM, "best_loss": torch.tensor(0.5)}
    assert read_checkpoint(_saved(tmp_path, held)).model is False


def test_two_optimizers_are_told(tmp_path: Path) -> None:
    found = read_checkpoint(_saved(tmp_path, {"gan": WEIGHTS, "opt_g": ADAM, "opt_d": ADAM}))
    assert any("2 optimizers" in str(note) for note in found.notes)


def test_lightning_arguments_are_hints(tmp_path: Path) -> None:
    held = {"state_dict": WEIGHTS, "hyper_parameters": {"batch_size": 64, "learning_rate": 0.02, "max_epochs": 9}}
    hints = {hint.name: hint.value for hint in checkpoint_hints(_saved(tmp_path, held))}
    assert hints == {"batch_size": 64, "lr": 0.02, "epochs": 9}


def test_a_namespace_of_arguments_is_hints(tmp_path: Path) -> None:
    args = argparse.Namespace(lr=1e-3, warmup_epochs=5, epochs=100, min_lr=1e-5, accum_iter=4, opt="adamw")
    hints = {hint.name: hint.value for hint in checkpoint_hints(_saved(tmp_path, {"model": WEIGHTS, "args": args}))}
    assert hints == {
        "lr": 1e-3,
        "warmup_epochs": 5,
        "epochs": 100,
        "min_lr": 1e-5,
        "grad_accum": 4,
        "optimizer": "adamw",
    }


def test_json_training_arguments_are_hints(tmp_path: Path) -> None:
    path = tmp_path / "training_args.bin"
    path.write_text(json.dumps({"learning_rate": 5e-5, "per_device_train_batch_size": 4, "max_steps": -1}))
    found = {hint.name: (hint.value, hint.detail) for hint in training_arguments(str(path))}
    assert found == {"lr": (5e-5, None), "batch_size": (4, "per device")}


def test_accelerate_folder_is_one_checkpoint(tmp_path: Path) -> None:
    _saved(tmp_path, STEP_LR, "scheduler.bin")
    _saved(tmp_path, ADAM, "optimizer.bin")
    _saved(tmp_path, WEIGHTS, "pytorch_model.bin")
    found = read_checkpoint(str(tmp_path))
    assert (found.kind, found.framework, found.model) == ("accelerate-folder", "accelerate", True)
    assert found.scheduler is not None
    assert found.scheduler.family == "StepLR"
    assert missing_parts(found) == ()


def _hf_folder(folder: Path) -> Path:
    path = folder / "checkpoint-40"
    path.mkdir()
    _saved(path, STEP_LR, "scheduler.pt")
    _saved(path, ADAM, "optimizer.pt")
    (path / "trainer_state.json").write_text(json.dumps({"global_step": 40, "epoch": 1.5, "max_steps": 200}))
    return path


def test_hf_folder_is_one_checkpoint_with_the_trainers_counters(tmp_path: Path) -> None:
    found = read_checkpoint(str(_hf_folder(tmp_path)))
    assert (found.framework, found.global_step, found.epoch, found.max_steps) == ("transformers", 40, 1.5, 200)
    assert [missing.part for missing in missing_parts(found)] == ["model"]


def test_a_damaged_file_of_a_folder_is_noted_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = _hf_folder(tmp_path)
    (path / "optimizer.pt").write_bytes(b"\x80\x02garbage")
    (path / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    found = read_checkpoint(str(path))
    assert (found.model, found.optimizer) == (False, None)
    assert found.scheduler is not None
    assert ["git LFS" in str(note) or "optimizer.pt" in str(note) for note in found.notes] == [True, True]


def test_zero_shards_stand_for_the_optimizer(tmp_path: Path) -> None:
    path = tmp_path / "global_step40"
    path.mkdir()
    _saved(
        path,
        {"module": WEIGHTS, "optimizer": None, "lr_scheduler": None, "global_steps": 40},
        "mp_rank_00_model_states.pt",
    )
    _saved(path, {"optimizer_state_dict": {"base_optimizer_state": ADAM}}, "zero_pp_rank_0_mp_rank_00_optim_states.pt")
    found = read_checkpoint(str(path))
    assert (found.framework, found.global_step, found.model) == ("deepspeed", 40, True)
    assert found.optimizer is not None
    assert found.optimizer.step == 40


def test_safetensors_is_a_model_and_nothing_else(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0\0\0")
    found = read_checkpoint(str(path))
    assert (found.model, found.optimizer, found.notes) == (True, None, ())
    path.write_bytes(path.read_bytes()[:-2])
    assert any("truncated" in str(note) for note in read_checkpoint(str(path)).notes)


@pytest.mark.parametrize("name", ["training_args.bin", "rng_state.pth", "scaler.pt", "notes.txt"])
def test_files_beside_checkpoints_are_none(name: str) -> None:
    assert not is_checkpoint(name, b"PK\x03\x04")


def test_a_text_file_named_like_a_checkpoint_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    path.write_text("hello")
    assert not is_checkpoint(str(path), b"hello")
    with pytest.raises(ReadError, match="no checkpoint"):
        read_checkpoint(str(path))


def _same(left: Checkpoint, right: Checkpoint) -> bool:
    return (left.optimizer, left.schedulers, left.model) == (right.optimizer, right.schedulers, right.model)


def test_both_layouts_of_torch_say_the_same(tmp_path: Path) -> None:
    held = {"model": WEIGHTS, "optimizer": ADAM, "scheduler": STEP_LR}
    torch.save(held, tmp_path / "new.pt")
    torch.save(held, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    new, old = (read_checkpoint(str(tmp_path / name)) for name in ("new.pt", "old.pt"))
    assert (new.kind, old.kind) == ("torch", "torch-legacy")
    assert _same(new, old)


def test_weights_of_a_gigabyte_are_not_read(tmp_path: Path) -> None:
    """A sparse file: its pages would be allocated if anything touched them."""
    import tracemalloc

    path = _saved(tmp_path, {"model": WEIGHTS, "optimizer": ADAM, "scheduler": STEP_LR})
    big = torch.empty(1 << 28, dtype=torch.uint8)
    torch.save({"model": {"w": big}, "optimizer": ADAM, "scheduler": STEP_LR}, path)
    tracemalloc.start()
    found = read_checkpoint(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.optimizer is not None
    assert found.optimizer.step == 40
    assert peak < 4 << 20
