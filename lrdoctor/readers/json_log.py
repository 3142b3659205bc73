"""JSON logs -> series: one object a line (DETR, MAE, detectron2, mmengine, mmcv, LLaMA-Factory), or one document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO, TextIOWrapper
from itertools import islice

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.model.run import Note, Series
from lrdoctor.readers import json_tables
from lrdoctor.readers.appended import Lines
from lrdoctor.readers.flat import numbers_in
from lrdoctor.readers.opening import Line, absent_data, decoded, encoding_of, is_text, lines, text_stream
from lrdoctor.readers.rows import Rows, is_axis, is_clock
from lrdoctor.readers.storage import size_of
from lrdoctor.reconstruct.names import is_eval, lr_name, role_of

KIND = "json"
_SNIFFED_DOCUMENT_BYTES = 8 << 20  # a document of this size is parsed to see whether there is a table in it
_SNIFFED_LINES = 20
_LINE_SUFFIXES = (".jsonl", ".ndjson", ".txt", ".log", ".out")
_MODE = "mode"  # mmcv says in each row whether it is of training or of validation


def sniff(path: str, head: bytes) -> bool:
    """Rows of named numbers, a learning rate or a loss among them; settings and summaries are none."""
    if not is_text(head) or decoded(head).lstrip()[:1] not in ("{", "["):
        return False
    try:
        beginning = _beginning(path)
        if _is_lines(path, beginning):
            records = (_parsed(line.text) for line in beginning)
            return any(isinstance(record, dict) and _is_row(record) for record in records)
    except OSError:
        return False
    return json_tables.may_hold_a_table(decoded(head)) and _holds_a_table(path)


def _beginning(path: str) -> list[Line]:
    """The first lines that hold anything."""
    with text_stream(path) as stream:
        return list(islice((line for line in lines(stream) if line.text.strip() or line.too_long), _SNIFFED_LINES))


def _is_lines(path: str, beginning: list[Line]) -> bool:
    """Whether the first line is an object of its own: all of a file named .json that is one line is a document."""
    if not beginning or not isinstance(_parsed(beginning[0].text), dict):
        return False
    return len(beginning) > 1 or path.lower().endswith(_LINE_SUFFIXES)


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_row(record: Mapping[str, object]) -> bool:
    """A learning rate or a loss as a number, or a counter and something measured."""
    names = list(numbers_in(record))
    spoken = [name for name in names if lr_name(name) is not None or role_of(name) is not None]
    losses = [name for name in spoken if role_of(name) != "metric"]
    return bool(losses) or bool(spoken and any(is_axis(name) for name in names))


def _holds_a_table(path: str) -> bool:
    try:
        if size_of(path) > _SNIFFED_DOCUMENT_BYTES:
            return True
        return any(True for _ in json_tables.tables(_document(path)))
    except (OSError, ReadError):
        return False


def read(path: str) -> Iterator[Series | Note]:
    """A series per name. `ReadError` where not one row can be read."""
    absent = absent_data(path)
    if absent is not None:
        yield absent
        return
    if _is_lines(path, _beginning(path)):
        yield from _read_lines(path)
    else:
        yield from json_tables.series_of(_document(path), path, KIND)


def _read_lines(path: str) -> Iterator[Series | Note]:
    log = _Log(path)
    with text_stream(path) as stream:
        log.take_all(lines(stream))
    yield from log.items()


class Tail:
    """A log of one object a line as far as it was read; see `growing.Tail`. `ReadError` where it is a document."""

    def __init__(self, path: str) -> None:
        if not _is_lines(path, _beginning(path)) or encoding_of(path) != "utf-8":
            raise ReadError("The file is read as a whole.", where=path)
        self._log = _Log(path)
        self._lines = Lines()

    @property
    def at(self) -> int:
        return self._lines.at

    def advance(self) -> None:
        before = self._lines
        for block in before.blocks(self._log.path):
            text = TextIOWrapper(BytesIO(block), encoding="utf-8", errors="replace", newline="\n")
            before.number += self._log.take_all(lines(text, before.number))

    def items(self) -> Iterator[Series | Note]:
        return self._log.items()


class _Log:
    """The rows of a log, and the lines that are none."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._rows = Rows(path, KIND)
        self._broken: list[Line] = []
        self._last: Line | None = None

    def take_all(self, found: Iterable[Line]) -> int:
        """How many lines there were."""
        count = 0
        for line in found:
            count += 1
            self._last = line
            if not line.too_long and not line.text.strip():
                continue
            record = _parsed(line.text)
            if isinstance(record, dict):
                _take(self._rows, record, line.number)
            else:
                self._broken.append(line)
        return count

    def items(self) -> Iterator[Series | Note]:
        if not len(self._rows):
            raise ReadError("The log holds no row of numbers.", where=self.path, why=_why_empty(self._broken))
        yield from self._rows.series()
        yield from _complaints(self.path, list(self._broken), self._last)


def _take(rows: Rows, record: Mapping[str, object], line: int) -> None:
    """A row of numbers; a line of settings (mmcv's first line has a seed and texts) has nothing to say."""
    values = numbers_in(record)
    if not any(is_axis(name) or lr_name(name) is not None or role_of(name) is not None for name in values):
        return
    mode = record.get(_MODE)
    if isinstance(mode, str) and is_eval(mode):
        values = {_of_evaluation(name): value for name, value in values.items()}
    rows.add(values, line)


def _of_evaluation(name: str) -> str:
    """The name a number of a validation row goes by: counters and the learning rate are still those of training."""
    kept = is_axis(name) or is_clock(name) or lr_name(name) is not None or is_eval(name)
    return name if kept else f"val/{name}"


def _complaints(path: str, broken: list[Line], last: Line | None) -> Iterator[Note]:
    long = [line for line in broken if line.too_long]
    if long:
        message = f"{_counted(long)} skipped: longer than any record ({raised_by('line_chars')})"
        yield Note(path, message, f"line {long[0].number}")
    broken = [line for line in broken if not line.too_long]
    cut = broken.pop() if broken and last is not None and broken[-1] is last and not last.ended else None
    if broken:
        yield Note(path, f"{_counted(broken)} skipped: not a JSON object", f"line {broken[0].number}")
    if cut is not None:
        yield Note(path, "truncated: the last line is incomplete and was not read", f"line {cut.number}")


def _counted(found: list[Line]) -> str:
    return f"{len(found):,} line{'' if len(found) == 1 else 's'}"


def _why_empty(broken: list[Line]) -> str:
    if broken and broken[0].too_long:
        return f"line {broken[0].number} is longer than any record ({raised_by('line_chars')})"
    return f"line {broken[0].number} is not a JSON object" if broken else "none of its lines has a counter or a loss"


def _document(path: str) -> object:
    size = size_of(path)
    if size > limits().document_bytes:
        why = f"{size:,} bytes ({raised_by('document_bytes')})"
        raise ReadError("The JSON document is too large.", where=path, why=why)
    try:
        with text_stream(path) as stream:
            return json.loads(stream.read().removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        why = error.args[0] if isinstance(error, ValueError) and error.args else "it is nested too deeply"
        raise ReadError("This is not a JSON document.", where=path, why=str(why)) from error
