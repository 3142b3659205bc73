"""Lightning, Transformers and accelerate train, lose their scheduler's state, and resume from the repaired copy."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lrdoctor.cli.main import cli

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")
S = torch.optim.lr_scheduler


def repair(*arguments: object) -> str:
    result = CliRunner().invoke(cli, ["repair", *map(str, arguments)])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def write_log(folder: Path, lrs: list[float]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metrics.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["step", "lr"], *enumerate(lrs)])


def test_lightning_resumes_from_the_repaired_checkpoint(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning.pytorch")

    class Model(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)
            self.used: list[float] = []

        def training_step(self, batch: Any, index: int) -> Any:
            self.used.append(self.trainer.optimizers[0].param_groups[0]["lr"])
            return self.layer(batch).square().mean()

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.AdamW(self.parameters(), lr=0.2)
            scheduler = S.OneCycleLR(optimizer, 0.2, total_steps=60)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def trained(epochs: int, resume: Path | None = None) -> tuple[Any, Any]:
        trainer = lightning.Trainer(
            max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, default_root_dir=tmp_path,
        )  # fmt: skip
        model = Model()
        trainer.fit(model, torch.utils.data.DataLoader(torch.ones(20, 3), batch_size=4), ckpt_path=resume)
        return trainer, model

    trainer, _ = trained(5)
    trainer.save_checkpoint(tmp_path / "full.ckpt")
    whole = trained(12)[1].used
    write_log(tmp_path / "run", whole)
    broken = torch.load(tmp_path / "full.ckpt", weights_only=False) | {"lr_schedulers": []}
    torch.save(broken, tmp_path / "broken.ckpt")

    out = repair(tmp_path / "broken.ckpt", "--run", tmp_path / "run", "-o", tmp_path / "repaired.ckpt")

    assert "under lr_schedulers[0]" in out
    assert trained(12, tmp_path / "repaired.ckpt")[1].used == pytest.approx(whole[25:], rel=1e-9)


def test_transformers_resumes_from_the_repaired_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=8, n_positions=8, n_embd=8, n_layer=1, n_head=1)
    data = [{"input_ids": torch.arange(8), "labels": torch.arange(8)} for _ in range(64)]

    def trained(folder: Path, resume: Path | None = None) -> list[float]:
        arguments = transformers.TrainingArguments(
            output_dir=str(folder), per_device_train_batch_size=4, max_steps=20, save_steps=12, learning_rate=1e-3,
            lr_scheduler_type="cosine", warmup_steps=5, report_to=[], use_cpu=True, disable_tqdm=True, logging_steps=1,
        )  # fmt: skip
        trainer = transformers.Trainer(transformers.GPT2LMHeadModel(config), arguments, train_dataset=data)
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        return [row["learning_rate"] for row in trainer.state.log_history if "learning_rate" in row]

    whole = trained(tmp_path / "run")
    broken = tmp_path / "checkpoint-12"
    shutil.copytree(tmp_path / "run" / "checkpoint-12", broken)
    expected = torch.load(broken / "scheduler.pt", weights_only=True)
    (broken / "scheduler.pt").unlink()
    optimizer = torch.load(broken / "optimizer.pt", weights_only=True)
    optimizer["param_groups"][0]["lr"] = 7e-4  # the run's LR was wrong here
    torch.save(optimizer, broken / "optimizer.pt")
    new = tmp_path / "new" / "checkpoint-12"

    out = json.loads(repair(broken, "--run", tmp_path / "run", "-o", new, "--format", "json"))

    assert [change["what"] for change in out["changes"]] == ["param_groups[0].lr"]
    state = torch.load(new / "scheduler.pt", weights_only=True)
    assert state.keys() == expected.keys()
    assert state["_last_lr"] == pytest.approx(expected["_last_lr"], rel=1e-6)
    counters = ("last_epoch", "_step_count", "_is_initial", "_get_lr_called_within_step")
    assert [state[name] for name in counters] == [expected[name] for name in counters]
    fixed = torch.load(new / "optimizer.pt", weights_only=True)["param_groups"]
    assert [group["lr"] for group in fixed] == pytest.approx(expected["_last_lr"], rel=1e-6)
    assert sorted(path.name for path in new.iterdir()) == sorted({*(p.name for p in broken.iterdir()), "scheduler.pt"})
    assert trained(tmp_path / "resumed", new)[12:] == pytest.approx(whole[12:], rel=1e-6)


def test_accelerate_loads_the_repaired_folder(tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True)

    def begun() -> tuple[Any, Any]:
        model = torch.nn.Linear(3, 1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        scheduler = S.CosineAnnealingLR(optimizer, 80)
        accelerator.free_memory()
        model, optimizer, scheduler = accelerator.prepare(model, optimizer, scheduler)
        return optimizer, scheduler

    def go(optimizer: Any, scheduler: Any, updates: int) -> list[float]:
        lrs = []
        for _ in range(updates):
            lrs.append(optimizer.param_groups[0]["lr"])
            for group in optimizer.param_groups:
                for weight in group["params"]:
                    weight.grad = torch.ones_like(weight)
            optimizer.step()
            scheduler.step()
        return lrs

    healthy = begun()
    lrs = go(*healthy, 31)
    accelerator.save_state(str(tmp_path / "step_31"))
    later = go(*healthy, 49)
    write_log(tmp_path / "run", lrs + later)
    (tmp_path / "step_31" / "scheduler.bin").unlink()

    repair(tmp_path / "step_31", "--run", tmp_path / "run", "-o", tmp_path / "new")

    resumed = begun()
    accelerator.load_state(str(tmp_path / "new"))
    assert go(*resumed, 49) == pytest.approx(later, rel=1e-9, abs=1e-12)
