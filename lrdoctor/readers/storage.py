"""The one door to files: a path on this machine, or a URL that fsspec opens (s3://, gs://, hf://, memory://...).

Readers name files by the path the user sees and open them here. Local files are opened where they are; of
remote ones logs are streamed, and checkpoints read in the ranges asked for. Whatever fails is an `OSError`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from lrdoctor.readers.disk import Disk

if TYPE_CHECKING:
    from lrdoctor.readers.remote import RemoteFile

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Window(Protocol):
    """The bytes of a file, read where they are asked for: from a disk, from memory, or a remote file's ranges."""

    def __len__(self) -> int: ...

    def __getitem__(self, where: slice, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder. `is_file` is False for pipes and devices."""

    name: str
    is_dir: bool
    is_file: bool
    is_link: bool = False


_FOLDER: ContextVar[Path | None] = ContextVar("folder", default=None)


@contextmanager
def below(folder: str) -> Iterator[None]:
    """Relative paths start in this folder instead of the process's own, for this thread alone."""
    token = _FOLDER.set(Path(folder))
    try:
        yield
    finally:
        _FOLDER.reset(token)


def _local(path: str) -> Path:
    """The place of a path on this machine."""
    return Path(_place(path))


def _place(path: str) -> str:
    """The same as text, which is quicker to make."""
    folder = _FOLDER.get()
    return path if folder is None else str(folder / path)


def is_remote(path: str) -> bool:
    """Whether the path is a URL. A drive letter is none."""
    return _URL.match(path) is not None


def joined(folder: str, name: str) -> str:
    """`folder`, as the user wrote it, and a name below it; the current folder is not spelt out."""
    return name if folder in ("", ".") else f"{folder.rstrip('/')}/{name}"


def parent_of(path: str) -> str:
    """The folder a file lies in, as far as the path says."""
    return path.rpartition("/")[0] if is_remote(path) else Path(path).parent.as_posix()


def exists(path: str) -> bool:
    return _remote(path).exists() if is_remote(path) else _local(path).exists()


def is_dir(path: str) -> bool:
    return _remote(path).is_dir() if is_remote(path) else _local(path).is_dir()


def is_file(path: str) -> bool:
    return _remote(path).is_file() if is_remote(path) else _local(path).is_file()


def size_of(path: str) -> int:
    """Bytes in a file."""
    return _remote(path).size() if is_remote(path) else _local(path).stat().st_size


def remote_mark(url: str) -> str | None:
    """What changes when a remote file does, as the store tells it; None where it tells nothing of the kind."""
    return _remote(url).mark()


def identity(path: str) -> object:
    """Equal for two paths that lead to the same file or folder."""
    if is_remote(path):
        return path.rstrip("/")
    status = os.stat(_place(path))
    return status.st_dev, status.st_ino


def entries(folder: str) -> list[Entry]:
    """What lies in a folder, sorted by name."""
    if is_remote(folder):
        return _remote(folder).entries()
    with os.scandir(_place(folder or ".")) as found:
        return sorted(map(_entry, found), key=lambda entry: entry.name)


def _entry(found: os.DirEntry[str]) -> Entry:
    try:
        return Entry(found.name, found.is_dir(), found.is_file(), found.is_symlink())
    except OSError:  # a link in a circle
        return Entry(found.name, False, False, True)


def head_of(path: str, count: int) -> bytes:
    """The first bytes of a file."""
    if is_remote(path):
        return _remote(path).span(0, count)
    with _local(path).open("rb") as stream:
        return stream.read(count)


def open_binary(path: str) -> BinaryIO:
    """The file as a stream of bytes, to be closed by the caller."""
    return _remote(path).stream() if is_remote(path) else _local(path).open("rb")


def content_of(path: str) -> bytes:
    """All bytes of a file that is known to be small."""
    with open_binary(path) as stream:
        return stream.read()


@contextmanager
def window(path: str) -> Iterator[Window]:
    """The file for reading here and there."""
    if is_remote(path):
        yield _remote(path).window()
        return
    local = _local(path)
    if not local.is_file() and local.exists():  # a pipe would keep its reader waiting
        raise OSError("it is no regular file")
    with local.open("rb") as stream:
        yield Disk(stream)


@contextmanager
def local_copy(path: str) -> Iterator[Path]:
    """The file itself, or a copy of a remote one that lasts as long as the context."""
    if not is_remote(path):
        yield _local(path)
        return
    with _remote(path).copy() as file:
        yield file


def _remote(path: str) -> RemoteFile:
    from lrdoctor.readers.remote import RemoteFile

    return RemoteFile(path)
