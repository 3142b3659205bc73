"""Hugging Face's trainer_state.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Hint, Note, Series
from lrdoctor.readers import trainer_state

HISTORY = [
    {"epoch": 0.5, "grad_norm": 1.5, "learning_rate": 5e-05, "loss": 2.5, "step": 10},
    {"epoch": 0.5, "eval_loss": 2.25, "eval_runtime": 1.5, "step": 10},
    {"epoch": 1.0, "grad_norm": 1.25, "learning_rate": 2.5e-05, "loss": 2.0, "step": 20},
    {"epoch": 1.0, "step": 20, "total_flos": 10**30, "train_loss": 2.25},
]
STATE = {
    "best_metric": None, "epoch": 1.0, "global_step": 20, "log_history": HISTORY, "max_steps": 20,
    "num_train_epochs": 1, "train_batch_size": 8, "is_local_process_zero": True,
}  # fmt: skip


def items_of(tmp_path: Path, state: Any, name: str = "trainer_state.json") -> list[Series | Note | Hint]:
    path = tmp_path / name
    path.write_text(state if isinstance(state, str) else json.dumps(state, indent=2))
    return list(trainer_state.read(str(path)))


def series_of(items: list[Series | Note | Hint]) -> dict[str, Series]:
    return {item.tag: item for item in items if isinstance(item, Series)}


def test_the_history_is_the_log(tmp_path: Path) -> None:
    series = series_of(items_of(tmp_path, STATE))
    rate = series["learning_rate"]
    assert rate.values.tolist() == [5e-05, 2.5e-05]
    assert (rate.axes["step"].tolist(), rate.axes["epoch"].tolist()) == ([10, 20], [0.5, 1.0])
    assert (rate.kind, rate.origin.tolist(), rate.origin_unit) == ("trainer-state", [1, 3], "row")
    assert series["eval_loss"].axes["step"].tolist() == [10]


def test_the_plan_becomes_hints(tmp_path: Path) -> None:
    hints = [item for item in items_of(tmp_path, STATE) if isinstance(item, Hint)]
    assert [(hint.name, hint.value, hint.key, hint.detail) for hint in hints] == [
        ("max_steps", 20, "max_steps", None),
        ("epochs", 1, "num_train_epochs", None),
        ("batch_size", 8, "train_batch_size", "per device"),
    ]


def test_a_plan_without_limits_gives_no_hints(tmp_path: Path) -> None:
    state = {"global_step": 1, "log_history": HISTORY, "max_steps": -1, "train_batch_size": None}
    assert not [item for item in items_of(tmp_path, state) if isinstance(item, Hint)]


def test_not_a_number_in_the_history_is_kept(tmp_path: Path) -> None:
    text = '{"global_step": 1, "log_history": [{"step": 1, "loss": NaN, "learning_rate": 0.1}]}'
    loss = series_of(items_of(tmp_path, text))["loss"]
    assert loss.values[0] != loss.values[0]


def test_an_empty_history_is_told(tmp_path: Path) -> None:
    (note,) = items_of(tmp_path, {"log_history": []})
    assert "log history is empty" in str(note)


@pytest.mark.parametrize("state", [{"global_step": 1}, [1, 2], '{"log_history": [', "[" * 100_000, "not json"])
def test_what_has_no_history_is_an_error(tmp_path: Path, state: Any) -> None:
    with pytest.raises(ReadError):
        items_of(tmp_path, state)


def test_an_empty_file_and_a_pointer_are_notes(tmp_path: Path) -> None:
    assert [str(item) for item in items_of(tmp_path, "")] == ["the file is empty"]
    (note,) = items_of(tmp_path, "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert "git lfs pull" in str(note)


def test_it_is_known_by_name_or_by_contents() -> None:
    content = json.dumps(STATE).encode()
    assert trainer_state.sniff("out/trainer_state.json", content)
    assert trainer_state.sniff("out/renamed.json", content)
    assert trainer_state.sniff("out/trainer_state.json", b"{")
    assert not trainer_state.sniff("out/trainer_state.json", b"")
    results = json.dumps({"epoch": 1.0, "train_loss": 2.0, "global_step": 3}).encode()
    assert not trainer_state.sniff("out/all_results.json", results)
    assert not trainer_state.sniff("out/train_results.json", results)
