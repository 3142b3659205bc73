"""JSON logs: one object a line, and tables inside one document."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Note, Series
from lrdoctor.readers import json_log
from lrdoctor.readers.flat import MAX_LIST, MAX_NUMBERS, numbers_in

Read = Callable[..., tuple[dict[str, Series], list[str]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Writes a text (or a document) and reads it: the series by tag, and the notes as text."""

    def run(content: Any, name: str = "log.txt") -> tuple[dict[str, Series], list[str]]:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        items = list(json_log.read(str(path)))
        series = {item.tag: item for item in items if isinstance(item, Series)}
        return series, [str(item) for item in items if isinstance(item, Note)]

    return run


@pytest.fixture
def sniffs(tmp_path: Path) -> Callable[..., bool]:
    def run(content: Any, name: str = "log.txt") -> bool:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
        return json_log.sniff(str(path), path.read_bytes()[:65536])

    return run


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_mae_writes_a_line_an_epoch(read: Read, sniffs: Callable[..., bool]) -> None:
    text = lines(*({"train_lr": 0.1 / (1 + e), "train_loss": 2.0 - e, "epoch": e} for e in range(2)))
    assert sniffs(text)
    series, notes = read(text)
    assert series["train_lr"].values.tolist() == [0.1, 0.05]
    assert series["train_lr"].axes["epoch"].tolist() == [0, 1]
    assert series["train_loss"].origin.tolist() == [1, 2]
    assert (series["train_lr"].kind, notes) == ("json", [])


def test_a_single_line_of_a_text_log_is_a_log_and_a_single_json_object_is_a_summary(
    sniffs: Callable[..., bool],
) -> None:
    text = lines({"train_lr": 0.1, "train_loss": 2.0, "epoch": 0})
    assert sniffs(text, "log.txt")
    assert not sniffs(text, "wandb-summary.json")


def test_not_a_number_is_written_in_three_ways(read: Read) -> None:
    series, _ = read('{"iteration": 1, "lr": 0.1, "total_loss": NaN}\n{"iteration": 2, "total_loss": -Infinity}\n')
    assert math.isnan(series["total_loss"].values[0])
    assert series["total_loss"].values[1] == -math.inf


def test_mmcvs_first_line_and_validation_rows_do_not_mix_with_training(read: Read, sniffs: Callable[..., bool]) -> None:
    text = lines(
        {"env_info": "Linux", "seed": 0, "config": "lr = 1"},
        {"mode": "train", "epoch": 1, "iter": 50, "lr": 0.02, "loss": 1.5},
        {"mode": "val", "epoch": 1, "iter": 9, "lr": 0.02, "loss": 1.25, "bbox_mAP": 0.5},
        {"mode": "train", "epoch": 2, "iter": 50, "lr": 0.01, "loss": 1.0},
    )
    assert sniffs(text, "None.log.json")
    series, notes = read(text, "None.log.json")
    assert series["loss"].values.tolist() == [1.5, 1.0]
    assert (series["val/loss"].values.tolist(), series["val/bbox_mAP"].values.tolist()) == ([1.25], [0.5])
    assert series["lr"].axes["iter"].tolist() == [50, 9, 50]
    assert "seed" not in series
    assert notes == []


def test_a_first_line_of_settings_longer_than_the_head_is_no_hindrance(read: Read, sniffs: Callable[..., bool]) -> None:
    text = lines({"config": "x" * 3000}, *({"step": s, "lr": 0.1, "loss": 1.0} for s in range(3)))
    assert sniffs(text, "a.log.json")
    assert len(read(text, "a.log.json")[0]["lr"]) == 3


def test_nested_records_are_flattened(read: Read) -> None:
    record = {"step": 1, "train": {"loss": 2.5, "lr": [0.1, 0.2]}, "ok": True, "note": "text", "none": None}
    series, _ = read(lines(record, record))
    assert {tag: item.values.tolist() for tag, item in series.items()} == {
        "train/loss": [2.5, 2.5], "train/lr[0]": [0.1, 0.1], "train/lr[1]": [0.2, 0.2],
    }  # fmt: skip


def test_fairseq_writes_numbers_as_text(read: Read) -> None:
    series, _ = read(lines({"num_updates": "100", "train_lr": "1e-05", "train_loss": "13.5", "train_wall": "a while"}))
    assert series["train_lr"].values.tolist() == [1e-05]
    assert series["train_lr"].axes["num_updates"].tolist() == [100]
    assert "train_wall" not in series


def test_a_cut_off_last_line_is_told(read: Read) -> None:
    series, notes = read(lines({"step": 1, "lr": 0.1}) + '{"step": 2, "lr": 0.')
    assert series["lr"].values.tolist() == [0.1]
    assert notes == ["truncated: the last line is incomplete and was not read at line 2"]


def test_lines_that_are_no_objects_are_skipped_with_one_note(read: Read) -> None:
    good = lines({"step": 1, "lr": 0.1})
    series, notes = read(good + "Traceback (most recent call last):\n[1, 2]\n\n" + good)
    assert len(series["lr"]) == 2
    assert notes == ["2 lines skipped: not a JSON object at line 2"]


def test_a_number_too_large_for_a_float_costs_itself_only(read: Read) -> None:
    series, _ = read('{"step": 1, "lr": 0.1, "loss": ' + "9" * 400 + "}\n")
    assert list(series) == ["lr"]


