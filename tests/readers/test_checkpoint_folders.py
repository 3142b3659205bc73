"""Checkpoints of many files: torch.distributed.checkpoint (written by it), Megatron, DeepSpeed, FSDP, torchtune."""

from __future__ import annotations

import argparse
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lrdoctor.cli.main import cli
from lrdoctor.errors import ReadError
from lrdoctor.readers import read
from lrdoctor.readers.checkpoint import read_checkpoint
from lrdoctor.readers.discover import discover
from lrdoctor.readers.resume import missing_parts

torch = pytest.importorskip("torch")
dcp = pytest.importorskip("torch.distributed.checkpoint")

pytestmark = pytest.mark.filterwarnings("ignore")


class Trained:
    """A small model, two parameter groups, three updates."""

    def __init__(self) -> None:
        self.model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 4))
        groups = [{"params": self.model[0].parameters()}, {"params": self.model[1].parameters(), "lr": 0.01}]
        self.optimizer = torch.optim.AdamW(groups, lr=0.1)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=10)
        for _ in range(3):
            self.optimizer.zero_grad()
            self.model(torch.ones(2, 64)).sum().backward()
            self.optimizer.step()
            self.scheduler.step()

    def flat(self) -> Any:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict

        options = StateDictOptions(flatten_optimizer_state_dict=True)
        return get_optimizer_state_dict(self.model, self.optimizer, options=options)


