"""A folder written by torch.distributed.checkpoint -> the tree of what was saved.

`.metadata` is a pickle that names every tensor and object, its place in the tree and the bytes of the `*.distcp` shard
that hold it (torch/distributed/checkpoint/metadata.py, filesystem.py). Of the shards only objects and tensors with one
element are read, each of them a small file of torch.save's; of all other tensors the size is known already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Note
from lrdoctor.readers.checkpoint_contents import is_aside
from lrdoctor.readers.checkpoint_names import METADATA
from lrdoctor.readers.plain import mapping
from lrdoctor.readers.remote import RemoteWindow
from lrdoctor.readers.skeleton import Stub, Tensor
from lrdoctor.readers.storage import Window, joined, window
from lrdoctor.readers.torch_file import in_memory
from lrdoctor.readers.torch_pickle import pickled_at

_PLAIN_NAME = re.compile(r"[\w.-]{1,255}")
_MAX_BLOB = 1 << 20  # bytes of one saved object; longer ones are data, not settings
_MAX_BLOBS = 100_000
_MAX_ITEMS = 1_000_000
_STATE, _GROUPS = "state.", "param_groups."
_Described = Mapping[object, object]


@dataclass(slots=True)
class Saved:
    """`root` is the tree, its tensors with one element as numbers."""

    root: dict[object, object] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Blob:
    """Where an object lies; `name` is the one it is filed under."""

    name: str
    shard: str
    start: int
    stop: int


def read_dcp(folder: str) -> Saved:
    """Everything but large tensors. `ReadError` where the metadata cannot be read."""
    held = mapping(_metadata(folder)) or {}
    described = held.get("state_dict_metadata")
    if not isinstance(described, dict) or len(described) > _MAX_ITEMS:
        why = "its .metadata describes no state"
        raise ReadError("The distributed checkpoint cannot be read.", where=folder, why=why)
    places = held.get("planner_data") if isinstance(held.get("planner_data"), dict) else {}
    assert isinstance(places, dict)
    saved = Saved()
    values = dict(_small(folder, held.get("storage_data"), described, saved))
    for name, what in described.items():
        if isinstance(name, str):
            path = places.get(name)
            value = values[name] if name in values else _large(what)
            _file_under(saved.root, path if isinstance(path, tuple) and path else tuple(name.split(".")), value)
    saved.root = {name: _as_saved(value) for name, value in saved.root.items()}
    return saved


def _metadata(folder: str) -> object:
    path = joined(folder, METADATA)
    try:
        with window(path) as data:
            root, _ = pickled_at(data, 0, path)
    except OSError as error:
        why = f"{METADATA}: {error.strerror or error}"
        raise ReadError("The distributed checkpoint cannot be read.", where=folder, why=why) from error
    return root


def _large(what: object) -> object:
    """A tensor that is described and not read, an object that is not wanted."""
    size = (mapping(what) or {}).get("size")
    return Tensor(None, 0, tuple(one for one in size if isinstance(one, int)), ()) if isinstance(size, tuple) else None


def _small(folder: str, stored: object, described: _Described, saved: Saved) -> Iterator[tuple[str, object]]:
    """(name, value) of what is worth reading."""
    by_shard: dict[str, list[_Blob]] = {}
    for blob in _blobs(stored, described, saved, folder):
        by_shard.setdefault(blob.shard, []).append(blob)
    for shard, blobs in by_shard.items():
        path = joined(folder, shard)
        try:
            with window(path) as data:
                if isinstance(data, RemoteWindow):
                    data.fetch([(blob.start, blob.stop) for blob in blobs])
                yield from _values(path, data, blobs, saved)
        except OSError as error:
            saved.notes.append(Note(path, f"{shard} cannot be opened: {error.strerror or error}"))


def _values(path: str, data: Window, blobs: list[_Blob], saved: Saved) -> Iterator[tuple[str, object]]:
    broken: list[str] = []
    for blob in blobs:
        try:
            file = in_memory(path, data[blob.start : blob.stop])
        except ReadError:
            broken.append(blob.name)
            continue
        root = file.root
        yield blob.name, file.number(root) if isinstance(root, Tensor) else root
    if broken:
        count = f"{len(broken)} object{'s' * (len(broken) != 1)} of {path.rsplit('/', 1)[-1]} cannot be read"
        saved.notes.append(Note(path, f"{count}, the first is {broken[0]}"))


def _blobs(stored: object, described: _Described, saved: Saved, folder: str) -> Iterator[_Blob]:
    """Of objects and of tensors with one element; the first chunk of each."""
    seen: set[str] = set()
    for index, place in stored.items() if isinstance(stored, dict) else ():
        name = (mapping(index) or {}).get("fqn")
        if not isinstance(name, str) or name in seen or not _is_wanted(name, described.get(name)):
            continue
        seen.add(name)
        where = mapping(place) or {}
        shard, start, length = where.get("relative_path"), where.get("offset"), where.get("length")
        if not isinstance(shard, str) or not isinstance(start, int) or not isinstance(length, int):
            continue
        if where.get("transform_descriptors"):
            saved.notes.append(Note(joined(folder, shard), f"{name} is packed ({shard}) and was not read"))
        elif _PLAIN_NAME.fullmatch(shard) and start >= 0 and 0 < length <= _MAX_BLOB and len(seen) <= _MAX_BLOBS:
            yield _Blob(name, shard, start, start + length)


def _is_wanted(name: str, what: object) -> bool:
    if any(is_aside(part) for part in name.split(".")[:-1]):
        return False
    size = (mapping(what) or {}).get("size")
    if isinstance(size, tuple):
        return all(one == 1 for one in size)
    return isinstance(what, Stub) and what.class_name == "BytesStorageMetadata"


def _file_under(root: dict[object, object], path: tuple[object, ...], value: object) -> None:
    for name in path[:-1]:
        below = root.setdefault(name, {}) if isinstance(name, str | int) else None
        if not isinstance(below, dict):
            return
        root = below
    if isinstance(path[-1], str | int):
        root[path[-1]] = value


def _as_saved(value: object) -> object:
    """Dicts with the keys 0, 1, 2 ... are the lists they were; an optimizer that was flattened gets its two levels."""
    if not isinstance(value, dict):
        return value
    if any(isinstance(name, str) and name.startswith((_STATE, _GROUPS)) for name in value):
        return _unflattened(value)
    inner = {name: _as_saved(item) for name, item in value.items()}
    if inner and all(isinstance(name, int) for name in inner) and set(inner) == set(range(len(inner))):
        return [inner[place] for place in range(len(inner))]
    return inner


def _unflattened(flat: Mapping[object, object]) -> dict[object, object]:
    """`state.PARAMETER.step` and `param_groups.PARAMETER.lr`: parameters with equal settings were one group."""
    parts: dict[str, dict[object, dict[object, object]]] = {_STATE: {}, _GROUPS: {}}
    for name, value in flat.items():
        for mark, found in parts.items():
            if isinstance(name, str) and name.startswith(mark):
                parameter, _, key = name[len(mark) :].rpartition(".")
                found.setdefault(parameter, {})[key] = value
    groups: dict[str, dict[object, object]] = {}
    for member, settings in parts[_GROUPS].items():
        group = groups.setdefault(repr(sorted(settings.items(), key=repr)), {**settings, "params": []})
        members = group["params"]
        if isinstance(members, list):
            members.append(member)
    return {"state": parts[_STATE], "param_groups": list(groups.values())}
