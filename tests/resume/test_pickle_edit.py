"""Entries spliced into pickles of every protocol: Python's own loader sees them, and everything else as it was."""

from __future__ import annotations

import io
import os
import pickle
import struct
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrdoctor.errors import ReadError
from lrdoctor.readers.checkpoint_zip import Archive
from lrdoctor.resume.pickle_edit import Append, SetItem, editable, encoded, pickled
from lrdoctor.resume.zip_edit import _Entry, _packed, write_archive

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(plain)
def test_what_is_written_is_what_python_reads(value: object) -> None:
    assert pickle.loads(pickled(value)) == value


def test_counters_tuples_and_large_numbers_too() -> None:
    value = {"milestones": Counter({30: 1, 60: 2}), "pair": (1, -7), "seed": 2**64 - 1}
    again = pickle.loads(pickled(value))
    assert again == value
    assert isinstance(again["milestones"], Counter)
    with pytest.raises(TypeError):
        encoded(object())


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=20, deadline=None)
@given(before=st.dictionaries(st.text(max_size=5), plain, max_size=4), value=plain)
def test_an_entry_is_added_or_overridden_and_the_rest_stays(
    protocol: int, before: dict[str, Any], value: object
) -> None:
    tree = {"a": before, "list": [1], "shared": before, "empty": {}, "ordered": OrderedDict(x=1), "z": list(range(3))}
    opened = editable(pickle.dumps(tree, protocol), "here")
    root: Any = opened.root
    edits = [
        SetItem(root, "new", value),
        SetItem(root["a"], "lr", 0.5),
        SetItem(root["empty"], 3, "three"),
        SetItem(root["ordered"], "y", 2),
        Append(root["list"], value),
    ]
    changed = pickle.loads(opened.edited(edits))
    shared = {**before, "lr": 0.5}
    assert changed == {
        "a": shared, "list": [1, value], "shared": shared, "empty": {3: "three"}, "ordered": OrderedDict(x=1, y=2),
        "z": [0, 1, 2], "new": value,
    }  # fmt: skip


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_containers_filled_in_batches(protocol: int) -> None:
    tree = {"many": {str(i): i for i in range(2500)}, "long": list(range(2500))}
    opened = editable(pickle.dumps(tree, protocol), "here")
    root: Any = opened.root
    changed = pickle.loads(opened.edited([SetItem(root["many"], "last", -1), Append(root["long"], -1)]))
    assert changed["many"] == {**tree["many"], "last": -1}
    assert changed["long"] == [*tree["long"], -1]


def test_nothing_in_the_pickle_is_executed(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "sprung"),)

    opened = editable(pickle.dumps({"trap": Trap(), "optimizer": {}}, 2), "here")
    opened.edited([SetItem(opened.root, "scheduler", {})])
    assert not (tmp_path / "sprung").exists()


def test_a_part_that_is_no_container_of_the_pickle_is_refused() -> None:
    opened = editable(pickle.dumps({"a": 1}, 2), "here")
    with pytest.raises(ReadError, match="cannot be changed"):
        opened.edited([SetItem({}, "b", 2)])


def test_a_directory_entry_beyond_four_gigabytes_is_wide() -> None:
    """The numbers that do not fit go into the extra field, in the order size, packed size, place."""
    entry = _packed(_Entry(b"a/data/0", (0, 0, 0x808, 0, 0, 0, 0, 0, 0), 7, 5 << 30, 9 << 30))
    assert entry.startswith(b"PK\x01\x02")
    extra = struct.unpack_from("<2H3Q", entry, 46 + len(b"a/data/0"))
    assert extra == (1, 24, 5 << 30, 5 << 30, 9 << 30)


def test_a_new_archive_is_aligned_and_reads_back() -> None:
    buffer = io.BytesIO()
    write_archive({"s/data.pkl": pickled({"last_epoch": 3}), "s/version": b"3\n"}, buffer)
    archive = Archive(buffer.getvalue(), "here")
    assert [archive.start_of(member) % 64 for member in archive.every()] == [0, 0]
    member = archive.member("s/data.pkl")
    assert member is not None
    assert pickle.loads(archive.read(member)) == {"last_epoch": 3}
