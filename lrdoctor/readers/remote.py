"""A file or folder behind a URL, through fsspec. Every failure but a missing package is an `OSError`."""

from __future__ import annotations

import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast, overload

from lrdoctor.errors import MissingExtraError
from lrdoctor.readers.storage import Entry

_INSTALL = "pip install 'lrdoctor[remote]'"
_SMALLEST_REQUEST = 4096  # bytes: neighbours of what is asked for are asked for next, and a request costs more
_COPIED_AT_ONCE = 1 << 20
_COPY_NAME = "copy"
_CHANGES = frozenset(  # what stores call a checksum, a version or a time of writing
    ("ETag", "etag", "md5Hash", "content_md5", "crc32c", "generation", "LastModified", "last_modified", "last_commit",
     "blob_id", "mtime", "created", "updated")
)  # fmt: skip


def _file_system(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        why = "fsspec, which opens URLs, is not installed"
        raise MissingExtraError("Remote paths cannot be opened.", where=url, why=why, hint=_INSTALL) from error
    try:
        system, path = url_to_fs(url)
    except ImportError as error:  # fsspec names the package for this protocol
        hint = f"{_INSTALL}, which brings s3fs, gcsfs and huggingface_hub; other stores need their own package"
        raise MissingExtraError("This kind of URL cannot be opened.", where=url, why=str(error), hint=hint) from error
    except Exception as error:
        raise _as_os_error(error) from error
    return system, path


def _as_os_error(error: Exception) -> OSError:
    """Stores raise errors of their own; to a reader all of them mean that a file cannot be opened."""
    if isinstance(error, OSError):
        return error
    return OSError(f"{type(error).__name__}: {error}".strip(": "))


class RemoteFile:
    """One URL. Nothing is cached here; fsspec keeps one file system for each store."""

    def __init__(self, url: str) -> None:
        self._system, self._path = _file_system(url)

    def exists(self) -> bool:
        return bool(self._ask("exists"))

    def is_dir(self) -> bool:
        return bool(self._ask("isdir"))

    def is_file(self) -> bool:
        return bool(self._ask("isfile"))

    def size(self) -> int:
        found = self._ask("size")
        if found is None:
            raise OSError("its size is not known to the store")
        return int(found)

    def mark(self) -> str | None:
        """What the store says of the file's content; None where that would stay the same if it changed."""
        told = self._ask("info")
        return str(sorted(map(str, told.items()))) if _CHANGES & set(told) else None

    def entries(self) -> list[Entry]:
        found = self._ask("ls", detail=True)
        own = self._path.strip("/")
        below = [item for item in found if item["name"].strip("/") != own]  # a folder's marker in an object store
        named = ((item["name"].rstrip("/").rsplit("/", 1)[-1], item["type"]) for item in below)
        return sorted((Entry(name, kind == "directory", kind == "file") for name, kind in named), key=_name)

    def span(self, start: int, stop: int) -> bytes:
        return bytes(self._ask("cat_file", start=start, end=stop))

    def stream(self) -> BinaryIO:
        return cast(BinaryIO, self._ask("open", "rb"))

    def window(self) -> RemoteWindow:
        return RemoteWindow(self, self.size())

    def spans(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Many ranges, in as few round trips as the store allows."""
        starts, stops = [start for start, _ in ranges], [stop for _, stop in ranges]
        try:
            return [bytes(piece) for piece in self._system.cat_ranges([self._path] * len(ranges), starts, stops)]
        except Exception as error:
            raise _as_os_error(error) from error

    @contextmanager
    def copy(self) -> Iterator[Path]:
        """A local copy, deleted afterwards."""
        with tempfile.TemporaryDirectory(prefix="lrdoctor-") as folder:
            copy = Path(folder) / _COPY_NAME
            with self.stream() as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, _COPIED_AT_ONCE)
            yield copy

    def _ask(self, method: str, *args: object, **kwargs: object) -> Any:
        try:
            return getattr(self._system, method)(self._path, *args, **kwargs)
        except Exception as error:
            raise _as_os_error(error) from error


def _name(entry: Entry) -> str:
    return entry.name


class RemoteWindow:
    """The bytes of a remote file in ranges, each fetched when it is first asked for and then kept."""

    def __init__(self, file: RemoteFile, size: int) -> None:
        self._file = file
        self._size = size
        self._starts: list[int] = []
        self._pieces: list[bytes] = []

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, where: int) -> int: ...

    @overload
    def __getitem__(self, where: slice) -> bytes: ...

    def __getitem__(self, where: int | slice) -> int | bytes:
        if isinstance(where, int):
            if not -self._size <= where < self._size:
                raise IndexError("outside the file")
            return self._span(where % self._size, where % self._size + 1)[0]
        start, stop, _ = where.indices(self._size)
        return self._span(start, stop) if start < stop else b""

    def fetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Get these ranges now, together, because they will be asked for one by one."""
        missing = [(start, min(stop, self._size)) for start, stop in ranges if self._kept(start, stop) is None]
        wanted = [(start, stop) for start, stop in dict.fromkeys(missing) if start < stop]
        if wanted:
            for (start, _), piece in zip(wanted, self._file.spans(wanted), strict=True):
                self._keep(start, piece)

    def _span(self, start: int, stop: int) -> bytes:
        kept = self._kept(start, stop)
        if kept is None:
            kept = self._file.span(start, min(max(stop, start + _SMALLEST_REQUEST), self._size))
            self._keep(start, kept)
            kept = kept[: stop - start]
        return kept

    def _kept(self, start: int, stop: int) -> bytes | None:
        place = bisect_right(self._starts, start) - 1
        if place < 0:
            return None
        offset, piece = start - self._starts[place], self._pieces[place]
        return piece[offset : offset + stop - start] if offset + stop - start <= len(piece) else None

    def _keep(self, start: int, piece: bytes) -> None:
        place = bisect_right(self._starts, start)
        self._starts.insert(place, start)
        self._pieces.insert(place, piece)
