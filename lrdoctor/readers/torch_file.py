"""A file written by `torch.save`, old or new layout: its skeleton, and single numbers of its tensors.

Of the bytes only the pickle, the directory and the numbers asked for are read, on a disk as behind a URL.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Note
from lrdoctor.readers.checkpoint_zip import Archive, DirectoryError, first_member
from lrdoctor.readers.pickle_later import Column
from lrdoctor.readers.pickle_machine import describe
from lrdoctor.readers.remote import RemoteWindow
from lrdoctor.readers.skeleton import Storage, Stub, Tensor
from lrdoctor.readers.storage import Window, window
from lrdoctor.readers.torch_pickle import code_of, pickled_at, width_of
from lrdoctor.readers.torch_tar import read_tar
from lrdoctor.readers.zip_directory import Member

ZIP_MAGIC = b"PK\x03\x04"
# The first pickle of the layout torch used up to 1.5: protocol 2, the number 0x1950a86a20f9469cfc6c.
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
TAR_MAGIC_AT = 257
_DTYPES = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "bf16",
    "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1", "uint8": "u1", "bool": "b1",
}  # fmt: skip
_LENGTH_BYTES = 8  # of the number in front of each storage of the old layout
_WIDEST = 16  # bytes of the widest element


@dataclass(slots=True)
class TorchFile:
    """A checkpoint file, valid while it is open. `kind` is "torch", "torch-legacy", "torch-tar" or "torchscript"."""

    path: str
    kind: str
    root: object
    data: Window
    order: str = "<"
    notes: tuple[Note, ...] = ()
    places: dict[str, int] = field(default_factory=dict)
    archive: Archive | None = None
    prefix: str = ""

    def number(self, tensor: Tensor) -> float | int | bool | None:
        """The value of a tensor with one element; None where it is not one, or its bytes are not there."""
        if tensor.storage is None or any(size != 1 for size in tensor.size):
            return None
        code = _DTYPES.get(tensor.dtype or "") or code_of(tensor.storage.type)
        if code is None or tensor.offset < 0:
            return None
        width = 2 if code == "bf16" else int(code[1])
        piece = self._stored(tensor.storage.key, tensor.offset * width, width)
        return _decoded(piece, code, self.order) if len(piece) == width else None

    def numbers(self, column: Column) -> set[float | int | bool | None]:
        """The values of tensors with one element; None for others, or where their bytes are not there."""
        if self.archive is None or isinstance(self.data, RemoteWindow):
            return {*map(self.number, column.tensors())}
        values: set[float | int | bool | None] = set()
        read = np.zeros(len(column.places), dtype=bool)
        for kind, places, keys in column.scalars():
            code = code_of(kind)
            if code is None or code == "bf16":
                continue
            which, pieces = self.archive.numbered(f"{self.prefix}data/", keys, int(code[1]))
            values |= {_decoded(piece, code, self.order) for piece in pieces}
            read[places[which]] = True
        return values | {*map(self.number, column.tensors_but(read))}

    def expect(self, tensors: Iterable[Tensor]) -> None:
        """Numbers of a remote file that will be asked for: they come in few requests, and not one by one."""
        if isinstance(self.data, RemoteWindow):
            self.data.fetch([place for tensor in tensors if (place := self._place_of(tensor)) is not None])

    def _place_of(self, tensor: Tensor) -> tuple[int, int] | None:
        """From where to where the bytes of a one-element storage lie, a zip's header in front of them included."""
        storage = tensor.storage
        if storage is None or storage.count != 1:
            return None
        if self.archive is None:
            start = self.places.get(storage.key)
            return None if start is None else (start, start + _WIDEST)
        member = self.archive.member(f"{self.prefix}data/{storage.key}")
        return None if member is None else self.archive.span_of(member)

    def _stored(self, key: str, start: int, count: int) -> bytes:
        """Bytes of a storage; none where it is not in the file as it is in memory."""
        if self.archive is None:
            place = self.places.get(key)
            return b"" if place is None else self.data[place + start : place + start + count]
        member = self.archive.member(f"{self.prefix}data/{key}")
        return b"" if member is None or member.method != 0 else self.archive.beginning(member, start, count)


def _decoded(piece: bytes, code: str, order: str) -> float | int | bool:
    if code == "bf16":
        piece, code = piece + b"\0\0" if order == ">" else b"\0\0" + piece, "f4"
    value: float | int | bool = struct.unpack(order + _FORMATS[code], piece)[0]
    return value


_FORMATS = {
    "f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b", "u1": "B", "b1": "?",
}  # fmt: skip


@contextmanager
def opened(path: str) -> Iterator[TorchFile]:
    """Open a checkpoint file for reading. `ReadError` where it is none or beyond repair."""
    try:
        with window(path) as data:
            if not len(data):
                raise ReadError("The checkpoint is empty.", where=path, why="the file has 0 bytes")
            yield _layout(path, data)
    except OSError as error:
        raise ReadError("The checkpoint cannot be opened.", where=path, why=error.strerror or str(error)) from error


def in_memory(path: str, content: bytes) -> TorchFile:
    """A file of torch.save's that lies inside another one. `ReadError` where it is none."""
    return _layout(path, content)


