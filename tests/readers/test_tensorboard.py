"""Event files: what TensorBoard's own reader finds in them, found without it; and files that are damaged."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.util.tensor_util import make_ndarray, make_tensor_proto

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Hint, Note, Series
from lrdoctor.readers import tensorboard
from lrdoctor.readers.checksum import masked_crc

NAME = "events.out.tfevents.1700000000.host.1.0"


def framed(event: Event) -> bytes:
    """One record: length, its checksum, the event, its checksum."""
    content = event.SerializeToString()
    header = struct.pack("<Q", len(content))
    return b"".join((header, struct.pack("<I", masked_crc(header)), content, struct.pack("<I", masked_crc(content))))


def scalar(tag: str, value: float, step: int, wall: float = 1.7e9) -> Event:
    return Event(wall_time=wall, step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]))


def tensor(tag: str, proto: TensorProto, step: int, plugin: str = "scalars") -> Event:
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin))
    return Event(
        step=step, wall_time=1.7e9, summary=Summary(value=[Summary.Value(tag=tag, tensor=proto, metadata=metadata)])
    )


VERSION = Event(wall_time=1.7e9, file_version="brain.Event:2")

Write = Callable[[Sequence[Event] | bytes], Path]
Found = tuple[dict[str, Series], list[Hint], list[str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def run(content: Sequence[Event] | bytes) -> Path:
        path = tmp_path / NAME
        path.write_bytes(content if isinstance(content, bytes) else b"".join(map(framed, content)))
        return path

    return run


def read(path: Path) -> Found:
    items = list(tensorboard.read(str(path)))
    series = {item.tag: item for item in items if isinstance(item, Series)}
    hints = [item for item in items if isinstance(item, Hint)]
    return series, hints, [str(item) for item in items if isinstance(item, Note)]


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("events.out.tfevents.*")
    return path


def accumulated(path: Path) -> dict[str, list[tuple[float, int, float]]]:
    """(wall time, step, value) of each point by tag, as TensorBoard reads them."""
    accumulator = EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0}, purge_orphaned_data=False)
    accumulator.Reload()
    tags = accumulator.Tags()
    found = {tag: [(e.wall_time, e.step, e.value) for e in accumulator.Scalars(tag)] for tag in tags["scalars"]}
    for tag in tags["tensors"]:
        events = accumulator.Tensors(tag)
        found[tag] = [(e.wall_time, e.step, make_ndarray(e.tensor_proto).item()) for e in events]
    return found


def as_points(series: Series) -> list[tuple[float, int, float]]:
    assert series.wall_time is not None
    columns = (series.wall_time.tolist(), map(int, series.axes["step"]), series.values.tolist())
    return list(zip(*columns, strict=True))


@pytest.fixture
def writer(tmp_path: Path) -> Any:
    """torch's SummaryWriter."""
    writer_class = pytest.importorskip("torch.utils.tensorboard").SummaryWriter
    with writer_class(str(tmp_path / "run")) as opened:
        yield opened


@pytest.mark.parametrize("new_style", [False, True])
def test_what_torch_writes_is_what_tensorboard_reads(writer: Any, tmp_path: Path, new_style: bool) -> None:
    for step in (*range(0, 300, 3), 100, 200, 2**31, 2**40):
        writer.add_scalar("train/lr", 0.1 / (1 + step), step, new_style=new_style)
        writer.add_scalar("loss", step * 0.5, step, walltime=1.7e9 + step, new_style=new_style)
        if step % 30 == 0:
            writer.add_scalar("val/loss", float("nan") if step == 60 else -1.0, step, new_style=new_style)
    writer.close()
    path = only_file(tmp_path / "run")
    series, _, notes = read(path)
    expected = accumulated(path)
    assert set(series) == set(expected)
    for tag, points in expected.items():
        assert np.array_equal(np.array(as_points(series[tag])), np.array(points), equal_nan=True)
    assert list(series) == ["train/lr", "loss", "val/loss"]
    assert notes == []


def test_the_origin_is_the_byte_where_the_record_starts(write: Write) -> None:
    events = [VERSION, scalar("lr", 0.5, 1), scalar("a longer tag", 1, 1), scalar("lr", 0.25, 2)]
    series, _, _ = read(write(events))
    starts = np.cumsum([0, *(len(framed(event)) for event in events)])
    assert series["lr"].origin.tolist() == [starts[1], starts[3]]
    assert (series["lr"].kind, series["lr"].origin_unit) == ("tensorboard", "byte")


