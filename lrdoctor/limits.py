"""How much of a file the readers are willing to take: what keeps a hostile or broken one from costing time and memory.

A limit is raised by `lrdoctor --limit NAME=NUMBER`, by `[tool.lrdoctor.limits]` in pyproject.toml, or by
`LRDOCTOR_LIMITS=NAME=NUMBER,...`. The messages of a reader that stopped at one name it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, fields, replace
from functools import cache

from lrdoctor.errors import SettingsError

VARIABLE = "LRDOCTOR_LIMITS"


@dataclass(frozen=True, slots=True)
class Limits:
    """The defaults are far above what trainings leave behind, and low enough that a reader ends in seconds."""

    line_chars: int = 1 << 20  # of a table or of a JSON log
    text_chars: int = 16_384  # of a line of a text log, or of a state of its progress bar
    columns: int = 20_000  # of a table
    tags: int = 20_000  # of one log
    document_bytes: int = 64 << 20  # of a JSON document: parsed, it takes up to twenty times as much memory
    settings_bytes: int = 4 << 20  # of a file with settings
    nesting: int = 100  # of YAML
    record_bytes: int = 64 << 20  # of a W&B log
    pickle_instructions: int = 2_000_000  # 100,000 parameter tensors need fewer; about 2 s
    pickle_bytes: int = 256 << 20  # of a pickle, unpacked where it is compressed; real ones have up to some megabytes
    members: int = 2_000_000  # of a zip archive
    header_bytes: int = 100 << 20  # of a safetensors file; the format's own limit
    folder_depth: int = 40


NAMES = tuple(item.name for item in fields(Limits))


_HERE: ContextVar[Limits | None] = ContextVar("limits", default=None)


def limits() -> Limits:
    """The limits in force."""
    return _HERE.get() or _given(os.environ.get(VARIABLE, ""))


@contextmanager
def under(found: Limits) -> Iterator[None]:
    """Other limits for this thread alone: those of the audit that sent a run here."""
    token = _HERE.set(found)
    try:
        yield
    finally:
        _HERE.reset(token)


@cache
def _given(given: str) -> Limits:
    return with_changes(Limits(), parsed(given.split(",") if given else (), VARIABLE), VARIABLE)


def use(changes: Mapping[str, int], where: str) -> None:
    """Change limits for this process and those it starts. `SettingsError` names the first that is wrong."""
    changed = asdict(with_changes(limits(), changes, where))
    if changes:
        os.environ[VARIABLE] = ",".join(f"{name}={value}" for name, value in changed.items())


def parsed(pairs: Iterable[str], where: str) -> dict[str, int]:
    """NAME=NUMBER pairs as they are written on a command line."""
    found = {}
    for pair in pairs:
        name, _, number = pair.partition("=")
        try:
            found[name.strip().replace("-", "_")] = int(number)
        except ValueError:
            hint = "for instance --limit tags=100000"
            raise SettingsError(f"A limit is given as NAME=NUMBER, not {pair!r}.", where=where, hint=hint) from None
    return found


def with_changes(current: Limits, changes: Mapping[str, int], where: str) -> Limits:
    for name, value in changes.items():
        if name not in NAMES:
            close = difflib.get_close_matches(name, NAMES, n=1)
            hint = f"did you mean `{close[0]}`?" if close else "known limits: " + ", ".join(NAMES)
            raise SettingsError(f"Unknown limit `{name}`.", where=where, hint=hint)
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise SettingsError(f"Limit `{name}` must be a positive whole number, not {value!r}.", where=where)
    return replace(current, **changes)


def raised_by(name: str) -> str:
    """What a message says about a limit that was reached."""
    return f"limit {name}, {getattr(limits(), name):,}; raise it with --limit {name}=NUMBER"