class Steps:
    """torchtitan's train_state: a counter in a tensor."""

    def state_dict(self) -> dict[str, Any]:
        return {"step": torch.tensor(3, dtype=torch.int32), "ntokens_seen": torch.tensor(99)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What makes it an object that is saved part by part."""


@pytest.fixture(scope="module")
def trained() -> Trained:
    return Trained()


def save(folder: Path, held: dict[str, Any]) -> str:
    dcp.save(held, checkpoint_id=str(folder), no_dist=True)
    return str(folder)


@pytest.fixture
def torchtitan(trained: Trained, tmp_path: Path) -> str:
    held = {
        "model": trained.model.state_dict(), "optimizer": trained.flat(), "lr_scheduler": trained.scheduler,
        "train_state": Steps(),
    }  # fmt: skip
    return save(tmp_path / "checkpoint" / "step-3", held)


def test_a_distributed_checkpoint_is_read_from_its_metadata_and_its_scalars(torchtitan: str) -> None:
    found = read_checkpoint(torchtitan)
    assert (found.kind, found.framework, found.global_step, found.model) == ("dcp", "torchtitan", 3, True)
    assert found.optimizer is not None
    assert (found.optimizer.name, found.optimizer.step, found.optimizer.param_count) == ("AdamW", 3, 4)
    assert [group["initial_lr"] for group in found.optimizer.param_groups] == [0.1, 0.01]
    assert found.scheduler is not None
    assert (found.scheduler.family, found.scheduler.last_epoch) == ("CosineAnnealingLR", 3)
    assert found.scheduler.params["T_max"] == 10
    assert missing_parts(found) == ()


def test_states_that_were_not_flattened_are_read_alike(trained: Trained, torchtitan: str, tmp_path: Path) -> None:
    held = {
        "model": trained.model.state_dict(), "optimizer": trained.optimizer.state_dict(),
        "lr_scheduler": trained.scheduler.state_dict(), "global_step": 3,
    }  # fmt: skip
    nested, flat = read_checkpoint(save(tmp_path / "nested", held)), read_checkpoint(torchtitan)
    assert (nested.framework, nested.global_step) == (None, 3)
    assert nested.schedulers == flat.schedulers
    assert nested.optimizer is not None
    assert flat.optimizer is not None
    assert nested.optimizer.step == flat.optimizer.step
    assert [group["lr"] for group in nested.optimizer.param_groups] == [
        group["lr"] for group in flat.optimizer.param_groups
    ]


def test_weights_and_moments_are_not_read(torchtitan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from lrdoctor.readers import dcp_folder

    read_pieces: list[int] = []
    in_memory = dcp_folder.in_memory

    def counted(path: str, content: bytes) -> Any:
        read_pieces.append(len(content))
        return in_memory(path, content)

    monkeypatch.setattr(dcp_folder, "in_memory", counted)
    read_checkpoint(torchtitan)
    assert max(read_pieces) < 4096 < 64 * 64 * 4


def test_a_save_that_was_cut_off_says_so(torchtitan: str) -> None:
    (Path(torchtitan) / ".metadata").unlink()
    with pytest.raises(ReadError) as caught:
        read_checkpoint(torchtitan)
    assert "the save did not finish" in (caught.value.why or "")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_damaged_shard_costs_what_lay_in_it(torchtitan: str, share: float) -> None:
    (shard,) = Path(torchtitan).glob("*.distcp")
    content = shard.read_bytes()
    shard.write_bytes(content[: int(share * len(content))])
    found = read_checkpoint(torchtitan)
    assert found.model
    assert any("cannot be read" in note.message for note in found.notes)


def test_cut_metadata_is_refused(torchtitan: str) -> None:
    path = Path(torchtitan) / ".metadata"
    whole = path.read_bytes()
    for size in range(0, len(whole), 307):
        path.write_bytes(whole[:size])
        with pytest.raises(ReadError):
            read_checkpoint(torchtitan)


def test_a_shard_outside_the_folder_is_not_opened(torchtitan: str, tmp_path: Path) -> None:
    from torch.distributed.checkpoint.filesystem import _StorageInfo

    metadata = dcp.FileSystemReader(torchtitan).read_metadata()
    outside = {index: _StorageInfo("../../secret", 0, 10) for index in metadata.storage_data}
    metadata.storage_data = outside
    (Path(torchtitan) / ".metadata").write_bytes(pickle.dumps(metadata))
    (tmp_path / "secret").write_bytes(b"x" * 10)
    found = read_checkpoint(torchtitan)
    assert not any("secret" in str(note) for note in found.notes)


def test_fsdp_folders_of_transformers_are_parts_of_the_checkpoint(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-3"
    save(folder / "pytorch_model_fsdp_0", {"model": trained.model.state_dict()})
    save(folder / "optimizer_0", {"optimizer": trained.optimizer.state_dict()})
    torch.save(trained.scheduler.state_dict(), folder / "scheduler.pt")
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": 3, "max_steps": 9, "log_history": []}))
    found = read_checkpoint(str(folder))
    assert (found.framework, found.model, found.global_step) == ("transformers", True, 3)
    assert found.optimizer is not None
    assert found.optimizer.step == 3
    assert missing_parts(found) == ()
    (run,) = discover([str(tmp_path)]).runs
    assert run.checkpoints == (str(folder),)


def test_lightnings_fsdp_strategy_keeps_the_rest_in_a_file(trained: Trained, tmp_path: Path) -> None:
    held = {"model": trained.model.state_dict(), "optimizer_0": trained.optimizer.state_dict()}
    folder = Path(save(tmp_path / "epoch=0-step=3.ckpt", held))
    rest = {"pytorch-lightning_version": "2.6", "global_step": 3, "epoch": 0}
    torch.save({**rest, "lr_schedulers": [trained.scheduler.state_dict()]}, folder / "meta.pt")
    found = read_checkpoint(str(folder))
    assert (found.framework, found.global_step, found.kind) == ("lightning", 3, "dcp")
    assert missing_parts(found) == ()


def megatron(root: Path, iteration: int, *, batch: int | None = 16) -> Path:
    """iter_N/mp_rank_00/model_optim_rng.pt, as megatron/training/checkpointing.py writes it."""
    folder = root / f"iter_{iteration:07d}"
    arguments = argparse.Namespace(lr=1e-3, train_iters=500, micro_batch_size=4)
    if batch is not None:
        arguments.global_batch_size = batch
    groups = [{"lr": 1e-3, "betas": (0.9, 0.95), "step": iteration, "params": [0], "wd_mult": 1.0}]
    scheduler = {
        "max_lr": 1e-3, "min_lr": 1e-5, "lr_warmup_steps": 160, "lr_decay_style": "cosine", "lr_decay_steps": 8000,
        "num_steps": 16 * iteration, "start_wd": 0.1, "end_wd": 0.1, "wd_incr_style": "constant", "wd_incr_steps": 500,
    }  # fmt: skip
    held = {
        "args": arguments, "checkpoint_version": 3.0, "iteration": iteration, "rng_state": [{"np_rng_state": 1}],
        "model": {"language_model": {"w": torch.ones(2, 3)}},
        "optimizer": {"optimizer": {"state": {}, "param_groups": groups}, "grad_scaler": {"scale": 1.0}},
        "opt_param_scheduler": scheduler, "num_floating_point_operations_so_far": 1.0,
    }  # fmt: skip
    for rank in ("mp_rank_00", "mp_rank_01"):
        (folder / rank).mkdir(parents=True)
        torch.save(held, folder / rank / "model_optim_rng.pt")
    (root / "latest_checkpointed_iteration.txt").write_text(str(iteration))
    return folder


def test_a_megatron_folder_is_one_checkpoint(tmp_path: Path) -> None:
    found = read_checkpoint(str(megatron(tmp_path, 100)))
    assert (found.kind, found.framework, found.global_step, found.max_steps) == (
        "megatron-folder",
        "megatron",
        100,
        500,
    )
    assert found.optimizer is not None
    assert (found.optimizer.step, found.optimizer.name) == (100, None)
    assert missing_parts(found) == ()


def test_megatrons_scheduler_counts_samples_and_is_told_in_updates(tmp_path: Path) -> None:
    scheduler = read_checkpoint(str(megatron(tmp_path, 100))).scheduler
    assert scheduler is not None
    assert (scheduler.last_epoch, scheduler.params["num_steps"]) == (100, 1600)
    assert scheduler.params["lr_decay_style"] == "cosine"


def test_without_a_batch_size_megatrons_clock_is_not_guessed(tmp_path: Path) -> None:
    scheduler = read_checkpoint(str(megatron(tmp_path, 100, batch=None))).scheduler
    assert scheduler is not None
    assert scheduler.last_epoch is None


def test_the_save_a_resume_takes_is_marked(tmp_path: Path) -> None:
    first, second = megatron(tmp_path, 100), megatron(tmp_path, 200)
    marks = [any("a resume loads" in note.message for note in read_checkpoint(str(f)).notes) for f in (first, second)]
    assert marks == [False, True]


def test_a_megatron_folder_of_saves_is_one_run(tmp_path: Path) -> None:
    megatron(tmp_path / "out", 100)
    megatron(tmp_path / "out", 200)
    (run,) = read(str(tmp_path))
    assert [saved.global_step for saved in run.checkpoints] == [100, 200]


def test_megatron_core_keeps_all_but_tensors_in_a_common_file(trained: Trained, tmp_path: Path) -> None:
    folder = megatron(tmp_path / "old", 100) / "mp_rank_00" / "model_optim_rng.pt"
    common = torch.load(folder, weights_only=False)
    core = Path(save(tmp_path / "iter_0000100", {"model.decoder.weight": torch.ones(64, 64)}))
    torch.save({name: value for name, value in common.items() if name != "model"}, core / "common.pt")
    found = read_checkpoint(str(core))
    assert (found.framework, found.global_step, found.model, found.kind) == ("megatron", 100, True, "dcp")
    assert missing_parts(found) == ()


@pytest.mark.parametrize("stage", [0, 1, 3])
def test_deepspeed_folders_of_every_zero_stage(trained: Trained, stage: int, tmp_path: Path) -> None:
    folder = tmp_path / "global_step3"
    folder.mkdir()
    state = trained.optimizer.state_dict()
    held: dict[str, Any] = {
        "module": trained.model.state_dict(), "global_steps": 3, "skipped_steps": 0, "ds_version": "0.15",
        "lr_scheduler": {"last_batch_iteration": 2}, "optimizer": state if stage == 0 else None,
    }  # fmt: skip
    name = "zero_pp_rank_0_mp_rank_00_model_states.pt" if stage == 3 else "mp_rank_00_model_states.pt"
    torch.save(held, folder / name)
    if stage:
        shard = {"optimizer_state_dict": {"zero_stage": stage, "base_optimizer_state": state}, "ds_version": "0.15"}
        torch.save(shard, folder / "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt")
    (tmp_path / "latest").write_text("global_step3")
    found = read_checkpoint(str(folder))
    assert (found.framework, found.global_step, found.model) == ("deepspeed", 3, True)
    assert found.optimizer is not None
    assert found.optimizer.step == 3
    assert any("latest names it" in note.message for note in found.notes)
    assert missing_parts(found) == ()


def test_deepspeed_inside_a_transformers_checkpoint_is_a_part_of_it(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-3"
    (folder / "global_step3").mkdir(parents=True)
    held = {"module": trained.model.state_dict(), "global_steps": 3, "ds_config": {}, "lr_scheduler": None}
    torch.save(
        {**held, "optimizer": trained.optimizer.state_dict()}, folder / "global_step3" / "mp_rank_00_model_states.pt"
    )
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": 3, "max_steps": 9, "log_history": []}))
    (run,) = discover([str(tmp_path)]).runs
    assert run.checkpoints == (str(folder),)
    assert read_checkpoint(str(folder)).model


def test_torchtunes_recipe_state_goes_with_the_weights_of_an_epoch(trained: Trained, tmp_path: Path) -> None:
    """torchtune 0.5 and later: output/recipe_state/recipe_state.pt beside output/epoch_0/."""
    (tmp_path / "recipe_state").mkdir()
    (tmp_path / "epoch_0").mkdir()
    (tmp_path / "epoch_0" / "ft-model-00001-of-00001.safetensors").touch()
    recipe = {"optimizer": trained.optimizer.state_dict(), "epochs_run": 1, "total_epochs": 3, "seed": 1}
    torch.save({**recipe, "max_steps_per_epoch": None}, tmp_path / "recipe_state" / "recipe_state.pt")
    found = read_checkpoint(str(tmp_path / "recipe_state"))
    assert (found.framework, found.recomputes_schedule, found.epoch) == ("torchtune", "torchtune", 1)
    assert missing_parts(found) == ()


def inspect(*paths: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["inspect", *paths])
    return done.exit_code, done.output


def test_inspect_shows_what_a_distributed_checkpoint_holds(torchtitan: str) -> None:
    status, shown = inspect(torchtitan)
    assert status == 0
    assert "distributed checkpoint folder by torchtitan" in shown
    assert "scheduler steps h = 3, scheduler calls c = 4, optimizer updates k = 3, global step g = 3" in shown
    assert "the scheduler's last lr is the optimizer's lr" in shown


def test_inspect_names_the_framework_that_recomputes_its_schedule(trained: Trained, tmp_path: Path) -> None:
    held = {"epoch": 7, "arch": "vit", "state_dict": trained.model.state_dict(), "version": 2}
    torch.save({**held, "optimizer": trained.optimizer.state_dict()}, tmp_path / "last.pth.tar")
    status, shown = inspect(str(tmp_path / "last.pth.tar"))
    assert status == 0
    assert "timm keeps no scheduler state by design" in shown


def test_inspect_says_where_scheduler_and_optimizer_disagree(trained: Trained, tmp_path: Path) -> None:
    state = trained.optimizer.state_dict()
    state["param_groups"][0]["lr"] = 0.5
    held = {"model": trained.model.state_dict(), "optimizer": state, "scheduler": trained.scheduler.state_dict()}
    torch.save(held, tmp_path / "last.pt")
    _, shown = inspect(str(tmp_path / "last.pt"))
    assert "the scheduler's last lr is NOT the optimizer's lr" in shown
    done = CliRunner().invoke(cli, ["inspect", str(tmp_path / "last.pt"), "--format", "json"])
    assert json.loads(done.output)["checkpoints"][0]["lr_agrees"] is False


def test_inspect_of_a_folder_of_saves_shows_each(tmp_path: Path) -> None:
    megatron(tmp_path, 100)
    megatron(tmp_path, 200)
    _, shown = inspect(str(tmp_path))
    assert shown.count("megatron") >= 2
    assert "latest_checkpointed_iteration.txt names it" in shown
    shutil.rmtree(tmp_path / "iter_0000200")
    status, shown = inspect(str(tmp_path))
    assert status == 0
