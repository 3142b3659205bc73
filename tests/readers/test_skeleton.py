"""A pickle is described, never carried out: whatever it asks for, nothing is imported, called or built."""

from __future__ import annotations

import collections
import contextlib
import pickle
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrdoctor.errors import ReadError
from lrdoctor.readers.pickle_machine import describe
from lrdoctor.readers.skeleton import Blob, Global, Stub


def _text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


WHOLE = st.integers(-(2**63), 2**64 - 1)
PLAIN = st.recursive(
    st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | WHOLE, inner),
    max_leaves=12,
)


@pytest.mark.parametrize("protocol", range(6))
@settings(max_examples=60, deadline=None)
@given(value=PLAIN)
def test_plain_values_come_out_as_they_went_in(protocol: int, value: Any) -> None:
    root, end = describe(pickle.dumps(value, protocol))
    assert root == value
    assert end == len(pickle.dumps(value, protocol))


@pytest.mark.parametrize("protocol", range(6))
def test_containers_of_the_standard_library_become_plain_ones(protocol: int) -> None:
    value = {
        "ordered": collections.OrderedDict(a=1, b=2),
        "counter": collections.Counter([3, 3, 5]),
        "default": collections.defaultdict(list, {"x": [1]}),
        "deque": collections.deque([1, 2]),
    }
    root, _ = describe(pickle.dumps(value, protocol))
    assert root == {"ordered": {"a": 1, "b": 2}, "counter": {3: 2, 5: 1}, "default": {"x": [1]}, "deque": [1, 2]}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", [np.float64(0.1), np.float32(0.5), np.int64(-7)])
def test_numpy_scalars_become_numbers(protocol: int, value: np.generic) -> None:
    root, _ = describe(pickle.dumps({"x": value}, protocol))
    assert root == {"x": value.item()}


class Custom:
    def __init__(self) -> None:
        self.lr = 0.1


@pytest.mark.parametrize("protocol", range(6))
def test_an_object_becomes_a_stub_with_its_state(protocol: int) -> None:
    root, _ = describe(pickle.dumps(Custom(), protocol))
    assert isinstance(root, Stub)
    assert (root.class_name, root.state) == ("Custom", {"lr": 0.1})


def _attacks(command: str) -> dict[str, bytes]:
    """One pickle per way of naming a function and of calling it; each would run `command` in a shell."""
    argument = _text(command)
    stack_global = _text("os") + _text("system") + b"\x93"
    extension = b"\x82\x01" + argument + b"\x85R."
    return {
        "GLOBAL REDUCE": b"cos\nsystem\n" + argument + b"\x85R.",
        "STACK_GLOBAL REDUCE": b"\x80\x04" + stack_global + argument + b"\x85R.",
        "NEWOBJ": b"\x80\x02cos\nsystem\n" + argument + b"\x85\x81.",
        "NEWOBJ_EX": b"\x80\x04" + stack_global + argument + b"\x85}\x92.",
        "INST": b"(" + argument + b"ios\nsystem\n.",
        "OBJ": b"(cos\nsystem\n" + argument + b"o.",
        "EXT1": extension,
        "EXT2": b"\x83\x01\x00" + argument + b"\x85R.",
        "EXT4": b"\x84\x01\x00\x00\x00" + argument + b"\x85R.",
        "eval": b"cbuiltins\neval\n" + _text(f"__import__('os').system({command!r})") + b"\x85R.",
        "getattr": b"cbuiltins\ngetattr\ncos\npath\n" + _text("system") + b"\x86R" + argument + b"\x85R.",
        "apply a call's result": b"cfunctools\npartial\ncos\nsystem\n" + argument + b"\x86R)R.",
        "BUILD __setstate__": b"ccollections\nCounter\n)R}"
        + _text("__setstate__")
        + b"cos\nsystem\nsb"
        + argument
        + b"b.",
        "BUILD __dict__ of a class": b"cbuiltins\nobject\n}" + _text("__call__") + b"cos\nsystem\nsb.",
        "persistent id": b"cos\nsystem\n" + argument + b"\x85RQ.",
        "numpy load": b"cnumpy\nload\n" + argument + b"\x88\x86R.",
        "torch tensor from a call": b"ctorch._utils\n_rebuild_tensor_v2\n(cos\nsystem\n"
        + argument
        + b"\x85RK\x00))tR.",
        "reconstructor": b"ccopyreg\n_reconstructor\n(cos\nsystem\n" + argument + b"NtR.",
        "dict key": b"}cos\nsystem\n" + argument + b"\x85RNs.",
        "append to a call's result": b"cos\nsystem\n" + argument + b"\x85R(K\x01e.",
    }


