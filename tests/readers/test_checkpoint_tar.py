"""torch's oldest layout: written here as torch before 0.1.10 did, and read back by torch's own loader as the proof."""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
import tarfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.errors import ReadError
from lrdoctor.readers.checkpoint import is_checkpoint, read_checkpoint

torch = pytest.importorskip("torch")


def save_tar(path: Path, held: Any) -> None:
    """A port of torch 0.1.9's `save`: three members, tensors by number."""
    tensors: dict[int, Any] = {}

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> str | None:
            if not isinstance(value, torch.Tensor):
                return None
            tensors[id(value)] = value
            return str(id(value))

    main = io.BytesIO()
    Pickler(main, protocol=2).dump(held)
    described, stored = io.BytesIO(), io.BytesIO()
    pickle.dump(len(tensors), described, protocol=2)
    pickle.dump(len(tensors), stored, protocol=2)
    for key, tensor in tensors.items():
        kind = type(tensor.storage()).__name__ if tensor.dtype != torch.float32 else "FloatStorage"
        storage = getattr(torch, kind)
        pickle.dump((key + 1, "cpu", storage), stored, protocol=2)
        stored.write(struct.pack("<q", tensor.numel()) + tensor.numpy().tobytes())
        pickle.dump((key, key + 1, torch.FloatTensor), described, protocol=2)
        shape = struct.pack(f"<{tensor.dim()}q", *tensor.shape) + struct.pack(f"<{tensor.dim()}q", *tensor.stride())
        described.write(struct.pack("<i4x", tensor.dim()) + shape + struct.pack("<q", 0))
    pickle.dump([], stored, protocol=2)
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as tar:
        members = {"sys_info": io.BytesIO(), "pickle": main, "tensors": described, "storages": stored}
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content.getvalue())
            tar.addfile(member, io.BytesIO(content.getvalue()))


def old_checkpoint() -> dict[str, Any]:
    weight = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    state = {0: {"step": 40, "exp_avg": torch.ones(2, 3), "exp_avg_sq": torch.ones(2, 3)}}
    groups = [{"lr": torch.tensor([1e-3]), "betas": (0.9, 0.999), "params": [0]}]
    return {
        "epoch": 7,
        "state_dict": OrderedDict({"layer.weight": weight}),
        "optimizer": {"state": state, "param_groups": groups},
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "checkpoint.pth.tar"
    save_tar(made, old_checkpoint())
    return made


@pytest.mark.filterwarnings("ignore")
def test_torch_itself_reads_what_is_written_here(path: Path) -> None:
    assert torch.load(path, weights_only=False)["state_dict"]["layer.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_it_is_read_like_any_other_layout(path: Path) -> None:
    assert is_checkpoint(str(path), path.read_bytes()[:4096])
    found = read_checkpoint(str(path))
    assert (found.kind, found.model, found.epoch) == ("torch-tar", True, 7)
    assert found.optimizer is not None
    assert (found.optimizer.step, found.optimizer.name) == (40, "Adam")
    assert found.optimizer.param_groups[0]["lr"] == pytest.approx(1e-3)


def test_cut_anywhere_it_is_read_or_refused(path: Path) -> None:
    whole = path.read_bytes()
    for size in range(512, len(whole), 211):
        path.write_bytes(whole[:size])
        with contextlib.suppress(ReadError):
            assert read_checkpoint(str(path)).kind == "torch-tar"


def test_a_structure_that_holds_itself_is_survived(tmp_path: Path) -> None:
    held = old_checkpoint()
    held["again"] = [held]
    save_tar(tmp_path / "loop.pth.tar", held)
    assert read_checkpoint(str(tmp_path / "loop.pth.tar")).model
