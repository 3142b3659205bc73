"""Framing: each record is found where it lies, however lengths repeat and windows cut; memory is free of file size."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrdoctor.model.run import Note, Series
from lrdoctor.readers import tensorboard, tfrecord
from lrdoctor.readers.checksum import masked_crc, masked_crc_of, masked_crcs
from lrdoctor.readers.pages import Pages

NAME = "events.out.tfevents.1700000000.host.1.0"


def record(content: bytes) -> bytes:
    header = struct.pack("<Q", len(content))
    return header + struct.pack("<I", masked_crc(header)) + content + struct.pack("<I", masked_crc(content))


def varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def scalar(tag: str, value: float, step: int) -> bytes:
    """An event as TensorBoard's writers serialise it."""
    summary = field(1, field(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
    return b"\x09" + struct.pack("<d", 1.7e9 + step) + b"\x10" + varint(step) + field(5, summary)


def frames_of(content: bytes) -> tuple[list[tuple[int, int]], tfrecord.Frames]:
    frames = tfrecord.Frames(io.BytesIO(content), len(content))
    found = []
    for batch in frames.batches():
        found += zip((batch.starts + batch.base).tolist(), batch.lengths.tolist(), strict=True)
        found += [batch.long] if batch.long else []
    return found, frames


def expected(lengths: list[int]) -> list[tuple[int, int]]:
    ends = np.cumsum([length + 16 for length in lengths])
    return [(int(end) - length - 4, length) for end, length in zip(ends, lengths, strict=True)]


def lengths_found(lengths: list[int]) -> list[tuple[int, int]]:
    content = b"".join(record(bytes(length)) for length in lengths)
    found, frames = frames_of(content)
    assert (frames.at, frames.trouble) == (len(content), None)
    return found


cycles = st.lists(st.integers(0, 300), min_size=1, max_size=12)
stretches = st.lists(st.tuples(cycles, st.integers(1, 400)), min_size=1, max_size=4)


@given(stretches=stretches, odd=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 70_000)), max_size=4))
def test_records_are_found_however_their_lengths_repeat(
    stretches: list[tuple[list[int], int]], odd: list[tuple[int, int]]
) -> None:
    lengths = [length for cycle, rounds in stretches for length in cycle * rounds][:5000]
    for place, length in odd:
        lengths.insert(min(place, len(lengths)), length)
    assert lengths_found(lengths) == expected(lengths)


def test_a_long_repetition_is_followed_over_many_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfrecord, "_LARGEST_WINDOW", tfrecord._SMALLEST_WINDOW)
    lengths = [40, 52, 41, 40, 60] * 4000
    lengths[7000] = 53
    assert lengths_found(lengths) == expected(lengths)


@pytest.mark.parametrize("place", [0, 31, 32, 700, 1999])
def test_a_damaged_header_ends_the_walk_where_it_lies(place: int) -> None:
    parts = [bytearray(record(bytes(40))) for _ in range(2000)]
    parts[place][9] ^= 1
    found, frames = frames_of(b"".join(parts))
    assert found == expected([40] * place)
    assert (frames.at, frames.trouble) == (56 * place, "what follows is not an event record")


@pytest.mark.parametrize("place", [0, 31, 700, 1999])
def test_a_length_that_lies_ends_the_walk_where_it_lies(place: int) -> None:
    parts = [record(bytes(40)) for _ in range(2000)]
    header = struct.pack("<Q", 2**62)
    parts[place] = header + struct.pack("<I", masked_crc(header)) + bytes(44)
    found, frames = frames_of(b"".join(parts))
    assert found == expected([40] * place)
    assert (frames.at, frames.trouble) == (56 * place, "truncated inside its last record")


def test_a_file_that_shrinks_while_it_is_read_is_no_endless_loop() -> None:
    content = record(bytes(40)) * 10
    frames = tfrecord.Frames(io.BytesIO(content), len(content) + 1000)
    assert sum(len(batch.starts) for batch in frames.batches()) <= 10
    assert frames.trouble == "shorter than when it was opened"


