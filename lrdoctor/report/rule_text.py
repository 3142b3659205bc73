"""The prose of a rule's page, in the little Markdown such pages use, as blocks a template can print."""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import dedent
from typing import Literal

from lrdoctor.report.clean import code_text
from lrdoctor.report.printable import printable

_BULLET = re.compile(r"^\s*(?:[-*]|\d+\.)\s+")


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line; `style` as Markdown means it."""

    text: str
    style: Literal["plain", "code", "strong"] = "plain"


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a list (one tuple of spans an item) or a piece of source code (one span)."""

    kind: Literal["paragraph", "list", "code"]
    items: tuple[tuple[Span, ...], ...]


def blocks(markdown: str) -> tuple[Block, ...]:
    """Paragraphs, lists and fenced code of `markdown`, in order."""
    found: list[Block] = []
    for i, part in enumerate(re.split(r"^\s*```[^\n]*$", dedent(markdown), flags=re.MULTILINE)):
        if i % 2:
            found.append(Block("code", ((Span(code_text(part.strip("\n")), "code"),),)))
        else:
            found += [
                block for paragraph in re.split(r"\n\s*\n", part) if paragraph.strip() for block in _prose(paragraph)
            ]
    return tuple(found)


def _prose(paragraph: str) -> list[Block]:
    """The lines before the first bullet as a paragraph, the bullets (with their continuation lines) as a list."""
    lead: list[str] = []
    items: list[list[str]] = []
    for line in paragraph.strip().splitlines():
        if _BULLET.match(line):
            items.append([_BULLET.sub("", line)])
        else:
            (items[-1] if items else lead).append(line)
    found = [Block("paragraph", (_spans(lead),))] if lead else []
    if items:
        found.append(Block("list", tuple(_spans(item) for item in items)))
    return found


def _spans(lines: list[str]) -> tuple[Span, ...]:
    text = printable(" ".join(line.strip() for line in lines))
    return tuple(_span(piece) for piece in re.split(r"(`[^`]+`|\*\*[^*]+\*\*)", text) if piece)


def _span(piece: str) -> Span:
    if piece.startswith("`") and piece.endswith("`") and len(piece) > 1:
        return Span(piece[1:-1], "code")
    if piece.startswith("**") and piece.endswith("**") and len(piece) > 3:
        return Span(piece[2:-2], "strong")
    return Span(piece)
