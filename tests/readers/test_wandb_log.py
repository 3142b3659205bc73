"""W&B's .wandb files, written here byte by byte."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Hint, Note, Series
from lrdoctor.readers import wandb_log
from lrdoctor.readers.wandb_blocks import BLOCK_BYTES

HEADER = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
Item = tuple[list[str], Any]


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def item(keys: list[str], value: Any, nested: bool = True) -> bytes:
    """A HistoryItem or ConfigItem: the SDK writes `nested_key` today and wrote `key` before."""
    names = b"".join(message(2 if nested else 1, key.encode()) for key in keys)
    return message(1, names + message(16, value if isinstance(value, bytes) else json.dumps(value).encode()))


def history(values: dict[str, Any], step: int | None = None, nested: bool = True) -> bytes:
    items = b"".join(item([name], value, nested) for name, value in values.items())
    end = b"" if step is None else message(2, b"" if step == 0 else b"\x08" + varint(step))
    return b"\x08\x01" + message(2, items + end)


def run_record(config: dict[str, Any]) -> bytes:
    return message(17, message(1, b"abc") + message(4, b"".join(item([key], value) for key, value in config.items())))


def config_record(config: dict[str, Any]) -> bytes:
    return message(5, b"".join(item([key], value) for key, value in config.items()))


EXIT = message(18, b"")


def chunk(kind: int, payload: bytes) -> bytes:
    return struct.pack("<IHB", zlib.crc32(payload, zlib.crc32(bytes([kind]))), len(payload), kind) + payload


def wandb_file(records: Iterable[bytes]) -> bytes:
    """The records in 32 KiB blocks, split where they cross a border."""
    out = bytearray(HEADER)
    for record in records:
        first = True
        while True:
            left = BLOCK_BYTES - len(out) % BLOCK_BYTES
            if left < 7:
                out += bytes(left)
                continue
            part, record = record[: left - 7], record[left - 7 :]
            kind = {(True, False): 1, (True, True): 2, (False, True): 3, (False, False): 4}[first, bool(record)]
            out += chunk(kind, part)
            first = False
            if not record:
                break
    return bytes(out)


Read = Callable[[bytes], tuple[dict[str, Series], dict[str, Any], list[str]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def run(content: bytes) -> tuple[dict[str, Series], dict[str, Any], list[str]]:
        path = tmp_path / "run-abc.wandb"
        path.write_bytes(content)
        items = list(wandb_log.read(str(path)))
        series = {one.tag: one for one in items if isinstance(one, Series)}
        hints = {one.name: one.value for one in items if isinstance(one, Hint)}
        return series, hints, [str(one) for one in items if isinstance(one, Note)]

    return run


def row(step: int) -> dict[str, Any]:
    return {"train/lr": 0.5 / (step + 1), "train/loss": 3.0, "_step": step, "_runtime": 1.5, "_timestamp": 1.7e9 + step}


@pytest.mark.parametrize("nested", [True, False])
def test_the_history_is_the_log(read: Read, nested: bool) -> None:
    series, _, notes = read(wandb_file([*(history(row(step), nested=nested) for step in range(3)), EXIT]))
    rate = series["train/lr"]
    assert rate.values.tolist() == [0.5, 0.25, 0.5 / 3]
    assert rate.axes["_step"].tolist() == [0, 1, 2]
    assert rate.wall_time is not None
    assert rate.wall_time.tolist() == [1.7e9, 1.7e9 + 1, 1.7e9 + 2]
    assert (rate.kind, rate.origin_unit, rate.origin[0]) == ("wandb", "byte", 7)
    assert notes == []


def test_the_step_of_the_record_stands_in_for_a_missing_item(read: Read) -> None:
    series, _, _ = read(wandb_file([history({"lr": 0.1}, 0), history({"lr": 0.2}, 300), EXIT]))
    assert series["lr"].axes["_step"].tolist() == [0, 300]


def test_nested_keys_are_joined_and_nested_values_flattened(read: Read) -> None:
    record = message(2, item(["train", "lr"], 0.1) + item(["val"], {"loss": 2.5}) + item(["_step"], 0))
    series, _, _ = read(wandb_file([record, EXIT]))
    assert sorted(series) == ["train/lr", "val/loss"]


def test_not_a_number_is_kept_and_broken_json_is_not(read: Read) -> None:
    record = message(2, item(["a"], b"NaN") + item(["b"], b"{broken") + item(["c"], b'"Infinity"') + item(["_step"], 0))
    series, _, _ = read(wandb_file([record, EXIT]))
    assert sorted(series) == ["a", "c"]
    assert series["a"].values[0] != series["a"].values[0]


def test_the_config_is_that_of_the_last_update(read: Read) -> None:
    records = [
        run_record({"learning_rate": 0.1, "max_iters": 100}),
        history(row(0)),
        config_record({"learning_rate": 0.2}),
    ]
    _, hints, _ = read(wandb_file([*records, EXIT]))
    assert (hints["lr"], hints["max_steps"]) == (0.2, 100)


def test_records_cross_blocks(read: Read) -> None:
    texts = (message(13, b"x" * length) for length in (BLOCK_BYTES - 30, 3 * BLOCK_BYTES, 5))
    records = [history(row(0)), *texts, history(row(1)), EXIT]
    series, _, notes = read(wandb_file(records))
    assert series["train/lr"].axes["_step"].tolist() == [0, 1]
    assert notes == []


@given(sizes=st.lists(st.integers(0, 3 * BLOCK_BYTES), max_size=8))
def test_whatever_lies_between_them_all_rows_are_found(
    sizes: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    records = [part for step, size in enumerate(sizes) for part in (message(13, bytes(size)), history(row(step)))]
    path = tmp_path_factory.mktemp("wandb") / "run.wandb"
    path.write_bytes(wandb_file([*records, EXIT]))
    series = {one.tag: one for one in wandb_log.read(str(path)) if isinstance(one, Series)}
    steps = series["train/lr"].axes["_step"].tolist() if sizes else []
    assert steps == list(range(len(sizes)))


@pytest.mark.parametrize("cut", [1, 5, 20, 60])
def test_a_file_that_was_cut_off_keeps_what_is_whole(read: Read, cut: int) -> None:
    series, _, notes = read(wandb_file(history(row(step)) for step in range(3))[:-cut])
    assert series["train/lr"].axes["_step"].tolist() == [0, 1]
    assert len(notes) == 1
    assert notes[0].startswith("truncated inside a record")


def test_a_file_cut_off_at_a_block_ends_inside_a_record(read: Read) -> None:
    content = wandb_file([history(row(0)), message(13, bytes(2 * BLOCK_BYTES)), history(row(1))])
    series, _, notes = read(content[:BLOCK_BYTES])
    assert len(series["train/lr"]) == 1
    assert "truncated inside a record" in notes[0]


def test_a_run_that_was_killed_is_told(read: Read) -> None:
    _, _, notes = read(wandb_file([history(row(0))]))
    assert notes == ["no exit record: the process was killed or still runs"]


def test_a_damaged_record_costs_itself_only(read: Read) -> None:
    content = bytearray(wandb_file([history(row(0)), history(row(1)), history(row(2)), EXIT]))
    second = 7 + len(chunk(1, history(row(0))))
    content[second + 20] ^= 0xFF
    series, _, notes = read(bytes(content))
    assert series["train/lr"].axes["_step"].tolist() == [0, 2]
    assert notes == [f"1 record skipped: damaged at byte {second}"]


def test_a_damaged_length_costs_its_block_only(read: Read) -> None:
    content = bytearray(wandb_file([history(row(0)), message(13, bytes(BLOCK_BYTES)), history(row(1)), EXIT]))
    content[7 + 4 : 7 + 6] = b"\xff\xff"
    series, _, notes = read(bytes(content))
    assert series["train/lr"].axes["_step"].tolist() == [1]
    assert any("damaged" in note for note in notes)


def test_a_file_without_history_is_told(read: Read) -> None:
    series, _, notes = read(wandb_file([run_record({}), EXIT]))
    assert (series, notes) == ({}, ["no history in it: nothing was logged before the run ended"])


def test_an_empty_file_and_a_pointer_are_notes(read: Read) -> None:
    assert read(b"")[2] == ["the file is empty"]
    assert "git lfs pull" in read(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")[2][0]


@pytest.mark.parametrize("content", [HEADER, HEADER + b"\x01\x02", HEADER + bytes(7), HEADER + b"\xff" * 100])
def test_a_file_without_one_whole_record_is_an_error(read: Read, content: bytes) -> None:
    with pytest.raises(ReadError, match="not a W&B file"):
        read(content)


def test_it_is_known_by_its_first_bytes() -> None:
    assert wandb_log.sniff("run-abc.wandb", HEADER)
    assert not wandb_log.sniff("run-abc.wandb", b"")
    assert not wandb_log.sniff("run-abc.wandb", b"step,lr\n")


@given(content=st.binary(max_size=400))
def test_no_bytes_break_the_reader(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("wandb") / "run.wandb"
    path.write_bytes(HEADER + chunk(1, content) + content)
    try:
        items = list(wandb_log.read(str(path)))
    except ReadError:
        return
    assert all(len(one) == len(one.origin) for one in items if isinstance(one, Series))
