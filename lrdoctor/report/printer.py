"""A console that can be trusted with text from files, and paper to write on before there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from lrdoctor.report.printable import printable
from lrdoctor.report.sparkline import ASCII, BLOCKS

Part = str | tuple[str, str]


class Paper(Protocol):
    """What a line can be written on."""

    def line(self, *parts: Part, indent: int = 0) -> None: ...


class Lines:
    """Lines as JSON types: `[indent, [text, style], ...]` each."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def line(self, *parts: Part, indent: int = 0) -> None:
        self.lines.append([indent, *([part, ""] if isinstance(part, str) else list(part) for part in parts)])


class Printer:
    """A console that prints foreign text as it is: no markup, no control characters, nothing it cannot encode.

    In a terminal, long lines wrap under their indent; piped, a line stays one line, so that it can be searched. The
    blocks of curves become ASCII where they cannot be shown.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._encoding = console.encoding or "utf-8"
        self._instead = {} if self._can_show(BLOCKS) else str.maketrans(BLOCKS, ASCII)

    def line(self, *parts: Part, indent: int = 0) -> None:
        """One line of parts, each a string or (string, style)."""
        text = Text(overflow="fold")
        for part in parts:
            content, style = (part, "") if isinstance(part, str) else part
            text.append(self._safe(content), style or None)
        if self._console.is_terminal:
            self._console.print(Padding(text, (0, 0, 0, indent), expand=False))
        else:
            self._console.print(Text(" " * indent).append_text(text), soft_wrap=True)

    def lines(self, written: Sequence[Any]) -> None:
        """Lines that were written on `Lines`."""
        for indent, *parts in written:
            self.line(*((text, style) for text, style in parts), indent=indent)

    def blank(self) -> None:
        self._console.print()

    def _safe(self, content: str) -> str:
        shown = printable(content).translate(self._instead)
        return shown.encode(self._encoding, "replace").decode(self._encoding)

    def _can_show(self, characters: str) -> bool:
        try:
            characters.encode(self._encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True
