"""Notes in the cache. They are sealed: what was damaged, or noted by another lrdoctor, is as if it were not there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from lrdoctor.auditing.cache import Cache


@dataclass(frozen=True, slots=True)
class CachedNotes:
    """`readers.noted.Notes` in `cache`; `seal` is up to 64 bytes that change with whatever decides what is noted."""

    cache: Cache
    seal: bytes

    def noted(self, kind: str, path: str) -> Any:
        found = self.cache.noted(kind, path)
        if found is None or found[0] != self._mark(found[1]):
            return None
        return json.loads(found[1])

    def note(self, kind: str, path: str, told: Any) -> None:
        text = json.dumps(told, separators=(",", ":"))
        self.cache.note(kind, path, self._mark(text), text)

    def _mark(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode(), key=self.seal, digest_size=16).digest()
