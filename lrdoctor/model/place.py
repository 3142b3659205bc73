"""Where something stands in a text file."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """A stretch of a file. Lines and columns count from 1, in characters; `end_column` is just past the last one."""

    path: str
    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 1

    def to(self, end: Place) -> Place:
        """From the start of this stretch to the end of another."""
        return Place(self.path, self.line, self.column, end.end_line, end.end_column)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"
