"""A console that can be trusted with text from files."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from lrdoctor.report.printable import printable
from lrdoctor.report.sparkline import ASCII, BLOCKS


class Printer:
    """A console that prints foreign text as it is: no markup, no control characters, nothing it cannot encode.

    In a terminal, long lines wrap under their indent; piped, a line stays one line, so that it can be searched.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._encoding = console.encoding or "utf-8"
        self.blocks = BLOCKS if self._can_show(BLOCKS) else ASCII

    def line(self, *parts: str | tuple[str, str], indent: int = 0) -> None:
        """One line of parts, each a string or (string, style)."""
        text = Text(overflow="fold")
        for part in parts:
            content, style = (part, "") if isinstance(part, str) else part
            text.append(self._safe(content), style or None)
        if self._console.is_terminal:
            self._console.print(Padding(text, (0, 0, 0, indent), expand=False))
        else:
            self._console.print(Text(" " * indent).append_text(text), soft_wrap=True)

    def blank(self) -> None:
        self._console.print()

    def _safe(self, content: str) -> str:
        return printable(content).encode(self._encoding, "replace").decode(self._encoding)

    def _can_show(self, characters: str) -> bool:
        try:
            characters.encode(self._encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True
