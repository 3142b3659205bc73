"""Damaged and hostile checkpoint files: a checkpoint, with notes, or a ReadError, and nothing else."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Checkpoint
from lrdoctor.readers.checkpoint import read_checkpoint
from lrdoctor.readers.checkpoint_hints import checkpoint_hints

torch = pytest.importorskip("torch")


def _held() -> dict[str, Any]:
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    scheduler.step()
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}


def _outcome(path: Path) -> Checkpoint | ReadError:
    try:
        found = read_checkpoint(str(path))
    except ReadError as error:
        return error
    list(checkpoint_hints(str(path)))
    return found


@pytest.mark.parametrize("new_layout", [True, False], ids=["zip", "legacy"])
def test_a_file_cut_at_any_byte_is_read_with_a_note_or_refused(new_layout: bool, tmp_path: Path) -> None:
    whole = tmp_path / "whole.pt"
    torch.save(_held(), whole, _use_new_zipfile_serialization=new_layout)
    data = whole.read_bytes()
    path = tmp_path / "cut.pt"
    kept = 0
    for length in range(len(data)):
        path.write_bytes(data[:length])
        found = _outcome(path)
        if isinstance(found, Checkpoint):
            kept += 1
            assert any("truncated" in str(note) or "damaged" in str(note) for note in found.notes), length
            assert found.scheduler is not None
    assert kept > 0


def test_flipped_bytes_are_survived(tmp_path: Path) -> None:
    whole = tmp_path / "whole.pt"
    torch.save(_held(), whole)
    data = whole.read_bytes()
    path = tmp_path / "flipped.pt"
    for place in range(0, len(data), 3):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        assert _outcome(path)


class Run:
    """Pickles to a call of os.system."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("new_layout", [True, False], ids=["zip", "legacy"])
def test_code_hidden_in_a_checkpoint_is_not_executed(new_layout: bool, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    path = tmp_path / "last.pt"
    held = {**_held(), "extra": Run(f"touch {marker}"), "scheduler2": [Run(f"touch {marker}")]}
    torch.save(held, path, _use_new_zipfile_serialization=new_layout)
    found = read_checkpoint(str(path))
    assert found.scheduler is not None
    assert any("posix.system" in str(note) or "nt.system" in str(note) for note in found.notes)
    assert not marker.exists()


def test_an_ordinary_checkpoint_is_not_called_dangerous(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    torch.save({**_held(), "where": tmp_path, "when": datetime.now(UTC), "found": {1, 2}}, path)
    assert read_checkpoint(str(path)).notes == ()


def test_code_in_a_bare_pickle_is_not_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    path = tmp_path / "last.pt"
    path.write_bytes(pickle.dumps({"optimizer": Run(f"touch {marker}"), "epoch": 3}, 2))
    assert read_checkpoint(str(path)).epoch == 3
    assert not marker.exists()


def _zip(path: Path, pickled: bytes, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3")
    return path


def test_a_member_that_unpacks_to_far_more_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRDOCTOR_LIMITS", f"pickle_bytes={1 << 20}")
    path = _zip(tmp_path / "bomb.pt", b"N" * (8 << 20) + b".", zipfile.ZIP_DEFLATED)
    with pytest.raises(ReadError, match="cannot be read"):
        read_checkpoint(str(path))


def test_a_member_that_lies_about_its_size_is_bounded(tmp_path: Path) -> None:
    path = _zip(tmp_path / "lie.pt", pickle.dumps({"epoch": 3, "x": "y" * 5000}, 2), zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 10)
    path.write_bytes(data)
    assert _outcome(path)


def test_a_packed_archive_is_read(tmp_path: Path) -> None:
    path = _zip(tmp_path / "packed.pt", pickle.dumps({"epoch": 3}, 2), zipfile.ZIP_DEFLATED)
    assert read_checkpoint(str(path)).epoch == 3


@pytest.mark.parametrize("depth", [10, 100_000])
def test_nesting_without_end_is_survived(depth: int, tmp_path: Path) -> None:
    nested = b"\x80\x02" + (b"}X\x01\x00\x00\x00a" * depth) + b"N" + b"s" * depth + b"."
    assert isinstance(_outcome(_zip(tmp_path / "deep.pt", nested)), Checkpoint)


def test_a_dict_that_holds_itself_is_survived(tmp_path: Path) -> None:
    looped = b"\x80\x02}q\x00(X\x01\x00\x00\x00ah\x00X\x01\x00\x00\x00bh\x00X\x01\x00\x00\x00ch\x00u."
    assert isinstance(_outcome(_zip(tmp_path / "loop.pt", looped)), Checkpoint)


def test_a_scheduler_that_holds_itself_is_survived(tmp_path: Path) -> None:
    looped = b"\x80\x02}q\x00X\x0b\x00\x00\x00_schedulers](h\x00h\x00h\x00es."
    found = _outcome(_zip(tmp_path / "loop.pt", looped))
    assert isinstance(found, Checkpoint)


def test_absurd_counters_are_survived(tmp_path: Path) -> None:
    held = {
        "epoch": float("nan"),
        "global_step": float("inf"),
        "scheduler": {
            "milestones": {3: 10**9, 4.5: -1, "x": 2},
            "gamma": "a",
            "last_epoch": None,
            "_step_count": 1e400,
        },
        "optimizer": {"state": {0: {"step": torch.ones(3)}, 1: None, 2: 7}, "param_groups": [{"betas": 3}, {"lr": []}]},
    }
    path = tmp_path / "odd.pt"
    torch.save(held, path)
    found = read_checkpoint(str(path))
    assert (found.global_step, found.scheduler is not None) == (None, True)


def test_an_empty_file_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    path.touch()
    with pytest.raises(ReadError, match="empty"):
        read_checkpoint(str(path))


def test_a_tar_without_torchs_members_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.pth.tar"
    path.write_bytes(b"sys_info".ljust(257, b"\0") + b"ustar".ljust(255, b"\0"))
    with pytest.raises(ReadError) as caught:
        read_checkpoint(str(path))
    assert "no member 'storages'" in (caught.value.why or "")
