"""The user's own models: entries beside the shipped library, in a file of the user's.

The file is LRDOCTOR_LIBRARY where that is set, else library.json in the platform's data folder for lrdoctor.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from lrdoctor.errors import UsageError
from lrdoctor.resources import user_dir
from lrdoctor.simulate.library import Entry, Library, dump, load_library

VARIABLE = "LRDOCTOR_LIBRARY"
_NOTE = "Models added with `lrdoctor library add`. Order of theta and covariance: see parameters."


def library_file() -> Path:
    """Where the user's entries are kept; the file need not exist."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen) if chosen else user_dir("data") / "library.json"


def user_entries() -> tuple[Entry, ...]:
    """The user's entries; none where the file is absent. Raises `UsageError` where it cannot be read."""
    file = library_file()
    if not file.is_file():
        return ()
    try:
        return load_library(file).entries
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            "The library of your own models could not be read.",
            where=str(file),
            why=f"{type(error).__name__}: {error}",
            hint="move the file away and add the models again with `lrdoctor library add`",
        ) from error


def known_models() -> Library:
    """The shipped library with the user's entries; one of the user's replaces a shipped one of that model and peak."""
    own = user_entries()
    return Library((*_others(load_library().entries, own), *own))


def with_added(entries: Iterable[Entry]) -> str:
    """What the file then holds: further entries, in place of earlier ones of the same model and peak."""
    new = tuple(entries)
    return _text((*_others(user_entries(), new), *new))


def with_removed(model: str) -> str | None:
    """What the file then holds without a model; None where it holds none of that name."""
    entries = user_entries()
    kept = tuple(entry for entry in entries if entry.model != model)
    return _text(kept) if len(kept) < len(entries) else None


def _others(entries: Iterable[Entry], replaced: Iterable[Entry]) -> tuple[Entry, ...]:
    taken = {(entry.model, entry.peak_lr) for entry in replaced}
    return tuple(entry for entry in entries if (entry.model, entry.peak_lr) not in taken)


def _text(entries: Iterable[Entry]) -> str:
    return dump(sorted(entries, key=lambda entry: (entry.model, entry.peak_lr)), _NOTE)
