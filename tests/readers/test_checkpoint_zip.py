"""The directory of an archive, cut many entries at a time, is the directory zipfile sees."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zipfile

import numpy as np
import pytest

from lrdoctor.readers.checkpoint_zip import Archive, DirectoryError


def archive(names: list[str], comments: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for place, name in enumerate(names):
            entry = zipfile.ZipInfo(name)
            entry.comment = b"c" * (place % 3) if comments else b""
            made.writestr(entry, name.encode())
    return buffer.getvalue()


def shuffled(count: int) -> list[str]:
    random.seed(0)
    return [f"{'x' * random.choice((1, 1, 1, 5))}{place}" for place in range(count)]


@pytest.mark.parametrize("comments", [False, True])
@pytest.mark.parametrize(
    "names",
    [
        ["held/data.pkl", "held/byteorder", *(f"held/data/{place}" for place in range(1200)), "held/version"],
        shuffled(300),
        [f"{'y' * (1 + place // 70 % 2)}-{place:04}" for place in range(500)],
        ["only"],
    ],
)
def test_every_member_is_found_with_its_contents(names: list[str], comments: bool) -> None:
    content = archive(names, comments)
    found = Archive(content, "here")
    assert found.names() == names
    with zipfile.ZipFile(io.BytesIO(content)) as same:
        for name in names[:: max(1, len(names) // 40)]:
            member = found.member(name)
            assert member is not None
            assert (found.read(member), member.header) == (name.encode(), same.getinfo(name).header_offset)


def test_of_members_with_one_name_the_last_is_found() -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = archive(["a", *(f"b{place:03}" for place in range(100)), "b007", "a"])
    found = Archive(content, "here")
    assert len(found.names()) == 101
    member, last = found.member("a"), zipfile.ZipFile(io.BytesIO(content)).infolist()[-1]
    assert member is not None
    assert member.header == last.header_offset


def test_any_cut_or_changed_byte_of_the_directory_gives_members_or_an_error() -> None:
    content = archive([f"held/data/{place}" for place in range(40)])
    start = content.index(b"PK\x01\x02")
    rng = np.random.default_rng(0)
    for place in rng.integers(start, len(content), size=400).tolist():
        changed = content[:place] + bytes([int(rng.integers(256))]) + content[place + 1 :]
        try:
            assert len(Archive(changed, "here").names()) <= 40
        except DirectoryError:
            continue


def numbered(members: dict[str, bytes], asked: list[int], content: bytes | None = None) -> list[tuple[int, bytes]]:
    """Whatever is told of each of these members."""
    found, told = Archive(content if content is not None else packed(members), "here"), []
    for number in asked:
        which, pieces = found.numbered("held/data/", np.array([number], dtype=np.int64), 4)
        assert len(which) == len(pieces)
        told += [(number, piece) for piece in pieces]
    which, pieces = found.numbered("held/data/", np.array(asked, dtype=np.int64), 4)
    assert [asked[place] for place in which.tolist()] == [number for number, _ in told]
    assert pieces == {piece for _, piece in told}
    return told


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return buffer.getvalue()


def value(number: int) -> bytes:
    return struct.pack("<f", number)


def test_small_contents_are_told_by_their_checksums() -> None:
    members = {f"held/data/{place}": value(place % 3) for place in range(1200)}
    asked = [0, 7, 1199, 500, 7]
    content = packed(members)
    reads: list[slice] = []

    class Counted(bytes):
        def __getitem__(self, at: slice) -> bytes:  # type: ignore[override]
            reads.append(at)
            return super().__getitem__(at)

    archive = Archive(Counted(content), "here")
    reads.clear()
    which, pieces = archive.numbered("held/data/", np.array([*range(1200)], dtype=np.int64), 4)
    assert which.tolist() == [*range(1200)]
    assert pieces == {value(0), value(1), value(2)}
    assert len(reads) == 3
    assert numbered(members, asked) == [(place, value(place % 3)) for place in asked]


def test_what_takes_a_second_look_is_left_out() -> None:
    members = {f"held/data/{place}": value(place) for place in range(40)}
    members |= {"held/data/007": value(1), "held/data/x": value(2), "other/data/90": value(3), "held/data/41": b"12345"}
    assert numbered(members, [3, 40, 41, 90, 7]) == [(3, value(3)), (7, value(7))]
    assert numbered(members, [3], packed(members, zipfile.ZIP_DEFLATED)) == []
    assert Archive(packed(members), "here").numbered("held/data/", np.array([1]), 8)[0].tolist() == []


def test_a_checksum_that_is_wrong_tells_nothing() -> None:
    content = packed({f"held/data/{place}": value(place // 20) for place in range(40)})
    entry = content.index(b"held/data/25", content.index(b"PK\x01\x02")) - 46
    nothing = content[: entry + 16] + bytes(4) + content[entry + 20 :]
    assert numbered({}, [24, 25, 26], nothing) == [(24, value(1)), (26, value(1))]


def test_of_numbered_members_with_one_name_the_last_is_read() -> None:
    places = [*range(30), 17, 5]
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w") as made:
        for number, place in enumerate(places):
            made.writestr(f"held/data/{place + 10}", value(number))
    assert numbered({}, [27, 15, 16], buffer.getvalue()) == [(27, value(30)), (15, value(31)), (16, value(6))]
