"""From paths to runs as they were written: nothing is interpreted, nothing a user's file names is executed."""

from __future__ import annotations

from lrdoctor.model.run import Run

__all__ = ["read"]


def read(path: str) -> list[Run]:
    """Every run below `path`, a folder or a single file.

    `UsageError` where the path does not exist, `ReadError` where a run's files cannot be used at all.
    """
    from lrdoctor.readers.discover import discover
    from lrdoctor.readers.load import load

    return [load(files) for files in discover([path]).runs]
