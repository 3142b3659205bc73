"""Rows of tensors taken together leave on the stack and in the memo what their instructions, one by one, would have."""

from __future__ import annotations

import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from lrdoctor.errors import ReadError
from lrdoctor.limits import Limits
from lrdoctor.model.run import OptimizerState
from lrdoctor.readers import pickle_machine, pickle_rows, pickle_runs, pickle_versions
from lrdoctor.readers.checkpoint import checkpoint_of, read_checkpoint
from lrdoctor.readers.lazy_dict import LazyDict
from lrdoctor.readers.pickle_later import States
from lrdoctor.readers.pickle_machine import KEEP_BYTES, _Machine, describe
from lrdoctor.readers.pickle_runs import Run
from lrdoctor.readers.pickle_versions import Versions
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
    held = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "names": names, "tied": [weights[0]] * 3}
    return held | {"versions": {f"é{place}" if place % 7 else "": {"of": place % 5} for place in range(100)}}


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
    kind = type(value).__name__.replace("Deferred", "Tensor").replace("LazyDict", "dict")
    return kind, [parts(item, depth + 1) for item in inner]


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
        patch.setattr(pickle_machine, "versions_at", lambda *given: None)

    return turned_off


def test_nearly_all_tensors_of_a_training_are_taken_in_runs(tmp_path: Path) -> None:
    data = pickled(training(40), tmp_path)
    machine = _Machine(data, 0, KEEP_BYTES)
    machine.run()
    runs = [taken for taken in machine.runs.taken if isinstance(taken, Run)]
    taken = sum(run.last - run.first for run in runs)
    assert taken > 0.85 * data.count(b"((h")
    assert len(runs) <= 8


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


def test_the_rows_of_another_checkpoint_of_the_same_training_are_the_same(
    tmp_path: Path, one_by_one: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = training(40)
    first = pickled(held, tmp_path)
    held["optimizer"]["param_groups"][0]["lr"] = 0.5
    more = pickled(held, tmp_path)
    longer = pickled(held | {"ema": {name: value.clone() for name, value in held["model"].items()}}, tmp_path)
    other = pickled(held | {"model": {"é" + name: value for name, value in held["model"].items()}}, tmp_path)
    made: list[int] = []
    whole = pickle_rows.Rows.__init__
    monkeypatch.setattr(pickle_rows.Rows, "__init__", lambda *given: (made.append(1), whole(*given))[1])
    monkeypatch.setattr(pickle_rows, "_kept", {})
    monkeypatch.setattr(pickle_versions, "_kept", {})
    found, counts = [], []
    files = (first, first, more, more, longer, first, other, first)
    for data in files:
        found.append(read(data))
        counts.append(len(made))
    assert counts == [1, 1, 2, 2, 3, 3, 4, 4]
    with pytest.MonkeyPatch.context() as patch:
        one_by_one(patch)
        assert found == [read(data) for data in files]


def test_the_memo_gives_the_very_objects_of_a_run(tmp_path: Path) -> None:
    machine = _Machine(pickled(training(40), tmp_path), 0, KEEP_BYTES)
    root = machine.run()
    assert isinstance(root, dict)
    states = root["optimizer"]["state"]
    machine.settle_all()
    kept = {id(value) for value in machine.memo.values()}
    assert all(id(state) in kept and id(state["step"]) in kept for state in states.values())


@pytest.mark.parametrize(
    ("seed", "part", "usual", "others", "times"),
    [
        (0, lambda data: data.index(b"r", 4000), b"hjqrXKMJu}(tRQ)\x00\x85\xff", 4, 25),
        (1, lambda data: data.index(b"versions"), b"hjqrXK}us\x00\x01", 2, 40),
    ],
    ids=["anywhere", "among versions"],
)
def test_a_changed_byte_changes_what_is_read_as_it_would_one_by_one(
    seed: int, part: Callable[[bytes], int], usual: bytes, others: int, times: int, tmp_path: Path, one_by_one: Any
) -> None:
    data = pickled(training(12), tmp_path)
    random.seed(seed)
    first = part(data)
    for _ in range(times):
        place, byte = random.randrange(first, len(data)), random.choice([*usual, *random.randbytes(others)])
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
        states = file.root["optimizer"]["state"]
        assert isinstance(states, LazyDict)
        (later,) = states.not_at_hand()
        assert isinstance(later, States)
        told = file.numbers(later.called("step"))
        steps = [file.number(state["step"]) for state in states.values()]
        assert steps == list(range(len(steps)))
        assert told == {*range(len(steps) - len(told), len(steps))}
        assert len(told) > len(steps) / 2


def test_the_versions_of_modules_are_taken_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = _Machine(pickled(training(40), tmp_path), 0, KEEP_BYTES)
    machine.run()
    versions = [taken for taken in machine.runs.taken if isinstance(taken, Versions)]
    assert sum(map(len, versions)) > 100
    monkeypatch.setattr(Versions, "keys", lambda self: pytest.fail("all names for the sake of one"))
    index = versions[0].indices[50]
    name, made = machine.recall(index), machine.recall(index + 1)
    assert isinstance(name, str)
    assert made == {"version": 1}
    assert machine.recall(index + 1) is made


def test_runs_are_bounded_as_instructions_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pickled(training(40), tmp_path)
    monkeypatch.setattr(pickle_machine, "limits", lambda: Limits(pickle_instructions=150))
    with pytest.raises(ReadError, match="too large"):
        describe(data)


def test_more_parameters_than_python_writes_at_once(tmp_path: Path, one_by_one: Any) -> None:
    weights = [torch.zeros(2 + place % 3) for place in range(1500)]
    optimizer = torch.optim.AdamW(weights, lr=1e-3)
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    weights[1400].grad = None
    optimizer.step()
    held = {"model": {f"{place}.weight": weight for place, weight in enumerate(weights)}}
    held["optimizer"] = optimizer.state_dict()
    data = pickled(held, tmp_path)
    root, _ = describe(data)
    assert isinstance(root, dict)
    model, states = root["model"], root["optimizer"]["state"]
    assert isinstance(model, LazyDict)
    assert isinstance(states, LazyDict)
    assert len([*model.at_hand()]) < 40
    assert len([*states.at_hand()]) < 40
    assert len(model) == len(states) == 1500
    with opened(str(tmp_path / "held.pt")) as file:
        assert checkpoint_of(file).optimizer == OptimizerState("AdamW", ANY, 2, 1500, 1500)
    found = parts(root)
    with pytest.MonkeyPatch.context() as patch:
        one_by_one(patch)
        assert found == parts(describe(data)[0])


@pytest.mark.parametrize("checksums", [True, False])
def test_the_step_counter_is_the_largest_with_checksums_or_without(checksums: bool, tmp_path: Path) -> None:
    held = training(12)
    for place, state in enumerate(held["optimizer"]["state"].values()):
        state["step"] = torch.tensor(float(place % 7))
    torch.serialization.set_crc32_options(checksums)
    try:
        torch.save(held, tmp_path / "held.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    described = read_checkpoint(str(tmp_path / "held.pt")).optimizer
    assert described is not None
    assert (described.step, described.state_size) == (6, len(held["optimizer"]["state"]))
