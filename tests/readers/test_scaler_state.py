"""What checkpoints say of skipped updates."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrdoctor.model.run import ScalerState
from lrdoctor.readers.checkpoint import read_checkpoint

torch = pytest.importorskip("torch")
FRESH = ScalerState(65536.0, 2.0, 0.5, 2000, 0)


@pytest.mark.parametrize("key", ["scaler", "amp_scaler", "GradScaler", "scaler_state_dict"])
def test_a_scaler_is_found_by_its_keys(tmp_path: Path, key: str) -> None:
    state = {"model": {"w": torch.ones(2)}, key: torch.amp.GradScaler("cpu").state_dict()}
    torch.save(state, tmp_path / "a.pt")
    assert read_checkpoint(str(tmp_path / "a.pt")).scaler == FRESH


def test_a_folder_has_it_in_a_file_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-10"
    folder.mkdir()
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))])
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")
    torch.save(torch.amp.GradScaler("cpu").state_dict(), folder / "scaler.pt")
    assert read_checkpoint(str(folder)).scaler == FRESH


def test_deepspeed_counts_its_skips(tmp_path: Path) -> None:
    torch.save({"module": {}, "global_steps": 100, "skipped_steps": 7}, tmp_path / "a.pt")
    assert read_checkpoint(str(tmp_path / "a.pt")).scaler == ScalerState(skipped=7)


def test_without_either_there_is_none(tmp_path: Path) -> None:
    torch.save({"model": {"w": torch.ones(2)}, "scale": 2.0}, tmp_path / "a.pt")
    assert read_checkpoint(str(tmp_path / "a.pt")).scaler is None
