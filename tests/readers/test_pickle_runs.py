"""Rows of tensors taken together leave on the stack and in the memo what their instructions, one by one, would have."""

from __future__ import annotations

import random
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.errors import ReadError
from lrdoctor.limits import Limits
from lrdoctor.readers import pickle_machine, pickle_rows, pickle_runs
from lrdoctor.readers.pickle_machine import KEEP_BYTES, _Machine, describe
from lrdoctor.readers.skeleton import Global, Storage, Stub, Tensor
from lrdoctor.readers.torch_file import opened

torch = pytest.importorskip("torch")


def training(layers: int) -> dict[str, Any]:
    """A model with convolutions, its AdamW with two groups of parameters after a step, and what lies beside them."""
    blocks = [torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3)) for _ in range(layers)]
    model = torch.nn.Sequential(*blocks, torch.nn.Embedding(300, 2), torch.nn.Linear(70_000, 1, dtype=torch.half))
    weights = [*model.parameters()]
    groups = [{"params": weights[::2]}, {"params": weights[1::2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    names = {f"{'a' * (place % 90)}é{place}": torch.arange(float(place)) for place in range(40)}
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "names": names, "tied": [weights[0]] * 3}


def pickled(held: Any, folder: Path) -> bytes:
    torch.save(held, folder / "held.pt")
    with zipfile.ZipFile(folder / "held.pt") as archive:
        return archive.read("held/data.pkl")


def parts(value: object, depth: int = 0) -> object:
    """A skeleton as something to compare; a changed byte can make it hold itself."""
    inner: list[object] | None = None
    if isinstance(value, Tensor):
        inner = [value.storage, value.offset, value.size, value.stride]
    elif isinstance(value, Storage):
        inner = [value.type, value.key, value.count]
    elif isinstance(value, Stub):
        inner = [value.of, value.args, value.state, value.items, value.pairs]
    elif isinstance(value, dict):
        inner = [*(name if isinstance(name, str | int) else "?" for name in value), *value.values()]
    elif isinstance(value, list | tuple):
        inner = [*value]
    if inner is None:
        return str(value) if isinstance(value, Global) else value
    if depth > 12:
        return "..."
    return type(value).__name__.replace("Deferred", "Tensor"), [parts(item, depth + 1) for item in inner]


def read(data: bytes) -> object:
    try:
        root, end = describe(data)
        return parts(root), end
    except ReadError:
        return "refused"


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Turns all that is stepped over off, for as long as it is entered."""

    def turned_off(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(pickle_runs, "_SHORTEST", 1 << 60)
        patch.setattr(pickle_machine, "CALL", re.compile(b"(?!)"))

    return turned_off


def test_nearly_all_tensors_of_a_training_are_taken_in_runs(tmp_path: Path) -> None:
    data = pickled(training(40), tmp_path)
    machine = _Machine(data, 0, KEEP_BYTES)
    machine.run()
    taken = sum(run.last - run.first for run in machine.runs.taken)
    assert taken > 0.85 * data.count(b"((h")
    assert len(machine.runs.taken) <= 8


@pytest.mark.parametrize("window", [1 << 22, 20_000])
def test_runs_change_nothing(tmp_path: Path, one_by_one: Any, window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_rows, "_WINDOW", window)
    data = pickled(training(40), tmp_path)
    fast = _Machine(data, 0, KEEP_BYTES)
    found = parts(fast.run())
    fast.settle_all()
    with pytest.MonkeyPatch.context() as patch:
        one_by_one(patch)
        slow = _Machine(data, 0, KEEP_BYTES)
        assert found == parts(slow.run())
    assert fast.memo.keys() == slow.memo.keys()
    assert all(parts(fast.memo[index]) == parts(value) for index, value in slow.memo.items())


def test_the_memo_gives_the_very_objects_of_a_run(tmp_path: Path) -> None:
    machine = _Machine(pickled(training(40), tmp_path), 0, KEEP_BYTES)
    root = machine.run()
    assert isinstance(root, dict)
    states = root["optimizer"]["state"]
    machine.settle_all()
    kept = {id(value) for value in machine.memo.values()}
    assert all(id(state) in kept and id(state["step"]) in kept for state in states.values())


def test_a_changed_byte_changes_what_is_read_as_it_would_one_by_one(tmp_path: Path, one_by_one: Any) -> None:
    data = pickled(training(12), tmp_path)
    random.seed(0)
    first, usual = data.index(b"r", 4000), b"hjqrXKMJu}(tRQ)\x00\x85\xff"
    for _ in range(25):
        place, byte = random.randrange(first, len(data)), random.choice([*usual, *random.randbytes(4)])
        changed = data[:place] + bytes([byte]) + data[place + 1 :]
        found = read(changed)
        with pytest.MonkeyPatch.context() as patch:
            one_by_one(patch)
            # What is stepped over may name things that are not in the memo: refused where they are looked up.
            assert read(changed) in (found, "refused"), (place, byte)


def test_steps_are_read_with_the_tensors_values(tmp_path: Path) -> None:
    held = training(12)
    for place, state in enumerate(held["optimizer"]["state"].values()):
        state["step"] = torch.tensor(place, dtype=(torch.float32, torch.int64, torch.bfloat16)[place % 3])
    torch.save(held, tmp_path / "held.pt")
    with opened(str(tmp_path / "held.pt")) as file:
        assert isinstance(file.root, dict)
        steps = [state["step"] for state in file.root["optimizer"]["state"].values()]
        file.expect(steps)
        assert len(file.known) > len(steps) / 2
        assert [file.number(step) for step in steps] == list(range(len(steps)))


def test_runs_are_bounded_as_instructions_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pickled(training(40), tmp_path)
    monkeypatch.setattr(pickle_machine, "limits", lambda: Limits(pickle_instructions=150))
    with pytest.raises(ReadError, match="too large"):
        describe(data)
