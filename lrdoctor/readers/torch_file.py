"""A file written by `torch.save`, old or new layout: its skeleton, and single numbers of its tensors."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.model.run import Note
from lrdoctor.readers.checkpoint_zip import Archive, DirectoryError, Member, first_member
from lrdoctor.readers.disk import Disk
from lrdoctor.readers.pickle_machine import CutError, describe
from lrdoctor.readers.skeleton import Storage, Stub, Tensor

ZIP_MAGIC = b"PK\x03\x04"
# The first pickle of the layout torch used up to 1.5: protocol 2, the number 0x1950a86a20f9469cfc6c.
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
TAR_MAGIC_AT = 257
_WIDTHS = {
    "Double": "f8", "Float": "f4", "Half": "f2", "BFloat16": "bf16",
    "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1", "Bool": "b1",
}  # fmt: skip
_DTYPES = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "bf16",
    "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1", "uint8": "u1", "bool": "b1",
}  # fmt: skip
_OTHER_SIZES = {"ComplexFloat": 8, "ComplexDouble": 16, "QInt8": 1, "QUInt8": 1, "QInt32": 4, "Untyped": 1}


@dataclass(slots=True)
class TorchFile:
    """An open checkpoint file. `kind` is "torch", "torch-legacy" or "torchscript"; valid while it is open."""

    path: str
    kind: str
    root: object
    data: Disk
    order: str = "<"
    notes: tuple[Note, ...] = ()
    places: dict[str, int] = field(default_factory=dict)
    archive: Archive | None = None
    prefix: str = ""

    def number(self, tensor: Tensor) -> float | int | bool | None:
        """The value of a tensor with one element; None where it is not one, or its bytes are not there."""
        if tensor.storage is None or any(size != 1 for size in tensor.size):
            return None
        code = _DTYPES.get(tensor.dtype or "") or _WIDTHS.get(_bare(tensor.storage.type))
        if code is None or tensor.offset < 0:
            return None
        width = 2 if code == "bf16" else int(code[1])
        piece = self._stored(tensor.storage.key, tensor.offset * width, width)
        return _decoded(piece, code, self.order) if len(piece) == width else None

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


def _bare(storage_type: str) -> str:
    return storage_type.removesuffix("Storage")


@contextmanager
def opened(path: str) -> Iterator[TorchFile]:
    """Open a checkpoint file for reading. `ReadError` where it is none or beyond repair."""
    try:
        if not Path(path).is_file() and Path(path).exists():  # a pipe would keep its reader waiting
            raise ReadError("The checkpoint cannot be opened.", where=path, why="it is no regular file")
        with Path(path).open("rb") as stream:
            data = Disk(stream)
            if not len(data):
                raise ReadError("The checkpoint is empty.", where=path, why="the file has 0 bytes")
            yield _layout(path, data)
    except OSError as error:
        raise ReadError("The checkpoint cannot be opened.", where=path, why=error.strerror or str(error)) from error


def _layout(path: str, data: Disk) -> TorchFile:
    head = data[:512]
    if head.startswith(ZIP_MAGIC):
        return _from_zip(path, data)
    if head.startswith(LEGACY_MAGIC):
        return _from_legacy(path, data)
    if head[TAR_MAGIC_AT : TAR_MAGIC_AT + 5] == b"ustar":
        raise ReadError(
            "The checkpoint is in torch's oldest layout (tar), which is not read.",
            where=path,
            why="torch wrote it before version 0.1.10",
            hint="load it with torch and save it again",
        )
    if head.startswith(b"\x80"):
        root, _ = _described(data, 0, path)
        return TorchFile(path, "pickle", root, data)
    raise ReadError("The file is no checkpoint.", where=path, why="it does not start like a file torch.save writes")


def _from_zip(path: str, data: Disk) -> TorchFile:
    try:
        archive = Archive(data, path)
    except DirectoryError:
        return _from_start(path, data)
    member = _pickle_of(archive)
    prefix = member.name.removesuffix("data.pkl")
    root, _ = describe(archive.read(member), where=path)
    order = archive.member(f"{prefix}byteorder")
    big = order is not None and archive.read(order, limit=64).strip() == b"big"
    kind = "torchscript" if archive.member(f"{prefix}constants.pkl") else "torch"
    notes = _incomplete(path, archive)
    return TorchFile(path, kind, root, data, ">" if big else "<", notes, archive=archive, prefix=prefix)


def _pickle_of(archive: Archive) -> Member:
    found = [member for member in archive.ending(b"data.pkl") if member.name.split("/")[-1] == "data.pkl"]
    if not found:
        raise ReadError("The file is no checkpoint.", where=archive.where, why="the archive has no data.pkl")
    return min(found, key=lambda member: (member.name.count("/"), member.name))


def _incomplete(path: str, archive: Archive) -> tuple[Note, ...]:
    """A note where a member's data would lie past the end of the file."""
    beyond = archive.reaches() > len(archive.data)
    return (Note(path, "damaged: parts lie past the end of the file"),) if beyond else ()


