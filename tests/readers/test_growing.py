"""Logs that grow: what was appended is read and nothing else, and the whole is what reading it at once gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Note, Series
from lrdoctor.readers import growing
from lrdoctor.readers.detect import reader_for
from lrdoctor.readers.growing import Growing


def events(count: int) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        writer = EventFileWriter(folder)
        for step in range(count):
            values = [Summary.Value(tag=tag, simple_value=0.1 / (1 + step)) for tag in ("lr", "loss")]
            writer.add_event(Event(wall_time=1.7e9 + step, step=step, summary=Summary(value=values)))
        writer.close()
        return next(Path(folder).iterdir()).read_bytes()


def table(count: int) -> bytes:
    rows = [f"{step // 5},{step},{0.1 / (1 + step)!r},{'' if step % 5 else 2.0 - step / 100}" for step in range(count)]
    return "\n".join(["epoch,step,lr,val_loss", *rows, ""]).encode()


def lines(count: int) -> bytes:
    return b"".join(json.dumps({"step": step, "lr": 0.1 / (1 + step)}).encode() + b"\n" for step in range(count))


LOGS = {
    "events.out.tfevents.1700000000.host.1.0": events,
    "metrics.csv": table,
    "log.jsonl": lines,
}


def plain(items: Any) -> list[object]:
    """Series and notes in a form that can be compared."""
    return [
        str(item)
        if isinstance(item, Note)
        else (item.tag, item.values.tolist(), {name: axis.tolist() for name, axis in item.axes.items()},
              item.origin.tolist(), None if item.wall_time is None else item.wall_time.tolist())
        for item in items
    ]  # fmt: skip


def read(kept: Growing, path: Path) -> list[Series | Note]:
    """What was read up to now; [] where nothing is usable yet."""
    reader = reader_for(str(path))
    try:
        return [] if reader is None else list(kept.read(reader, str(path)))  # type: ignore[arg-type]
    except ReadError:
        return []


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("piece", [1, 7, 100])
def test_read_in_pieces_of_any_size_a_log_is_what_it_is_read_at_once(name: str, piece: int, tmp_path: Path) -> None:
    content, path, kept = LOGS[name](9), tmp_path / name, Growing()
    for end in range(piece, len(content) + piece, piece):
        path.write_bytes(content[:end])  # the same file, longer
        read(kept, path)
    reader = reader_for(str(path))
    assert reader is not None
    assert plain(read(kept, path)) == plain(reader.read(str(path)))
    assert any(isinstance(item, Series) for item in read(kept, path))


class Counted:
    """The bytes that were read from files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes = 0
        for module in ("lrdoctor.readers.growing", "lrdoctor.readers.appended", "lrdoctor.readers.tensorboard"):
            monkeypatch.setattr(f"{module}.open_binary", self.open)

    def open(self, path: str) -> Any:
        counted = self

        class File:
            def __init__(self) -> None:
                self.inner = Path(path).open("rb")  # noqa: SIM115  # closed by __exit__

            def __enter__(self) -> File:
                return self

            def __exit__(self, *_: object) -> None:
                self.inner.close()

            def seek(self, *where: int) -> int:
                return self.inner.seek(*where)

            def read(self, count: int = -1) -> bytes:
                found = self.inner.read(count)
                counted.bytes += len(found)
                return found

        return File()


@pytest.mark.parametrize("name", LOGS)
def test_of_a_file_that_grew_only_what_is_new_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long = LOGS[name](20_000), LOGS[name](20_010)
    path, kept = tmp_path / name, Growing()
    path.write_bytes(short)
    read(kept, path)
    counted = Counted(monkeypatch)
    with path.open("ab") as stream:
        stream.write(long[len(short) :])
    found = {item.tag: item for item in read(kept, path) if isinstance(item, Series)}
    assert len(found["lr"]) == 20_010
    assert counted.bytes < len(long) - len(short) + 8 * 256
    assert counted.bytes < len(long) / 100


@pytest.mark.parametrize("name", LOGS)
def test_a_truncated_file_is_read_anew(name: str, tmp_path: Path) -> None:
    path, kept = tmp_path / name, Growing()
    for count in (30, 4, 12):
        path.write_bytes(LOGS[name](count))
        (series,) = [item for item in read(kept, path) if isinstance(item, Series) and item.tag == "lr"]
        assert len(series) == count


@pytest.mark.parametrize("name", LOGS)
def test_a_file_rewritten_in_place_with_more_in_it_is_read_anew(name: str, tmp_path: Path) -> None:
    """As a training that starts over does: the same inode, longer than before, another content."""
    path, kept = tmp_path / name, Growing()
    path.write_bytes(LOGS[name](8))
    read(kept, path)
    other = LOGS[name](40).replace(b"0.1", b"0.2") if name != next(iter(LOGS)) else LOGS[name](40)[: -2 * 70]
    path.write_bytes(other)
    reader = reader_for(str(path))
    assert reader is not None
    assert plain(read(kept, path)) == plain(reader.read(str(path)))


@pytest.mark.parametrize("name", LOGS)
def test_a_rotated_file_is_read_anew(name: str, tmp_path: Path) -> None:
    path, kept = tmp_path / name, Growing()
    path.write_bytes(LOGS[name](30))
    read(kept, path)
    path.rename(tmp_path / "old")
    path.write_bytes(LOGS[name](40))
    found = {item.tag: item for item in read(kept, path) if isinstance(item, Series)}
    assert len(found["lr"]) == 40
    assert np.isfinite(found["lr"].values).all()


def test_a_line_that_is_being_written_waits_for_its_end(tmp_path: Path) -> None:
    path, kept = tmp_path / "metrics.csv", Growing()
    path.write_bytes(table(6) + b"1,6,0.01")
    (lr,) = [item for item in read(kept, path) if isinstance(item, Series) and item.tag == "lr"]
    assert len(lr) == 6
    with path.open("ab") as stream:
        stream.write(b"25,\n")
    (lr,) = [item for item in read(kept, path) if isinstance(item, Series) and item.tag == "lr"]
    assert lr.values[-1] == 0.0125


def test_a_table_with_quotes_is_read_whole_each_time(tmp_path: Path) -> None:
    path, kept = tmp_path / "metrics.csv", Growing()
    path.write_bytes(b'step,lr,note\n0,0.1,"two\nlines"\n1,0.1,x\n')
    for count in (2, 3):
        (lr,) = [item for item in read(kept, path) if isinstance(item, Series) and item.tag == "lr"]
        assert len(lr) == count
        with path.open("ab") as stream:
            stream.write(b"2,0.1,y\n")


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    path, kept, times = tmp_path / "a", Growing(), []
    path.write_text("1")
    for _ in range(3):
        kept.once(str(path), lambda: times.append(1))
    assert len(times) == 1
    path.write_text("22")
    kept.once(str(path), lambda: times.append(1))
    assert len(times) == 2


def test_every_tail_belongs_to_a_reader() -> None:
    from lrdoctor.readers.detect import READERS

    assert set(growing.TAILS) <= {reader.KIND for reader in READERS}
