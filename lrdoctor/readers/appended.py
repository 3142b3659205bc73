"""What was appended to a text file since it was last read, in whole lines."""

from __future__ import annotations

from collections.abc import Iterator

from lrdoctor.errors import ReadError
from lrdoctor.readers.storage import open_binary

BLOCK_BYTES = 1 << 22


class Lines:
    """Where the reading of a growing file stands: `at` bytes and `number` lines were taken.

    A last line without an end is still being written and left for the next time.
    """

    def __init__(self, at: int = 0, number: int = 0) -> None:
        self.at = at
        self.number = number

    def blocks(self, path: str) -> Iterator[bytes]:
        """The new whole lines, several at once. The caller counts into `number` what it has taken of a block.

        `ReadError` at a line longer than a block.
        """
        with open_binary(path) as stream:
            stream.seek(self.at)
            while block := stream.read(BLOCK_BYTES):
                whole = block.rfind(b"\n") + 1
                if whole:
                    self.at += whole
                    yield block[:whole]
                elif len(block) == BLOCK_BYTES:
                    raise ReadError("A line is too long to be read piece by piece.", where=path)
                if len(block) < BLOCK_BYTES:
                    return
                stream.seek(self.at)
