"""Hugging Face's trainer_state.json -> series of its log history, and the length of training it was planned for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits, raised_by
from lrdoctor.model.run import Hint, Note, Series
from lrdoctor.readers.flat import number, numbers_in
from lrdoctor.readers.opening import absent_data
from lrdoctor.readers.rows import Rows
from lrdoctor.readers.storage import content_of, size_of

KIND = "trainer-state"
_NAME = "trainer_state.json"
# lrdoctor's name, the key, and what qualifies it. The Trainer keeps these beside the history.
_FACTS = (
    ("max_steps", "max_steps", None),
    ("epochs", "num_train_epochs", None),
    ("batch_size", "train_batch_size", "per device"),
)


def sniff(path: str, head: bytes) -> bool:
    """By its name, or by a history beside the Trainer's own counters."""
    if not head.lstrip().startswith(b"{"):
        return False
    return Path(path).name.endswith(_NAME) or (b'"log_history"' in head and b'"global_step"' in head)


def read(path: str) -> Iterator[Series | Note | Hint]:
    """A series per name in the history. `ReadError` where the file is no JSON object with a history."""
    absent = absent_data(path)
    if absent is not None:
        yield absent
        return
    state = _state(path)
    history = state.get("log_history")
    if not isinstance(history, list):
        raise ReadError("This is no state of a Trainer.", where=path, why="it has no list `log_history`")
    rows = Rows(path, KIND, origin_unit="row")
    for index, entry in enumerate(history, 1):
        if isinstance(entry, Mapping):
            rows.add(numbers_in(entry), index)
    yield from rows.series()
    yield from _hints(state, path)
    if not len(rows):
        yield Note(path, "its log history is empty: nothing was logged before it was saved")


def _state(path: str) -> Mapping[str, object]:
    try:
        if (size := size_of(path)) > limits().document_bytes:
            why = f"{size:,} bytes ({raised_by('document_bytes')})"
            raise ReadError("The file is too large.", where=path, why=why)
        state = json.loads(content_of(path))
    except (ValueError, RecursionError) as error:
        why = "it is cut off or malformed" if isinstance(error, ValueError) else "it is nested too deeply"
        raise ReadError("This is not a JSON document.", where=path, why=why) from error
    if not isinstance(state, dict):
        raise ReadError("This is no state of a Trainer.", where=path, why="it is not a JSON object")
    return state


def _hints(state: Mapping[str, object], path: str) -> Iterator[Hint]:
    for name, key, detail in _FACTS:
        value = number(state.get(key))
        if value is not None and 0 < value < math.inf:
            yield Hint(name, int(value) if value.is_integer() else value, path, key, detail)
