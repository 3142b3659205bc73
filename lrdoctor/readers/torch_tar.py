"""torch's oldest layout, a tar of "storages", "tensors" and "pickle", written before version 0.1.10.

After `legacy_load` in torch/serialization.py: the pickle names tensors by number; their sizes lie in "tensors", their
bytes in "storages".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from lrdoctor.errors import ReadError
from lrdoctor.readers.skeleton import Global, Storage, Stub, Tensor
from lrdoctor.readers.storage import Window
from lrdoctor.readers.torch_pickle import pickled_at, width_of

_BLOCK = 512
_MAX_MEMBERS = 10_000
_MAX_TENSORS = 1_000_000
_MAX_DIMENSIONS = 64
_NEEDED = ("storages", "tensors", "pickle")


@dataclass(slots=True)
class Tar:
    """`root` with the tensors in their places, and where the bytes of each storage start."""

    root: object
    places: dict[str, int] = field(default_factory=dict)


def read_tar(data: Window, where: str) -> Tar:
    """`ReadError` where a member is missing or cut off."""
    starts = _members(data)
    missing = [name for name in _NEEDED if name not in starts]
    if missing:
        raise ReadError("The checkpoint cannot be read.", where=where, why=f"the tar has no member {missing[0]!r}")
    try:
        storages, places = _storages(data, starts["storages"], where)
        tensors = _tensors(data, starts["tensors"], storages, where)
        root, _ = pickled_at(data, starts["pickle"], where)
    except struct.error as error:
        raise ReadError("The checkpoint cannot be read.", where=where, why="it is cut off") from error
    return Tar(_placed(root, tensors), places)


def _members(data: Window) -> dict[str, int]:
    """Where the contents of each member start."""
    starts: dict[str, int] = {}
    at = 0
    while at + _BLOCK <= len(data) and len(starts) < _MAX_MEMBERS:
        header = data[at : at + _BLOCK]
        name = header[:100].rstrip(b"\0").decode("utf-8", "replace").removeprefix("./")
        try:
            size = int(header[124:136].strip(b"\0 ") or b"0", 8)
        except ValueError:
            break
        if not name or size < 0:
            break
        starts.setdefault(name, at + _BLOCK)
        at += _BLOCK + (size + _BLOCK - 1) // _BLOCK * _BLOCK
    return starts


def _storages(data: Window, at: int, where: str) -> tuple[dict[object, Storage], dict[str, int]]:
    """By key; each is a pickle (key, device, type), eight bytes of length, and that many elements."""
    storages: dict[object, Storage] = {}
    places: dict[str, int] = {}
    count, at = pickled_at(data, at, where)
    for _ in range(_bounded(count)):
        described, at = pickled_at(data, at, where)
        key, _, kind = described if isinstance(described, tuple) and len(described) == 3 else (None, None, None)
        (length,) = struct.unpack("<q", data[at : at + 8])
        if not isinstance(key, str | int) or not isinstance(kind, Global) or length < 0:
            raise ReadError("The checkpoint cannot be read.", where=where, why="a storage is malformed")
        storages[key] = Storage(kind.name, str(key), length)
        places[str(key)] = at + 8
        at += 8 + length * width_of(kind.name)
    return storages, places


def _tensors(data: Window, at: int, storages: dict[object, Storage], where: str) -> dict[str, Tensor]:
    """By key; each is a pickle (key, storage, type), the number of dimensions, sizes, strides and the offset."""
    tensors: dict[str, Tensor] = {}
    count, at = pickled_at(data, at, where)
    for _ in range(_bounded(count)):
        described, at = pickled_at(data, at, where)
        key, storage, _ = described if isinstance(described, tuple) and len(described) == 3 else (None, None, None)
        (dimensions,) = struct.unpack("<i4x", data[at : at + 8])
        if not 0 <= dimensions <= _MAX_DIMENSIONS or not isinstance(storage, str | int):
            raise ReadError("The checkpoint cannot be read.", where=where, why="a tensor is malformed")
        layout = struct.Struct(f"<{dimensions}q{dimensions}qq")
        numbers = layout.unpack(data[at + 8 : at + 8 + layout.size])
        size, stride = numbers[:dimensions], numbers[dimensions:-1]
        tensors[str(key)] = Tensor(storages.get(storage), numbers[-1], size, stride)
        at += 8 + layout.size
    return tensors


def _bounded(count: object) -> int:
    return count if isinstance(count, int) and 0 <= count <= _MAX_TENSORS else 0


def _placed(root: object, tensors: dict[str, Tensor]) -> object:
    """`root` with each number of a tensor replaced by the tensor, in dicts, lists and what objects hold by name."""
    seen: set[int] = set()
    rest: list[object] = [root]
    while rest:
        value = rest.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Stub):
            rest += [value.state, value.pairs, value.args]
        elif isinstance(value, dict):
            value.update({name: _tensor(item, tensors) for name, item in value.items()})
            rest += value.values()
        elif isinstance(value, list):
            value[:] = [_tensor(item, tensors) for item in value]
            rest += value
        elif isinstance(value, tuple):
            rest += value
    return _tensor(root, tensors)


def _tensor(value: object, tensors: dict[str, Tensor]) -> object:
    if isinstance(value, Stub) and value.of == Global("", "persistent") and value.args:
        return tensors.get(str(value.args[0]), value)
    return value
