"""From paths to runs as they were written: nothing is interpreted, nothing a user's file names is executed."""

from __future__ import annotations

from lrdoctor.model.run import Run

__all__ = ["read"]


def read(path: str) -> list[Run]:
    """Every run below `path`, a folder, a single file or a URL.

    `UsageError` where the path does not exist. A run whose files cannot be used at all is left out with a warning that
    says why; `ReadError` where that leaves none. Where there is no run to begin with, the list is empty.
    """
    import warnings

    from lrdoctor.errors import ReadError
    from lrdoctor.readers.discover import discover
    from lrdoctor.readers.load import load

    found = discover([str(path)])
    runs, failed = [], []
    for files in found.runs:
        try:
            runs.append(load(files))
        except ReadError as error:
            failed.append(error)
    if failed and not runs:
        raise failed[0]
    for reason in failed:
        warnings.warn(str(reason), stacklevel=2)
    if not runs:
        for skipped in found.skipped:
            warnings.warn(f"{skipped.path}: {skipped.reason}", stacklevel=2)
    return runs
