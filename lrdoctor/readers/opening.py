"""What every log reader does first: tell apart data, an empty file and a git LFS pointer, and read lines in bounds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from typing import TextIO

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits
from lrdoctor.model.run import Note
from lrdoctor.readers.storage import head_of, open_binary

HEAD_BYTES = 4096
LFS_MAGIC = b"version https://git-lfs.github.com/spec"
LFS_MESSAGE = "git-LFS pointer, not the data; run git lfs pull"
EMPTY_MESSAGE = "the file is empty"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# Bytes that no text has: the control characters save tab, line feed, form feed, carriage return, escape, backspace.
_CONTROLS = bytes(set(range(32)) - {8, 9, 10, 12, 13, 27})


@dataclass(frozen=True, slots=True)
class Line:
    """One physical line, without its end. `number` is 1-based; `ended` is False for a last line that was cut off.

    `too_long` marks a line of more than `line_chars` characters: its text is dropped.
    """

    number: int
    text: str
    ended: bool = True
    too_long: bool = False


def read_head(path: str) -> bytes:
    """The first bytes of a file: enough to recognise what it is."""
    return head_of(path, HEAD_BYTES)


def absent_data(path: str) -> Note | None:
    """A note where the file holds no data at all, else None. `ReadError` where it cannot be opened."""
    try:
        head = read_head(path)
    except OSError as error:
        raise ReadError("The file cannot be opened.", where=path, why=error.strerror or str(error)) from error
    return absent_data_in(path, head)


def absent_data_in(path: str, head: bytes) -> Note | None:
    if not head:
        return Note(path, EMPTY_MESSAGE)
    return Note(path, LFS_MESSAGE) if head.startswith(LFS_MAGIC) else None


def is_text(head: bytes) -> bool:
    """Whether a file that starts like this is text; PowerShell's UTF-16 with its byte order mark counts."""
    return head.startswith(_UTF16_MARKS) or len(head) == len(head.translate(None, _CONTROLS))


def decoded(head: bytes) -> str:
    """The head as text, whatever its encoding; a character that the cut split is dropped or replaced."""
    return head.decode(_encoding(head), errors="replace").removeprefix("\ufeff")


def _encoding(head: bytes) -> str:
    return "utf-16" if head.startswith(_UTF16_MARKS) else "utf-8"


def encoding_of(path: str) -> str:
    return _encoding(read_head(path))


@contextmanager
def text_stream(path: str) -> Iterator[TextIO]:
    """The file as text, line ends untouched, undecodable bytes replaced."""
    encoding = encoding_of(path)
    with open_binary(path) as raw, TextIOWrapper(raw, encoding=encoding, errors="replace", newline="\n") as stream:
        yield stream


def lines(stream: TextIO, before: int = 0) -> Iterator[Line]:
    """The lines of a stream. Only a line feed ends one; a carriage return before it is removed with it.

    `before` is the number of lines in front of the stream.
    """
    number, most = before, limits().line_chars
    while text := stream.readline(most):
        number += 1
        if number == 1:
            text = text.removeprefix("\ufeff")
        if text.endswith("\n"):
            yield Line(number, text.rstrip("\r\n"))
        elif len(text) < most:
            yield Line(number, text, ended=False)
        else:
            yield Line(number, "", ended=_skip_rest(stream, most), too_long=True)


def _skip_rest(stream: TextIO, most: int) -> bool:
    """Read on to the end of the line; whether there was one."""
    while text := stream.readline(most):
        if text.endswith("\n"):
            return True
    return False
