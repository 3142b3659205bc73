"""Several runs in one file: the address of one of them is the file's path, a "#" and its name in the file."""

from __future__ import annotations

from lrdoctor.readers.storage import exists

MARK = "#"


def address(path: str, part: str) -> str:
    return f"{path}{MARK}{part}"


def split(path: str) -> tuple[str, str | None]:
    """(file, run in it). A path that exists as it is has no part, whatever characters are in its name."""
    if MARK not in path or exists(path):
        return path, None
    file, _, part = path.partition(MARK)
    while MARK in part and not exists(file):  # the name of a folder above has the mark too
        more, _, part = part.partition(MARK)
        file = address(file, more)
    return file, part
