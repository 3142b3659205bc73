"""Tensors stepped over in one go are the tensors that carrying out every instruction gives."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.readers import pickle_machine
from lrdoctor.readers.pickle_machine import describe
from lrdoctor.readers.pickle_tensors import Deferred
from lrdoctor.readers.skeleton import Tensor
from lrdoctor.readers.torch_file import opened

torch = pytest.importorskip("torch")


def pickled(held: Any, folder: Path) -> bytes:
    torch.save(held, folder / "held.pt")
    with zipfile.ZipFile(folder / "held.pt") as archive:
        return archive.read("held/data.pkl")


def parts(value: object) -> object:
    """A skeleton as something to compare."""
    if isinstance(value, Tensor):
        storage = value.storage and (value.storage.type, value.storage.key, value.storage.count)
        return storage, value.offset, value.size, value.stride, value.dtype
    if isinstance(value, dict):
        return {name: parts(item) for name, item in value.items()}
    return [parts(item) for item in value] if isinstance(value, list | tuple) else value


def shapes() -> dict[str, Any]:
    whole = torch.arange(720.0).reshape(2, 3, 4, 5, 6)
    large = torch.empty(70_000)
    return {
        "scalars": [torch.tensor(float(number)) for number in range(30)],
        "sizes": [torch.zeros(size) for size in ((), (0,), (1,), (300,), (70_000,), (2, 3), (2, 3, 4), (1, 2, 3, 4))],
        "views": [whole, whole[1], whole[0, :, 1:], whole.transpose(0, 4), whole[..., 3], large[66_000:]],
        "types": [torch.ones(2, dtype=kind) for kind in (torch.half, torch.bfloat16, torch.int64, torch.bool)],
        "parameter": torch.nn.Parameter(torch.ones(3)),
    }


@pytest.fixture
def every_instruction(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Turns stepping over off."""
    return lambda: monkeypatch.setattr(pickle_machine, "CALL", re.compile(b"(?!)"))


def test_stepping_over_changes_nothing(tmp_path: Path, every_instruction: Any) -> None:
    data = pickled(shapes(), tmp_path)
    fast, end = describe(data)
    every_instruction()
    slow, same_end = describe(data)
    assert parts(fast) == parts(slow)
    assert end == same_end == len(data)


def test_most_tensors_are_stepped_over(tmp_path: Path) -> None:
    root, _ = describe(pickled(shapes(), tmp_path))
    assert isinstance(root, dict)
    kinds = [type(tensor) for name in ("scalars", "sizes", "views", "types") for tensor in root[name]]
    assert kinds.count(Deferred) >= len(kinds) - 5  # the first of each type is spelt out


def test_a_tensor_named_again_is_the_same_one(tmp_path: Path, every_instruction: Any) -> None:
    tied = [torch.tensor(float(number)) for number in range(300)]
    data = pickled({"first": tied, "again": [tied[7], tied[299], tied[7]]}, tmp_path)
    root, _ = describe(data)
    assert isinstance(root, dict)
    assert [root["first"].index(tensor) for tensor in root["again"]] == [7, 299, 7]
    assert all(isinstance(tensor, Deferred) for tensor in root["again"])
    every_instruction()
    assert parts(describe(data)[0]) == parts(root)


def test_numbers_are_read_from_where_they_lie(tmp_path: Path) -> None:
    path = tmp_path / "held.pt"
    whole = torch.arange(10.0)
    kinds = (torch.half, torch.bfloat16, torch.double, torch.int64, torch.int32, torch.uint8, torch.bool)
    held = [*(torch.tensor(1, dtype=kind) for kind in kinds), torch.tensor(2.5), whole[7], whole[8:9], whole]
    torch.save(held, path)
    with opened(str(path)) as file:
        assert isinstance(file.root, list)
        assert [file.number(tensor) for tensor in file.root] == [*[1] * 7, 2.5, 7.0, 8.0, None]


@pytest.mark.parametrize("change", [b"Q", b"R", b"t", b"K\0"])
def test_a_call_that_is_spelt_otherwise_is_carried_out_or_refused(tmp_path: Path, change: bytes) -> None:
    data = pickled([torch.tensor(1.0), torch.tensor(2.0), torch.tensor(3.0)], tmp_path)
    place = data.rindex(change)
    try:
        root, _ = describe(data[:place] + b"0" + data[place + 1 :])
    except pickle_machine.ReadError:
        return
    assert root is not None


def test_a_key_whose_length_is_another_is_not_stepped_over(tmp_path: Path, every_instruction: Any) -> None:
    data = pickled({"many": [torch.zeros(3) for _ in range(30)]}, tmp_path)
    place = data.index(b"X\x02\x00\x00\x0017")
    changed = data[: place + 1] + b"\x01" + data[place + 2 :]
    with pytest.raises(pickle_machine.ReadError):
        describe(changed)
    every_instruction()
    with pytest.raises(pickle_machine.ReadError):
        describe(changed)
