"""A rule file's docstring -> the rule's page, as `explain`, the report's cards, SARIF and docs/rules.md show it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from inspect import cleandoc

HEADINGS = ("What it does", "Why is this bad?", "How to fix it", "Options", "References")
_HEADING = re.compile(r"^##\s+(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RulePage:
    """The first sentence as `title`, and the text below each heading, in the docstring's order."""

    title: str
    sections: tuple[tuple[str, str], ...] = ()

    def section(self, heading: str) -> str:
        """The text below that heading; empty where the page has none."""
        return next((text for name, text in self.sections if name == heading), "")

    @property
    def what(self) -> str:
        return self.section("What it does")

    @property
    def why(self) -> str:
        return self.section("Why is this bad?")

    @property
    def fix(self) -> str:
        return self.section("How to fix it")

    @property
    def markdown(self) -> str:
        """The whole page with headings of the second level."""
        return self.markdown_at(2)

    def markdown_at(self, heading_level: int) -> str:
        """The whole page with headings of that level, to be put below a heading of one level less."""
        marks = "#" * heading_level
        parts = [self.title, *(f"{marks} {name}\n\n{text}" for name, text in self.sections)]
        return "\n\n".join(parts) + "\n"


def parse_page(docstring: str | None) -> RulePage:
    """The page in a docstring: the first paragraph is the title, each `## Heading` starts a section."""
    text = cleandoc(docstring or "")
    head, *rest = _HEADING.split(text)
    title = " ".join(head.strip().split("\n\n")[0].split())
    return RulePage(title, tuple((name, body.strip()) for name, body in zip(rest[::2], rest[1::2], strict=True)))
