"""Spans of whole lines: each line is in one of them, in order, whatever reads them."""

from __future__ import annotations

import io
from collections.abc import Generator
from pathlib import Path

import pytest

from lrdoctor.readers import line_spans
from lrdoctor.readers.line_spans import Span, in_spans

LINES = [b"%d,%s\n" % (number, b"x" * (number % 70)) for number in range(3000)]


def contents(path: Path, size: int) -> list[bytes]:
    with path.open("rb") as stream:
        return list(in_spans(stream, size, Span.content))


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(line_spans, "_ALONE_BYTES", 0)
    monkeypatch.setattr(line_spans, "_TAIL_BYTES", 100)
    monkeypatch.setattr(line_spans, "_threads", lambda: request.param)
    return int(request.param)


@pytest.mark.parametrize("size", [200, 5_000, 1 << 20])
def test_each_line_is_in_one_span(tmp_path: Path, threads: int, size: int) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"".join(LINES))
    found = contents(path, size)
    assert b"".join(found) == b"".join(LINES)
    assert all(part.endswith(b"\n") and len(part) <= size for part in found)


def test_threads_get_equal_shares(tmp_path: Path, threads: int) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"".join(LINES))
    sizes = [len(part) for part in contents(path, 100_000)]
    assert len(sizes) == threads * -(-len(b"".join(LINES)) // (threads * 100_000))
    assert max(sizes) - min(sizes) < 500


def test_spans_end_in_front_of_a_line_without_an_end(tmp_path: Path, threads: int) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"".join(LINES[:20]) + b"half a li")
    assert b"".join(contents(path, 200)) == b"".join(LINES[:20])
    path.write_bytes(b"".join(LINES[:20]) + b"y" * 1000 + b"\n" + b"".join(LINES))
    assert b"".join(LINES).startswith(b"".join(contents(path, 200)))


def test_a_file_without_a_descriptor_is_read_from_its_beginning_to_its_end() -> None:
    stream = io.BytesIO(b"".join(LINES) + b"half")
    found = list(in_spans(stream, 1000, lambda span: (span.start, span.content(), span.tail())))
    assert b"".join(content for _, content, _ in found) == b"".join(LINES)
    assert found[1][0] == len(found[0][1])
    assert all(content.endswith(tail) for _, content, tail in found)


def test_work_that_nobody_waits_for_ends_before_the_file_is_closed(tmp_path: Path, threads: int) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"".join(LINES))
    started, ended = [], []

    def slowly(span: Span) -> bytes:
        started.append(span.start)
        content = span.content()
        ended.append(span.start)
        return content

    with path.open("rb") as stream:
        spans = in_spans(stream, 200, slowly)
        next(spans)
        assert isinstance(spans, Generator)
        spans.close()
        assert sorted(started) == sorted(ended)
    assert len(started) <= threads + 2
