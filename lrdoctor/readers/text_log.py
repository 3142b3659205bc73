"""Text logs -> series: DeepSpeed, Megatron, YOLOX, mmengine, timm, nanoGPT, Keras, printed HF rows, tqdm bars."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from lrdoctor.errors import ReadError
from lrdoctor.limits import raised_by
from lrdoctor.model.run import Hint, Note, Series
from lrdoctor.readers.opening import absent_data, is_text, text_stream
from lrdoctor.readers.rows import Rows
from lrdoctor.readers.text_patterns import Bar, epoch_alone
from lrdoctor.readers.text_rows import TOTAL, printed
from lrdoctor.readers.text_segments import plain, segments

KIND = "text"
_ENOUGH = 2  # lines of a training log by which a text is known as one
_SNIFFED_SEGMENTS = 400_000  # configuration and model printouts in front of the first line can be long
_OTHER_FORMATS = (".json", ".jsonl", ".csv", ".tsv", ".wandb", ".pkl", ".pickle", ".yaml", ".yml")
_HALF = re.compile(r"[-+.\w]{0,60}\d[-+.\w]{0,60}$")  # a number that touches the end
_FULL = 0.95  # share of its length from which a progress bar that starts over is the next epoch, not a restart


def sniff(path: str, head: bytes) -> bool:
    """At least two lines with a learning rate or a loss beside a counter."""
    if not head or not is_text(head) or path.lower().endswith(_OTHER_FORMATS):
        return False
    try:
        with text_stream(path) as stream:
            known = (text for _, text in islice(segments(stream), _SNIFFED_SEGMENTS) if printed(plain(text)))
            return len(list(islice(known, _ENOUGH))) == _ENOUGH
    except OSError:
        return False


def read(path: str) -> Iterator[Series | Note | Hint]:
    """A series per name, and how long an epoch is where the lines say so. `ReadError` where none is of a training."""
    absent = absent_data(path)
    if absent is not None:
        yield absent
        return
    log = _Log()
    left_out: list[int] = []
    with text_stream(path) as stream:
        last = (0, "")
        for segment in segments(stream, left_out):
            log.take(last[0], plain(last[1]))
            last = segment
    halved = _HALF.search(plain(last[1]))  # a text that ends with a line feed ends with an empty segment
    log.take(last[0], _HALF.sub("", plain(last[1])))
    if not log.lines:
        why = "no line of it has a learning rate or a loss beside a step or an epoch"
        raise ReadError("The text holds no training log.", where=path, why=why)
    yield from log.rows(path).series()
    if halved is not None:
        yield Note(path, "the last line has no end: its last number may be cut and was not read", f"line {last[0]}")
    if len(log.per_epoch) == 1:
        yield Hint("steps_per_epoch", next(iter(log.per_epoch)), path, "the total beside each step of an epoch")
    if left_out:
        message = f"{len(left_out):,} lines skipped: longer than any line of a log ({raised_by('text_chars')})"
        yield Note(path, message, f"line {left_out[0]}")


@dataclass(slots=True)
class _Log:
    """The lines so far. `epoch` is the one a line of its own announced; `laps` counts bars that ran to their end.

    `per_epoch` are the lengths of an epoch that were printed.
    """

    lines: list[tuple[int, dict[str, float], int | None]] = field(default_factory=list)
    epoch: int | None = None
    bar: Bar | None = None
    laps: int = 0
    per_epoch: set[int] = field(default_factory=set)

    def take(self, number: int, text: str) -> None:
        announced = epoch_alone(text)
        if announced is not None:
            self.epoch, self.bar = announced, None
            return
        found = printed(text)
        if found is None:
            return
        values = found.values
        if found.per_epoch is not None:
            self.per_epoch.add(found.per_epoch)
        if found.bar is not None:
            self._advance(found.bar)
            values.setdefault("iter", float(found.bar.at))
        if self.epoch is not None and "epoch" not in map(str.lower, values):
            values["epoch"] = float(self.epoch)
            values.pop(TOTAL, None)
        lap = self.laps if found.bar is not None and "epoch" not in map(str.lower, values) else None
        self.lines.append((number, values, lap))

    def _advance(self, bar: Bar) -> None:
        before = self.bar
        if before is not None and bar.at < before.at and before.at >= _FULL * before.of:
            self.laps += 1
        self.bar = bar

    def rows(self, path: str) -> Rows:
        """Bars that ran to their end and started over are epochs: `laps` numbers them where nothing else does."""
        rows = Rows(path, KIND)
        for number, values, lap in self.lines:
            if lap is not None and self.laps:
                values["epoch"] = float(lap)
                values.pop(TOTAL, None)
            rows.add(values, number)
        return rows