def test_images_histograms_figures_and_text_are_stepped_over(writer: Any, tmp_path: Path) -> None:
    writer.add_image("picture", np.zeros((3, 64, 64), dtype=np.uint8), 0)
    writer.add_histogram("weights", np.arange(1000.0), 0)
    writer.add_text("note", "lr 0.1 " * 400, 0)
    writer.add_pr_curve("curve", np.array([0, 1]), np.array([0.5, 0.5]), 0)
    writer.add_scalar("lr", 0.5, 7)
    writer.close()
    series, _, notes = read(only_file(tmp_path / "run"))
    assert list(series) == ["lr"]
    assert series["lr"].axes["step"].tolist() == [7]
    assert notes == []


def test_several_scalars_in_one_event_share_its_step(write: Write) -> None:
    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in (("a", 1), ("b", 2), ("a", 3))]
    series, _, _ = read(write([VERSION, Event(step=5, wall_time=1.7e9, summary=Summary(value=values))]))
    assert (series["a"].values.tolist(), series["b"].values.tolist()) == ([1, 3], [2])
    assert series["a"].axes["step"].tolist() == [5, 5]


TENSORS = {
    "float content": (make_tensor_proto(np.array(0.5, np.float32)), 0.5),
    "double": (make_tensor_proto(np.array(0.5, np.float64)), 0.5),
    "int32": (make_tensor_proto(np.array(-7, np.int32)), -7),
    "int64": (make_tensor_proto(np.array(2**40, np.int64)), 2**40),
    "half": (make_tensor_proto(np.array(0.5, np.float16)), 0.5),
    "bool": (make_tensor_proto(np.array(True)), 1),
    "float_val": (TensorProto(dtype=1, float_val=[0.5]), 0.5),
    "double_val": (TensorProto(dtype=2, double_val=[0.5]), 0.5),
    "int_val": (TensorProto(dtype=3, int_val=[-7]), -7),
    "int64_val": (TensorProto(dtype=9, int64_val=[-7]), -7),
    "bfloat16": (TensorProto(dtype=14, tensor_content=b"\x80\x3f"), 1),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_without_dimensions_are_scalars(write: Write, name: str) -> None:
    proto, value = TENSORS[name]
    series, _, _ = read(write([VERSION, *(tensor("learning_rate", proto, step) for step in (0, 100))]))
    assert series["learning_rate"].values.tolist() == [value, value]
    assert series["learning_rate"].axes["step"].tolist() == [0, 100]


def test_tensors_with_dimensions_are_not(write: Write) -> None:
    vector = make_tensor_proto(np.arange(3, dtype=np.float32))
    words = make_tensor_proto(np.array(b"some text", dtype=object))
    unknown = TensorProto(dtype=1, float_val=[0.5], tensor_shape=TensorShapeProto(unknown_rank=True))
    events = [tensor("vector", vector, 1), tensor("words", words, 1, "text"), tensor("unknown", unknown, 1)]
    series, _, notes = read(write([VERSION, *events]))
    assert series == {}
    assert len(notes) == 1
    assert "no scalar" in notes[0]


def test_logged_hyper_parameters_become_hints(writer: Any, tmp_path: Path) -> None:
    writer.add_hparams({"lr": 0.1, "optimizer": "AdamW", "batch_size": 32, "bf16": True}, {"hparam/loss": 1.0})
    writer.close()
    (path,) = (tmp_path / "run").glob("*/events.out.tfevents.*")
    _, hints, _ = read(path)
    found = {hint.name: hint.value for hint in hints}
    assert (found["lr"], found["optimizer"], found["batch_size"], found["precision"]) == (0.1, "AdamW", 32, "bf16")


def test_a_file_with_its_version_only_holds_no_scalar(write: Write) -> None:
    series, _, notes = read(write([VERSION]))
    assert series == {}
    assert notes == ["no scalar in it: nothing was logged before the writer closed or the process ended"]


@pytest.mark.parametrize("cut", [1, 4, 5, 20, 39])
def test_a_cut_off_tail_costs_the_last_record_only(write: Write, cut: int) -> None:
    whole = b"".join(framed(event) for event in (VERSION, *(scalar("lr", 0.5, step) for step in range(4))))
    path = write(whole[:-cut])
    series, _, notes = read(path)
    assert as_points(series["lr"]) == accumulated(path)["lr"]
    assert series["lr"].axes["step"].tolist() == [0, 1, 2]
    last = len(framed(scalar("lr", 0.5, 3)))
    assert notes == [f"truncated inside its last record; {last - cut} bytes were not read at byte {len(whole) - last}"]


def test_a_tail_of_zeros_is_told_and_not_read(write: Write) -> None:
    series, _, notes = read(write(b"".join(map(framed, (VERSION, scalar("lr", 0.5, 1)))) + bytes(100)))
    assert len(series["lr"]) == 1
    assert len(notes) == 1
    assert "100 bytes were not read" in notes[0]


def test_a_record_that_fails_its_checksum_is_left_out(write: Write) -> None:
    records = [framed(event) for event in (VERSION, *(scalar("lr", 0.5, step) for step in range(3)))]
    damaged = bytearray(records[2])
    damaged[-10] ^= 0x40
    series, _, notes = read(write(b"".join((*records[:2], bytes(damaged), records[3]))))
    assert series["lr"].axes["step"].tolist() == [0, 2]
    assert notes == [f"a damaged record was left out at byte {len(records[0]) + len(records[1])}"]


def test_many_tags_keep_the_order_of_the_file(write: Write) -> None:
    names = [f"group_{number % 7}/{'x' * (number % 5)}lr{number}" for number in range(200)]
    events = [scalar(name, number, step) for step in range(3) for number, name in enumerate(names)]
    series, _, _ = read(write([VERSION, *events]))
    assert list(series) == names
    assert all(series[name].values.tolist() == [number] * 3 for number, name in enumerate(names))


def test_a_file_that_is_none_is_an_error(write: Write) -> None:
    with pytest.raises(ReadError, match="not an event file"):
        read(write(b"step,lr\n1,0.1\n" * 10))


def test_an_empty_file_and_a_pointer_are_notes(write: Write) -> None:
    assert read(write(b""))[2] == ["the file is empty"]
    assert "git lfs pull" in read(write(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"))[2][0]


def test_it_is_known_by_its_name_or_by_its_first_record() -> None:
    assert tensorboard.sniff(f"runs/{NAME}", b"anything")
    assert tensorboard.sniff("renamed", framed(VERSION))
    assert not tensorboard.sniff("renamed", framed(VERSION)[1:])
    assert not tensorboard.sniff(f"runs/{NAME}", b"")


steps = st.integers(-(2**62), 2**62)
values = st.floats(width=32)
tags = st.text(min_size=1, max_size=40)
points = st.tuples(tags, values, steps, st.floats(0, 2e9))


@given(logged=st.lists(points, min_size=1, max_size=40))
def test_any_scalars_are_read_as_tensorboards_protocol_has_them(
    logged: list[tuple[str, float, int, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("events") / NAME
    path.write_bytes(b"".join(map(framed, [VERSION, *(scalar(*point) for point in logged)])))
    series, _, notes = read(path)
    assert notes == []
    for tag in {tag for tag, *_ in logged}:
        mine = [(value, float(step), wall) for name, value, step, wall in logged if name == tag]
        found = series[tag]
        assert np.array_equal(found.values, [value for value, _, _ in mine], equal_nan=True)
        assert found.axes["step"].tolist() == [step for _, step, _ in mine]
        walls = np.full(len(mine), np.nan) if found.wall_time is None else found.wall_time
        assert np.array_equal(np.nan_to_num(walls), [wall for _, _, wall in mine])


@given(content=st.binary(max_size=300))
def test_no_bytes_behind_a_good_record_break_the_reader(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("events") / NAME
    header = struct.pack("<Q", len(content))
    wrapped = header + struct.pack("<I", masked_crc(header)) + content + struct.pack("<I", masked_crc(content))
    path.write_bytes(framed(scalar("lr", 0.5, 1)) + wrapped + content)
    series, _, _ = read(path)
    assert series["lr"].values[0] == 0.5