@pytest.mark.parametrize("route", sorted(_attacks("")))
def test_no_opcode_route_executes_anything(route: str, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    root, _ = describe(_attacks(f"touch {marker}")[route])
    assert not marker.exists()
    assert root is not None


def test_the_attacks_are_real(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    pickle.loads(_attacks(f"touch {marker}")["GLOBAL REDUCE"])
    assert marker.exists()


def test_a_module_named_by_a_pickle_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trap_module.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    root, _ = describe(b"ctrap_module\nClass\n)\x81.")
    assert isinstance(root, Stub)
    assert root.of == Global("trap_module", "Class")
    assert "trap_module" not in sys.modules
    assert not (tmp_path / "imported").exists()


def test_an_extension_registered_in_this_process_is_not_used() -> None:
    import copyreg

    copyreg.add_extension("os", "system", 200)
    try:
        root, _ = describe(b"\x82\xc8.")
    finally:
        copyreg.remove_extension("os", "system", 200)
    assert root == Global("copyreg extension", "200")


@pytest.mark.parametrize(
    "bomb",
    [
        b"]" + b"\x85" * 300_000 + b".",
        b"(" * 300_000 + b"l" * 300_000 + b".",
        b"]q\x00" + b"h\x00a" * 100_000 + b".",
        b"r\xff\xff\xff\xff.",
        b"Nr\xff\xff\xff\x7f.",
        b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b".",
        b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"a.",
        b"\x95" + struct.pack("<Q", 2**63) + b"N.",
        b"T\xff\xff\xff\xff.",
        b"\x8b\xff\xff\xff\x7f.",
        b"I" + b"9" * 100_000 + b"\n.",
        b"}" + b"N" * 9 + b"s" * 9 + b".",
    ],
    ids=lambda bomb: repr(bomb[:12]),
)
def test_a_bomb_is_harmless(bomb: bytes) -> None:
    with contextlib.suppress(ReadError):
        describe(bomb)


def test_a_tuple_that_takes_for_ever_to_hash_is_no_dict_key() -> None:
    doubled = b")q\x00" + b"".join(b"h" + bytes([n]) + b"h" + bytes([n]) + b"\x86q" + bytes([n + 1]) for n in range(60))
    root, _ = describe(b"}" + doubled + b"0" * 61 + b"h\x3cNs.")
    assert isinstance(root, dict)
    (key,) = root
    assert isinstance(key, Stub)


def test_copying_one_list_over_and_over_is_refused() -> None:
    many = b"](" + b"N" * 4000 + b"eq\x00"
    with pytest.raises(ReadError, match="too large"):
        describe(many + b"ctorch\nSize\nq\x01" + b"h\x01h\x00\x85R0" * 4000 + b".")


def test_long_bytes_are_not_kept() -> None:
    root, _ = describe(pickle.dumps(b"x" * 100_000, 4))
    assert root == Blob(100_000)


def test_every_cut_of_a_pickle_is_a_read_error() -> None:
    whole = pickle.dumps({"a": [1, 2.5, "text", b"bytes"], "b": Custom(), "c": collections.OrderedDict(x=1)}, 2)
    for length in range(len(whole)):
        with pytest.raises(ReadError):
            describe(whole[:length])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_skeleton_or_a_read_error(data: bytes) -> None:
    with contextlib.suppress(ReadError):
        describe(data)
