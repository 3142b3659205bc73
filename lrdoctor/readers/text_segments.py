"""A text log -> what was on screen: its lines, and each state of a progress bar that a carriage return overwrote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TextIO

from lrdoctor.limits import limits

_CHUNK = 1 << 16
_OVERWRITES = re.compile(r"[\r\x08]+")  # tqdm returns to the start of the line, old Keras steps back
_COLOURS = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]")


def segments(stream: TextIO, left_out: list[int] | None = None) -> Iterator[tuple[int, str]]:
    """(line, text) of each, lines counted by line feeds from 1. Texts longer than `text_chars` are left out.

    Their lines are added to `left_out`.
    """
    most = limits().text_chars
    number, rest, skipping = 1, "", False
    while chunk := stream.read(_CHUNK):
        *whole, last = (rest + chunk).split("\n")
        for line in whole:
            for text in _overwritten(line)[skipping:]:
                yield number, text
            number, skipping = number + 1, False
        *shown, rest = _overwritten(last)
        for text in shown[skipping:]:
            yield number, text
        skipping = skipping and not shown
        if len(rest) > most:
            if left_out is not None and not skipping:
                left_out.append(number)
            rest, skipping = "", True
    if not skipping:
        yield number, rest


def _overwritten(line: str) -> list[str]:
    return _OVERWRITES.split(line) if "\r" in line or "\x08" in line else [line]


def plain(text: str) -> str:
    """Without the colours of a terminal."""
    return _COLOURS.sub("", text) if "\x1b" in text else text
