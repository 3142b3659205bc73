"""Writing files so that nothing half-written stays: to a temporary file beside the target, then rename."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from lrdoctor.errors import UsageError


def write_text(target: Path, text: str) -> os.stat_result:
    """Write `text` (UTF-8) to `target` in one step; UsageError where the place cannot be written.

    The result is the new file's status before it was put in its place.
    """
    return write_pieces(target, (text,))


def write_pieces(target: Path, pieces: Iterable[str]) -> os.stat_result:
    """The same for a text that comes in pieces."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(pieces)

    return replacing(target, write)


def replacing(target: Path, write: Callable[[Path], None]) -> os.stat_result:
    """Let `write` write a file beside `target`, then put it in its place; UsageError where that cannot be.

    The result is the new file's status before it was put in its place.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise _cannot_write(target, error) from error
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        status = temporary.stat()
        temporary.replace(target)
        return status
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _cannot_write(target: Path, error: OSError) -> UsageError:
    why = error.strerror or str(error)
    return UsageError("The file could not be written.", where=str(target), why=why, hint="choose another place")
