"""What the reports need of a rule's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Page(Protocol):
    """A rule's page: a title, three texts and the whole of it as Markdown."""

    @property
    def title(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def why(self) -> str: ...
    @property
    def fix(self) -> str: ...
    @property
    def markdown(self) -> str: ...


Pages = Mapping[str, Page]