def _from_start(path: str, data: Disk) -> TorchFile:
    """A file that was cut off: its directory is gone, but the description of its contents comes first."""
    first = first_member(data)
    if first is None or not first[0].endswith("data.pkl"):
        why = "the file is incomplete: the archive's directory is missing"
        raise ReadError("The checkpoint cannot be read.", where=path, why=why)
    root, _ = _described(data, first[1], path)
    note = Note(path, f"truncated: the archive's directory is missing after {len(data):,} bytes; torch cannot load it")
    return TorchFile(path, "torch", root, data, notes=(note,))


def _from_legacy(path: str, data: Disk) -> TorchFile:
    """Magic number, protocol, system, object, storage keys: five pickles, then count and bytes of each storage."""
    position = len(LEGACY_MAGIC)
    _, position = _described(data, position, path)
    system, position = _described(data, position, path)
    root, position = _described(data, position, path)
    little = system.get("little_endian", True) if isinstance(system, dict) else True
    file = TorchFile(path, "torch-legacy", root, data, "<" if little else ">")
    try:
        keys, position = _described(data, position, path)
        file.places = _storages(data, position, keys, _widths(root), file.order)
    except (ReadError, struct.error):
        message = f"truncated after {len(data):,} bytes: the tensors are incomplete; torch cannot load it"
        file.notes = (Note(path, message),)
    return file


_FIRST_PIECE = 1 << 20  # bytes


def _described(data: Disk, start: int, path: str) -> tuple[object, int]:
    """The object pickled at byte `start` of the file, and the byte behind it. Its length is not known beforehand."""
    size = _FIRST_PIECE
    while True:
        piece = data[start : start + size]
        try:
            root, end = describe(piece, where=path)
        except CutError as error:
            if len(piece) < size:
                raise
            if size >= limits().pickle_bytes:
                raise ReadError("The pickle is too large.", where=path, why=raised_by("pickle_bytes")) from error
            size = min(8 * size, limits().pickle_bytes)
        else:
            return root, start + end


def _storages(data: Disk, position: int, keys: object, widths: dict[str, int], order: str) -> dict[str, int]:
    places: dict[str, int] = {}
    for key in keys if isinstance(keys, list) else []:
        (count,) = struct.unpack(f"{order}q", data[position : position + 8])
        position += 8
        if not isinstance(key, str) or key not in widths or count < 0:
            return places  # from here on the lengths are unknown
        places[key] = position
        position += count * widths[key]
    if position > len(data):
        raise struct.error("the last storage is cut off")
    return places


def _widths(root: object) -> dict[str, int]:
    """Bytes per element of every storage the object mentions."""
    widths: dict[str, int] = {}
    seen: set[int] = set()
    rest: list[object] = [root]
    while rest:
        value = rest.pop()
        if isinstance(value, Tensor):
            value = value.storage
        if isinstance(value, Storage):
            widths[value.key] = _width(_bare(value.type))
        elif isinstance(value, dict | list | tuple | Stub) and id(value) not in seen:
            seen.add(id(value))
            rest.extend(_inside(value))
    return {key: width for key, width in widths.items() if width}


def _width(name: str) -> int:
    code = _WIDTHS.get(name)
    if code is None:
        return _OTHER_SIZES.get(name, 0)
    return 2 if code == "bf16" else int(code[1])


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, Stub):
        return [*value.args, value.state, *value.items, *value.pairs.values()]
    return list(value) if isinstance(value, list | tuple) else []
