"""File names of the run pages: readable, safe on every file system, and the same however many runs are reported."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

PREFIX = "run-"
_LONGEST = 60


def page_names(paths: Sequence[str]) -> tuple[str, ...]:
    """One name a path, all different also where upper and lower case are one: `run-exp-a-3f9c1d.html`."""
    seen: dict[str, int] = {}
    names = []
    for path in paths:
        stem = f"{PREFIX}{_readable(path)}-{_digest(path)}"
        seen[stem] = seen.get(stem, 0) + 1
        names.append(f"{stem}.html" if seen[stem] == 1 else f"{stem}-{seen[stem]}.html")
    return tuple(names)


def _readable(path: str) -> str:
    """The last two parts of the path in lower-case ASCII."""
    parts = [part for part in re.split(r"[\\/]+", path) if part not in ("", ".", "..")]
    text = re.sub(r"[^a-z0-9]+", "-", "-".join(parts[-2:]).lower()).strip("-")
    return text[-_LONGEST:].strip("-") or "run"


def _digest(path: str) -> str:
    """Six hex digits of the path, so that equal endings differ."""
    return hashlib.sha256(path.encode("utf-8", errors="surrogateescape")).hexdigest()[:6]
