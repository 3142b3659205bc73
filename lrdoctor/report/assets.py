"""The style and the scripts of the pages: files beside them, or text in them."""

from __future__ import annotations

import base64
import hashlib
from functools import cached_property
from pathlib import Path

from lrdoctor.resources import templates_dir

STYLE = "lrdoctor.css"
SCRIPT = "lrdoctor.js"
PLOTLY = "plotly.min.js"
SHARED = (STYLE, SCRIPT, PLOTLY)
"""The names of the files beside pages that do not hold them themselves."""


class Assets:
    """Each is read when it is asked for; `inline` puts them into each page. Without `charts` plotly is left out."""

    def __init__(self, inline: bool, charts: bool = True) -> None:
        self.inline = inline
        self._charts = charts

    @cached_property
    def style(self) -> str:
        return _joined("styles", "*.css")

    @cached_property
    def script(self) -> str:
        return _joined("scripts", "*.js")

    @cached_property
    def plotly(self) -> str:
        if not self._charts:
            return ""
        from plotly.offline import get_plotlyjs

        return str(get_plotlyjs())

    def text(self, name: str) -> str:
        """The text of one of the files in SHARED."""
        if name == PLOTLY:
            return self.plotly
        return self.style if name == STYLE else self.script

    def script_policy(self) -> str:
        """What the pages let run: files beside them, or exactly these inlined scripts."""
        if not self.inline:
            return "'self' file:"
        return " ".join(f"'sha256-{_sha256(text)}'" for text in (self.script, self.plotly))


def _joined(folder: str, pattern: str) -> str:
    """All files of a folder of templates in the order of their (numbered) names."""
    paths: list[Path] = sorted((templates_dir() / folder).glob(pattern))
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
