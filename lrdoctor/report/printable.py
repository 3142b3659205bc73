"""Text from files made safe to show: no terminal control, no line breaks, no invisible direction marks."""

from __future__ import annotations

import re
import unicodedata

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?", re.DOTALL)
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})  # control, format (bidi), lone surrogates, private, unassigned


def printable(text: str) -> str:
    """`text` on one line, without terminal escape sequences, control characters and bidirectional overrides.

    Tags and paths come out of other people's files; printed as they are they could rewrite the terminal or forge lines.
    """
    shown = _ESCAPE_SEQUENCE.sub("", text)
    shown = re.sub(r"[\t\n\r\v\f\u2028\u2029]+", " ", shown)
    return "".join(char for char in shown if unicodedata.category(char) not in _HIDDEN)
