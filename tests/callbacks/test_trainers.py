"""The callbacks in real Lightning and Transformers trainings."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
import transformers
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lrdoctor.callbacks import ScheduleWarning
from lrdoctor.callbacks import lightning as for_lightning
from lrdoctor.callbacks import transformers as for_transformers
from lrdoctor.errors import ScheduleFaultError

PER_EPOCH, EPOCHS = 20, 6


class Regression(lightning.LightningModule):
    """A linear model under OneCycleLR, stepped per `interval`."""

    def __init__(self, interval: str) -> None:
        super().__init__()
        self.interval = interval
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)
        total = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": self.interval}}


def fit(callback: Any, interval: str, folder: Path) -> None:
    data = TensorDataset(torch.randn(PER_EPOCH * 4, 4), torch.randn(PER_EPOCH * 4, 1))
    trainer = lightning.Trainer(
        max_epochs=EPOCHS, callbacks=[callback], default_root_dir=folder, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Regression(interval), DataLoader(data, batch_size=4))


def test_lightning_is_told_of_a_cycle_per_epoch_before_it_trains(tmp_path: Path) -> None:
    callback = for_lightning.LRDoctor()
    with pytest.warns(ScheduleWarning, match=r"LR101 .*\(as the training is set up: update 0\)"):
        fit(callback, "epoch", tmp_path)
    assert callback.guards[0].findings[0].code == "LR101"


def test_lightning_stops_at_an_error_where_that_was_asked_for(tmp_path: Path) -> None:
    callback = for_lightning.LRDoctor(strict=True)
    with pytest.raises(ScheduleFaultError, match="LR101"):
        fit(callback, "epoch", tmp_path)


def test_a_sound_lightning_training_is_left_alone(tmp_path: Path) -> None:
    callback = for_lightning.LRDoctor()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ScheduleWarning)
        fit(callback, "step", tmp_path)
    assert callback.guards[0].updates == PER_EPOCH * EPOCHS


class Lines(Dataset[dict[str, torch.Tensor]]):
    def __len__(self) -> int:
        return PER_EPOCH * 2

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = torch.arange(index % 7, index % 7 + 8) % 16
        return {"input_ids": ids, "labels": ids}


class OncePerEpoch(torch.optim.lr_scheduler.OneCycleLR):
    """Moves at every PER_EPOCH-th call only: the mistake, inside a trainer that steps at every update."""

    calls = 0

    def step(self, epoch: Any = None) -> None:
        self.calls += 1
        if self.calls % PER_EPOCH == 1:  # the constructor makes the first call
            super().step()


def language_model(callback: Any, scheduler: Any, folder: Path) -> transformers.Trainer:
    config = transformers.GPT2Config(vocab_size=16, n_positions=8, n_embd=8, n_layer=1, n_head=1)
    model = transformers.GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), num_train_epochs=EPOCHS, per_device_train_batch_size=2, report_to=[], use_cpu=True,
        save_strategy="no", logging_steps=1000, disable_tqdm=True,
    )  # fmt: skip
    return transformers.Trainer(
        model=model, args=arguments, train_dataset=Lines(), callbacks=[callback],
        optimizers=(optimizer, scheduler(optimizer)),
    )  # fmt: skip


class Watched(for_transformers.LRDoctor):
    """Remembers the update at which the first finding was there."""

    first: int | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self.first is None and self.guard is not None and self.guard.findings:
            self.first = int(state.global_step)


def test_transformers_is_told_of_a_cycle_per_epoch_before_the_second_epoch_ends(tmp_path: Path) -> None:
    callback = Watched()
    total = PER_EPOCH * EPOCHS
    with pytest.warns(ScheduleWarning, match="LR101"):
        language_model(callback, lambda o: OncePerEpoch(o, 1e-3, total), tmp_path).train()
    assert callback.first is not None
    assert callback.first < 2 * PER_EPOCH


def test_a_sound_transformers_training_is_left_alone(tmp_path: Path) -> None:
    callback = for_transformers.LRDoctor()
    total = PER_EPOCH * EPOCHS
    with warnings.catch_warnings():
        warnings.simplefilter("error", ScheduleWarning)
        language_model(
            callback, lambda o: transformers.get_cosine_schedule_with_warmup(o, 12, total), tmp_path
        ).train()
    assert callback.guard is not None
    assert callback.guard.updates == total
