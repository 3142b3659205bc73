"""`# lrdoctor: ignore[LR502] reason` at the end of a line, or on a line of its own before it; `ignore-file` anywhere.

JSON has no comments: there a key `"//lrdoctor": "ignore[LR502] reason"` holds for the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lrdoctor.model.checked import BY_COMMENT, CheckedConfig, Remark
from lrdoctor.model.finding import Finding
from lrdoctor.model.place import Place

_COMMENT = re.compile(r"#\s*lrdoctor:\s*(ignore(?:-file)?)\b(?:\[([^\]]*)\])?")
_BALANCED = re.compile(r""""(?:[^"\\\\]|\\\\.)*"|(?<![\w])'[^']*'""")
_OPEN_QUOTE = re.compile(r"(?:^|[:\[,{=(-])\s*'[^']*$")
_JSON_KEY = re.compile(r'"//lrdoctor"\s*:\s*"\s*ignore(?:-file)?\b(?:\[([^\]]*)\])?')


@dataclass(frozen=True, slots=True)
class _Ignore:
    """`line` is where it holds, 0 for the whole file; no codes mean all."""

    place: Place
    line: int
    codes: frozenset[str]

    def covers(self, finding: Finding) -> bool:
        named = not self.codes or finding.code in self.codes or finding.name in self.codes
        here = self.line == 0 or (finding.place is not None and self.line == finding.place.line)
        return named and here and (finding.place is None or finding.place.path == self.place.path)


def apply_comments(
    configs: Sequence[CheckedConfig], text: str, path: Path, *, ran: frozenset[str]
) -> tuple[list[CheckedConfig], list[Remark]]:
    """The configs with ignored findings marked, and a remark for each comment that ignored nothing.

    A comment that names only codes that were not `ran` is left alone.
    """
    ignores = _ignores(text, str(path)) if "lrdoctor" in text else []
    if not ignores:
        return list(configs), []
    used: set[_Ignore] = set()
    marked = [replace(one, findings=tuple(_marked(f, ignores, used) for f in one.findings)) for one in configs]
    idle = [one for one in ignores if one not in used and (not one.codes or one.codes & ran)]
    return marked, [Remark(f"this comment ignores nothing{_named(one)}; remove it", one.place) for one in idle]


def _named(ignore: _Ignore) -> str:
    return f" ({', '.join(sorted(ignore.codes))})" if ignore.codes else ""


def _marked(finding: Finding, ignores: Sequence[_Ignore], used: set[_Ignore]) -> Finding:
    covering = [one for one in ignores if one.covers(finding)]
    used.update(covering)
    return replace(finding, suppressed_by=BY_COMMENT) if covering and finding.suppressed_by is None else finding


def _ignores(text: str, path: str) -> list[_Ignore]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for match in _COMMENT.finditer(line):
            if not _quoted(line, match.start()):
                whole = match[1] == "ignore-file"
                alone = not line[: match.start()].strip()
                place = Place(path, number, match.start() + 1, number, match.end() + 1)
                found.append(_Ignore(place, 0 if whole else number + alone, _codes(match[2])))
        key = _JSON_KEY.search(line)
        if key:
            found.append(_Ignore(Place(path, number, key.start() + 1, number, key.end() + 1), 0, _codes(key[1])))
    return found


def _codes(text: str | None) -> frozenset[str]:
    return frozenset(code.strip() for code in (text or "").split(",") if code.strip())


def _quoted(line: str, at: int) -> bool:
    """Whether a string that began before `at` is still open: then the `#` is part of it."""
    before = _BALANCED.sub("", line[:at])
    return '"' in before or _OPEN_QUOTE.search(before) is not None