def _layout(path: str, data: Window) -> TorchFile:
    head = data[:512]
    if head.startswith(ZIP_MAGIC):
        return _from_zip(path, data)
    if head.startswith(LEGACY_MAGIC):
        return _from_legacy(path, data)
    if head[TAR_MAGIC_AT : TAR_MAGIC_AT + 5] == b"ustar":
        tar = read_tar(data, path)
        return TorchFile(path, "torch-tar", tar.root, data, places=tar.places)
    if head.startswith(b"\x80"):
        commands: set[str] = set()
        root, _ = pickled_at(data, 0, path, commands)
        return TorchFile(path, "pickle", root, data, notes=_dangerous(path, commands))
    raise ReadError("The file is no checkpoint.", where=path, why="it does not start like a file torch.save writes")


def _from_zip(path: str, data: Window) -> TorchFile:
    try:
        archive = Archive(data, path)
    except DirectoryError:
        return _from_start(path, data)
    member = _pickle_of(archive)
    prefix = member.name.removesuffix("data.pkl")
    commands: set[str] = set()
    root, _ = describe(archive.read(member), where=path, commands=commands)
    order = archive.member(f"{prefix}byteorder")
    big = order is not None and archive.read(order, limit=64).strip() == b"big"
    kind = "torchscript" if archive.member(f"{prefix}constants.pkl") else "torch"
    notes = (*_incomplete(path, archive), *_dangerous(path, commands))
    return TorchFile(path, kind, root, data, ">" if big else "<", notes, archive=archive, prefix=prefix)


def _dangerous(path: str, commands: set[str]) -> tuple[Note, ...]:
    """A warning for whoever would load the file by other means."""
    if not commands:
        return ()
    names = ", ".join(sorted(commands))
    return (Note(path, f"dangerous: it names {names}, which loading it with pickle would run; nothing was run here"),)


def _pickle_of(archive: Archive) -> Member:
    found = [member for member in archive.ending(b"data.pkl") if member.name.split("/")[-1] == "data.pkl"]
    if not found:
        raise ReadError("The file is no checkpoint.", where=archive.where, why="the archive has no data.pkl")
    return min(found, key=lambda member: (member.name.count("/"), member.name))


def _incomplete(path: str, archive: Archive) -> tuple[Note, ...]:
    """A note where a member's data would lie past the end of the file."""
    beyond = archive.reaches() > len(archive.data)
    return (Note(path, "damaged: parts lie past the end of the file"),) if beyond else ()


def _from_start(path: str, data: Window) -> TorchFile:
    """A file that was cut off: its directory is gone, but the description of its contents comes first."""
    first = first_member(data)
    if first is None or not first[0].endswith("data.pkl"):
        why = "the file is incomplete: the archive's directory is missing"
        raise ReadError("The checkpoint cannot be read.", where=path, why=why)
    root, _ = pickled_at(data, first[1], path)
    note = Note(path, f"truncated: the archive's directory is missing after {len(data):,} bytes; torch cannot load it")
    return TorchFile(path, "torch", root, data, notes=(note,))


def _from_legacy(path: str, data: Window) -> TorchFile:
    """Magic number, protocol, system, object, storage keys: five pickles, then count and bytes of each storage."""
    position = len(LEGACY_MAGIC)
    _, position = pickled_at(data, position, path)
    system, position = pickled_at(data, position, path)
    commands: set[str] = set()
    root, position = pickled_at(data, position, path, commands)
    little = system.get("little_endian", True) if isinstance(system, dict) else True
    file = TorchFile(path, "torch-legacy", root, data, "<" if little else ">", _dangerous(path, commands))
    try:
        keys, position = pickled_at(data, position, path)
    except ReadError:
        keys, position = None, len(data) + 1
    file.places, end = _storages(position, keys, _sizes(root))
    if end > len(data):
        message = f"truncated after {len(data):,} bytes: the tensors are incomplete; torch cannot load it"
        file.notes = (*file.notes, Note(path, message))
    return file


def _storages(position: int, keys: object, sizes: dict[str, int]) -> tuple[dict[str, int], int]:
    """Where the bytes of each storage start, behind its eight bytes of length, and where the last one ends."""
    places: dict[str, int] = {}
    for key in keys if isinstance(keys, list) else []:
        if not isinstance(key, str) or key not in sizes:
            break  # from here on the lengths are unknown
        places[key] = position + _LENGTH_BYTES
        position += _LENGTH_BYTES + sizes[key]
    return places, position


def _sizes(root: object) -> dict[str, int]:
    """Bytes of every storage the object mentions; without those of an unknown type."""
    sizes: dict[str, int] = {}
    seen: set[int] = set()
    rest: list[object] = [root]
    while rest:
        value = rest.pop()
        if isinstance(value, Tensor):
            value = value.storage
        if isinstance(value, Storage):
            if width := width_of(value.type):
                sizes[value.key] = max(value.count, 0) * width
        elif isinstance(value, dict | list | tuple | Stub) and id(value) not in seen:
            seen.add(id(value))
            rest.extend(_inside(value))
    return sizes


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, Stub):
        return [*value.args, value.state, *value.items, *value.pairs.values()]
    return list(value) if isinstance(value, list | tuple) else []
