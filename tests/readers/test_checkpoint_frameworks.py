"""Checkpoints as Lightning's and Transformers' own trainers write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.readers.checkpoint import read_checkpoint
from lrdoctor.readers.checkpoint_hints import checkpoint_hints, training_arguments
from lrdoctor.readers.resume import missing_parts

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def lightning_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    lightning = pytest.importorskip("lightning.pytorch")
    folder = tmp_path_factory.mktemp("lightning")

    class Model(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self, lr: float = 0.2, batch_size: int = 4) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(3, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            return self.layer(batch).square().mean()

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.AdamW(self.parameters(), lr=0.2)
            scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=60)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(Model(), torch.utils.data.DataLoader(torch.ones(20, 3), batch_size=4))
    trainer.save_checkpoint(folder / "full.ckpt")
    trainer.save_checkpoint(folder / "weights.ckpt", weights_only=True)
    return lambda name: str(folder / name)


@pytest.mark.filterwarnings("ignore")
def test_lightning_checkpoint_is_read_whole(lightning_checkpoints: Callable[[str], str]) -> None:
    found = read_checkpoint(lightning_checkpoints("full.ckpt"))
    assert (found.framework, found.global_step, found.model) == ("lightning", 10, True)
    assert found.optimizer is not None
    assert (found.optimizer.name, found.optimizer.step) == ("AdamW", 10)
    assert found.scheduler is not None
    assert (found.scheduler.family, found.scheduler.last_epoch) == ("OneCycleLR", 10)
    assert (found.scheduler.params["max_lr"], found.scheduler.params["total_steps"]) == (0.2, 60)
    assert missing_parts(found) == ()


def test_lightning_weights_only_lacks_both_states(lightning_checkpoints: Callable[[str], str]) -> None:
    found = read_checkpoint(lightning_checkpoints("weights.ckpt"))
    assert (found.framework, found.global_step, found.model) == ("lightning", 10, True)
    assert [missing.part for missing in missing_parts(found)] == ["optimizer", "scheduler"]


def test_lightning_hyperparameters_are_hints(lightning_checkpoints: Callable[[str], str]) -> None:
    hints = {hint.name: hint.value for hint in checkpoint_hints(lightning_checkpoints("full.ckpt"))}
    assert hints == {"lr": 0.2, "batch_size": 4}


@pytest.fixture(scope="module")
def transformers_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("transformers")
    config = transformers.GPT2Config(vocab_size=8, n_positions=8, n_embd=8, n_layer=1, n_head=1)
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=4, max_steps=6, save_steps=3, learning_rate=1e-3,
        lr_scheduler_type="linear", warmup_steps=2, report_to=[], use_cpu=True, disable_tqdm=True,
        gradient_accumulation_steps=2,
    )  # fmt: skip
    data = [{"input_ids": torch.arange(8), "labels": torch.arange(8)} for _ in range(64)]
    transformers.Trainer(transformers.GPT2LMHeadModel(config), arguments, train_dataset=data).train()
    return folder


@pytest.mark.filterwarnings("ignore")
def test_transformers_checkpoint_is_read_whole(transformers_run: Path) -> None:
    found = read_checkpoint(str(transformers_run / "checkpoint-3"))
    assert (found.framework, found.global_step, found.max_steps, found.model) == ("transformers", 3, 6, True)
    assert found.optimizer is not None
    assert (found.optimizer.name, found.optimizer.step) == ("AdamW", 3)
    assert found.scheduler is not None
    assert (found.scheduler.family, found.scheduler.last_epoch) == ("LambdaLR", 3)
    assert found.scheduler.last_lr[0] == found.optimizer.param_groups[0]["lr"]
    assert missing_parts(found) == ()


@pytest.mark.filterwarnings("ignore")
def test_pickled_training_arguments_are_hints(transformers_run: Path) -> None:
    path = transformers_run / "checkpoint-6" / "training_args.bin"
    hints = {hint.name: hint.value for hint in training_arguments(str(path))}
    wanted = {
        "lr": 1e-3, "scheduler": "linear", "batch_size": 4, "grad_accum": 2, "warmup_steps": 2, "max_steps": 6,
        "optimizer": "adamw_torch_fused",
    }  # fmt: skip
    assert {name: hints.get(name) for name in wanted} == wanted