def test_a_list_of_records_is_a_table(read: Read, sniffs: Callable[..., bool]) -> None:
    rows = [{"step": s, "lr": 0.1 * s, "loss": 3.0 - s} for s in (1, 2)]
    for document in (rows, {"name": "x", "history": rows}, {"runs": {"first": rows}}):
        assert sniffs(document, "history.json")
        series, _ = read(document, "history.json")
        assert series["lr"].values.tolist() == [0.1, 0.2]
        assert series["lr"].axes["step"].tolist() == [1, 2]
        assert (series["lr"].origin.tolist(), series["lr"].origin_unit) == ([1, 2], "row")


def test_lists_side_by_side_are_a_table(read: Read, sniffs: Callable[..., bool]) -> None:
    document = {"summary": {"lr": 0.5}, "history": {"train": {"iter": [1, 2, 3], "train-lr": [0.1, 0.2, None]}}}
    assert sniffs(document, "run.json")
    series, _ = read(document, "run.json")
    assert list(series) == ["train-lr"]
    assert series["train-lr"].values.tolist() == [0.1, 0.2]
    assert series["train-lr"].axes["iter"].tolist() == [1, 2]


def test_lists_of_another_length_do_not_share_the_steps(read: Read) -> None:
    document = {"step": [10, 20, 30], "lr": [0.1, 0.2, 0.3], "val_loss": [2.0, 1.0]}
    series, _ = read(document, "run.json")
    assert series["lr"].axes["step"].tolist() == [10, 20, 30]
    assert dict(series["val_loss"].axes) == {}


def test_a_table_as_pandas_writes_it(read: Read) -> None:
    document = {"lr": {"0": 0.1, "1": 0.05}, "loss": {"0": 2.0, "1": 1.0}, "epoch": {"0": 0, "1": 1}}
    series, _ = read(document, "history.json")
    assert series["lr"].values.tolist() == [0.1, 0.05]
    assert series["lr"].axes["epoch"].tolist() == [0, 1]


def test_a_list_of_rates_in_each_row_is_one_series_a_group(read: Read) -> None:
    series, _ = read({"lr": [[0.1, 0.2], [0.3, 0.4]], "loss": [1, 2]}, "history.json")
    assert series["lr[1]"].values.tolist() == [0.2, 0.4]


def test_names_that_two_tables_share_stay_apart(read: Read) -> None:
    document = {"a": {"step": [1], "loss": [5.0]}, "b": {"step": [1], "loss": [6.0]}}
    series, _ = read(document, "run.json")
    assert {tag: item.values.tolist() for tag, item in series.items()} == {"loss": [5.0], "b/loss": [6.0]}


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ({"learning_rate": 0.1, "betas": [0.9, 0.99]}, "settings.json"),
        ({"epoch": 3.0, "train_loss": 0.5}, "all_results.json"),
        ({"model": {"checkpoints": [{"steps": 10, "reward": 1.5}]}, "loss_name": "l2"}, "training_status.json"),
        ([{"image_id": 1, "bbox": [1, 2, 3, 4]}], "annotations.json"),
        ('{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n', "data.jsonl"),
        ("[1, 2, 3]", "numbers.json"),
        ("plain words", "notes.txt"),
        ("", "empty.json"),
        ("{broken", "broken.json"),
    ],
)
def test_other_json_is_no_log(content: Any, name: str, sniffs: Callable[..., bool]) -> None:
    assert not sniffs(content, name)


def test_nothing_usable_is_an_error(read: Read) -> None:
    with pytest.raises(ReadError, match="no row of numbers"):
        read('{"a": "b"}\n{"c": "d"}\n')
    with pytest.raises(ReadError, match="not a JSON document"):
        read("{\n broken", "x.json")
    with pytest.raises(ReadError, match="not a JSON document"):
        read("[" * 100_000, "x.json")
    with pytest.raises(ReadError, match="no table"):
        read({"a": 1}, "x.json")


def test_an_empty_file_and_a_pointer_are_notes(read: Read) -> None:
    assert read("")[1] == ["the file is empty"]
    assert "git lfs pull" in read("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")[1][0]


def test_a_records_size_is_bounded() -> None:
    assert numbers_in({"histogram": [1.0] * (MAX_LIST + 1), "lr": 1}) == {"lr": 1}
    assert len(numbers_in({str(number): 1 for number in range(MAX_NUMBERS + 9)})) == MAX_NUMBERS
    deep: dict[str, Any] = {"x": 1}
    for _ in range(50):
        deep = {"x": deep}
    assert numbers_in(deep) == {}


def test_wandbs_media_are_no_numbers() -> None:
    assert numbers_in({"image": {"_type": "image-file", "width": 512}, "loss": 1}) == {"loss": 1}


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))


@given(records=st.lists(st.dictionaries(st.sampled_from(["lr", "step", "loss", "x", "mode"]), trees), max_size=6))
def test_any_records_give_series_of_matching_lengths(
    records: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("json")
    for name, text in (("a.jsonl", lines(*records)), ("b.json", json.dumps(records))):
        path = folder / name
        path.write_text(text)
        json_log.sniff(str(path), text.encode())
        try:
            items = list(json_log.read(str(path)))
        except ReadError:
            continue
        for item in items:
            if isinstance(item, Series):
                assert len(item) == len(item.origin) > 0
                assert all(len(axis) == len(item) for axis in item.axes.values())