@given(content=st.binary(max_size=5000), start=st.integers(0, 100))
def test_checksums_agree_whole_by_page_and_by_row(content: bytes, start: int) -> None:
    assert masked_crc_of(content, min(start, len(content)), len(content)) == masked_crc(content[start:])
    assert masked_crcs(np.frombuffer(content * 2, dtype=np.uint8).reshape(2, -1)).tolist() == [masked_crc(content)] * 2


def test_pages_are_the_file_by_position() -> None:
    content = np.random.default_rng(0).bytes(300_000)
    pages = Pages(io.BytesIO(content), len(content))
    assert [pages[at] for at in (0, 299_999, 5, 200_000)] == [content[at] for at in (0, 299_999, 5, 200_000)]
    assert pages[65_000:140_000] == content[65_000:140_000]
    assert pages[299_990:400_000] == content[299_990:]
    assert masked_crc_of(pages, 17, 290_001) == masked_crc(content[17:290_001])


def read(path: Path) -> tuple[dict[str, Series], list[str]]:
    items = list(tensorboard.read(str(path)))
    series = {item.tag: item for item in items if isinstance(item, Series)}
    return series, [str(item) for item in items if isinstance(item, Note)]


@pytest.mark.parametrize("blob", [2_000, 70_000, 300_000])
def test_a_number_beside_a_picture_in_one_record_is_read(tmp_path: Path, blob: int) -> None:
    picture = field(1, field(1, b"picture") + field(4, field(4, bytes(blob))))
    number = field(1, field(1, b"lr") + b"\x15" + struct.pack("<f", 0.5))
    path = tmp_path / NAME
    path.write_bytes(record(b"\x10\x07" + field(5, picture + number)) + record(scalar("loss", 2.0, 8)))
    series, notes = read(path)
    assert (series["lr"].values.tolist(), series["lr"].axes["step"].tolist()) == ([0.5], [7])
    assert series["lr"].origin.tolist() == [0]
    assert series["loss"].values.tolist() == [2.0]
    assert notes == []


@pytest.mark.parametrize("blob", [100, 2_000, 70_000])
def test_a_number_in_a_record_that_fails_its_checksum_is_left_out(tmp_path: Path, blob: int) -> None:
    content = scalar("lr", 0.5, 1) + field(15, bytes(blob))
    damaged = bytearray(record(content))
    damaged[-7] ^= 1
    path = tmp_path / NAME
    path.write_bytes(bytes(damaged) + record(scalar("loss", 2.0, 8)))
    series, notes = read(path)
    assert list(series) == ["loss"]
    assert notes == ["a damaged record was left out at byte 0"]


PICTURES, PICTURE_BYTES = 60, 10 << 20


def write_pictures(path: Path) -> None:
    """600 MB of pictures with a scalar after each; the pictures are holes in the file."""
    image = varint(4 << 3 | 2) + varint(PICTURE_BYTES)
    value = field(1, b"picture") + varint(4 << 3 | 2) + varint(len(image) + PICTURE_BYTES) + image
    summary = varint(1 << 3 | 2) + varint(len(value) + PICTURE_BYTES) + value
    before = varint(5 << 3 | 2) + varint(len(summary) + PICTURE_BYTES) + summary
    length = len(before) + PICTURE_BYTES
    header = struct.pack("<Q", length)
    with path.open("wb") as stream:
        for step in range(PICTURES):
            stream.write(header + struct.pack("<I", masked_crc(header)) + before)
            stream.seek(PICTURE_BYTES + 4, os.SEEK_CUR)
            stream.write(record(scalar("lr", 0.5, step)))


# Not getrusage's counter, which starts at what the parent had.
PEAK = """
import sys
from pathlib import Path
from lrdoctor.readers import tensorboard

def peak():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))

before = peak()
points = sum(len(item) for item in tensorboard.read(sys.argv[1]) if hasattr(item, "tag"))
print(points, peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_depends_on_the_scalars_and_not_on_the_file(tmp_path: Path) -> None:
    path = tmp_path / NAME
    write_pictures(path)
    assert path.stat().st_size > PICTURES * PICTURE_BYTES
    answer = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
    points, kilobytes = map(int, answer.stdout.split())
    assert points == PICTURES
    assert kilobytes < 30_000
