"""A file of lines in spans of whole lines, several of which are worked on at the same time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO, TypeVar

T = TypeVar("T")
_MOST_THREADS = 4
_ALONE_BYTES = 1 << 20  # what a thread is not started for
_TAIL_BYTES = 1 << 16  # in which the end of a span's last line is looked for


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` to `stop` of a file; `read(position, count)` gives some of them, from any thread."""

    read: Callable[[int, int], bytes]
    start: int
    stop: int

    def content(self) -> bytes:
        return self.read(self.start, self.stop - self.start)

    def tail(self) -> bytes:
        """The last lines, or the end of the last one."""
        start = max(self.start, self.stop - _TAIL_BYTES)
        return self.read(start, self.stop - start)


def in_spans(stream: BinaryIO, size: int, work: Callable[[Span], T]) -> Iterator[T]:
    """`work` on all lines ahead, in spans of at most `size` bytes, in order.

    Ends in front of a line without an end, or without one in sight. The stream's position is lost.
    """
    descriptor = _descriptor(stream)
    if descriptor is None:
        yield from map(work, _fetched(stream, size))  # a remote file is read once, from its beginning to its end
        return
    start, end = stream.tell(), os.fstat(descriptor).st_size
    threads = _threads() if end - start > _ALONE_BYTES else 1
    spans = _cut(lambda position, count: os.pread(descriptor, count, position), start, end, size, threads)
    yield from map(work, spans) if threads == 1 else _at_once(threads, spans, work)


def _descriptor(stream: BinaryIO) -> int | None:
    """The number under which the system reads from any position; None where there is none."""
    try:
        return stream.fileno() if hasattr(os, "pread") else None
    except (OSError, AttributeError):
        return None


def _threads() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, _MOST_THREADS)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that stay: the memory of one that ends goes back to the system, which takes a third of the time."""
    return ThreadPoolExecutor(threads, thread_name_prefix="lrdoctor-lines")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _at_once(threads: int, spans: Iterator[Span], work: Callable[[Span], T]) -> Iterator[T]:
    """In order, with a span for each thread ahead of the one that is waited for."""
    ahead = deque[Future[T]]()
    try:
        for span in spans:
            ahead.append(_pool(threads).submit(work, span))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()
        wait(ahead)  # they read from a file that is closed next


def _cut(read: Callable[[int, int], bytes], start: int, end: int, size: int, threads: int) -> Iterator[Span]:
    """Spans of about one size, as many as the threads share evenly."""
    rounds = -(-(end - start) // (size * threads))
    even = min(size, -(-(end - start) // max(1, rounds * threads)))
    while start < end:
        stop = end if end - start <= min(size, even + _TAIL_BYTES) else start + even
        tail = Span(read, start, stop).tail()
        whole = stop - len(tail) + tail.rfind(b"\n") + 1
        if b"\n" not in tail:
            return
        yield Span(read, start, whole)
        if stop == end:
            return
        start = whole


def _fetched(stream: BinaryIO, size: int) -> Iterator[Span]:
    start = stream.tell()
    while content := stream.read(size):
        whole = content.rfind(b"\n") + 1
        if whole:
            yield Span(_part_of(content, start), start, start + whole)
        if not whole or len(content) < size:
            return
        start += whole
        stream.seek(start)


def _part_of(content: bytes, start: int) -> Callable[[int, int], bytes]:
    return lambda position, count: content[position - start : position - start + count]
