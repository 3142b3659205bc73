"""The directory of an archive, cut many entries at a time, is the directory zipfile sees."""

from __future__ import annotations

import io
import random
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
