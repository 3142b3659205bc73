"""Text out of a user's files, made harmless where `printable` alone does not do."""

from __future__ import annotations

import html

from lrdoctor.report.printable import printable


def chart_text(text: str) -> str:
    """`text` for a plotly label: plotly reads a small HTML of its own in names, so its characters are escaped."""
    return html.escape(printable(text), quote=False)


def code_text(text: str) -> str:
    """Several lines of source: each line printable, the line breaks and the indentation kept."""
    return "\n".join(printable(line.expandtabs(4)) for line in text.replace("\r\n", "\n").split("\n"))
