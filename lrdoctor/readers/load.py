"""The files of one run -> `Run`: every reader is asked, and one bad file never costs the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from lrdoctor.errors import ReadError
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.run import Checkpoint, Hint, Note, Run, Series, Source
from lrdoctor.readers import pickled_table
from lrdoctor.readers.checkpoint import read_checkpoint
from lrdoctor.readers.checkpoint_hints import checkpoint_hints, training_arguments
from lrdoctor.readers.detect import reader_for
from lrdoctor.readers.discover import RunFiles
from lrdoctor.readers.framework_guess import guess_framework
from lrdoctor.readers.growing import Growing
from lrdoctor.readers.side_files import read_hints

Item = Series | Note | Hint


@dataclass(slots=True)
class _Read:
    """What one file gave; `failed` where its reader gave up."""

    path: str
    kind: str
    series: list[Series] = field(default_factory=list)
    hints: list[Hint] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    failed: bool = False

    @property
    def points(self) -> int:
        return sum(len(item) for item in self.series)

    def source(self) -> Source:
        return Source(self.path, self.kind, self.points, tuple(self.notes))


def load(files: RunFiles, growing: Growing | None = None) -> Run:
    """Read all files of a run. `ReadError` only where not one log or checkpoint could be used.

    With `growing` only what changed since it was last used is read (of logs that allow it what was appended).
    """
    logs = _without_copies([_read_log(path, growing) for path in files.logs])
    saved = [_read_saved(path, growing) for path in files.checkpoints]
    checkpoints = sorted((found for _, found in saved if found is not None), key=_place_in_training)
    _check_usable(files, [*logs, *(read for read, _ in saved)])
    side = [_read_side_file(path) for path in files.side_files]
    last = [_gathered(found.path, found.kind, checkpoint_hints) for found in checkpoints[-1:]]
    series = tuple(item for log in logs for item in log.series)
    hints = tuple(hint for read in (*side, *last, *logs) for hint in read.hints)
    everything = (*files.logs, *files.checkpoints, *files.side_files)
    opened = [*logs, *(read for read, _ in saved), *(read for read in side if read.notes)]
    return Run(
        path=files.path,
        series=series,
        checkpoints=tuple(checkpoints),
        hints=hints,
        sources=tuple(sorted((read.source() for read in opened), key=lambda source: source.path)),
        framework=guess_framework(everything, series, checkpoints, hints),
    )


def _place_in_training(found: Checkpoint) -> tuple[float, float, float, str]:
    """By global step, then the optimizer's step, then the epoch; unknown counters first."""
    step = found.optimizer.step if found.optimizer else None
    known = [-1.0 if value is None else float(value) for value in (found.global_step, step, found.epoch)]
    return known[0], known[1], known[2], found.path


def _check_usable(files: RunFiles, reads: Sequence[_Read]) -> None:
    if any(not read.failed for read in reads):
        return
    reasons = "; ".join(f"{read.path}: {note}" for read in reads for note in read.notes[-1:])
    why = reasons or "it has no log and no checkpoint"
    raise ReadError("None of the run's files can be read.", where=files.path, why=why)


def _read_log(path: str, growing: Growing | None) -> _Read:
    if path.lower().endswith((".pkl", ".pickle")):
        return _gathered(path, pickled_table.KIND, pickled_table.read)
    try:
        reader = reader_for(path)
    except OSError as error:
        return _Read(path, "unknown", notes=[Note(path, f"cannot be opened: {error.strerror or error}")], failed=True)
    if reader is None:
        return _Read(path, "unknown", notes=[Note(path, "no reader recognises its contents")], failed=True)
    read = reader.read if growing is None else partial(growing.read, reader)
    return _gathered(path, str(reader.KIND), read)


def _read_side_file(path: str) -> _Read:
    if path.endswith("training_args.bin"):
        return _gathered(path, "settings", training_arguments)
    return _gathered(path, "settings", read_hints)


def _gathered(path: str, kind: str, read: Callable[[str], Iterable[Item]]) -> _Read:
    """Everything `read` yields before it ends or fails; what it yielded until then is kept."""
    found = _Read(path, kind)
    try:
        for item in read(path):
            _take(found, item)
    except ReadError as error:
        found.notes.append(_reason(path, error))
        found.failed = not found.series
    except OSError as error:
        found.notes.append(Note(path, f"cannot be read: {error.strerror or error}"))
        found.failed = not found.series
    except Exception as error:  # the last guard: a fault of one reader must not cost the other files
        found.notes.append(Note(path, f"internal error in reader {kind}: {type(error).__name__}: {error}"))
        found.failed = not found.series
    return found


def _reason(path: str, error: ReadError) -> Note:
    return Note(path, f"{error.what} {error.why or ''}".strip())


def _take(found: _Read, item: Item) -> None:
    if isinstance(item, Series):
        found.series.append(item)
    elif isinstance(item, Hint):
        found.hints.append(item)
    else:
        found.notes.append(item)


def _read_saved(path: str, growing: Growing | None) -> tuple[_Read, Checkpoint | None]:
    read = _Read(path, "checkpoint")
    try:
        found = read_checkpoint(path) if growing is None else growing.once(path, partial(read_checkpoint, path))
    except ReadError as error:
        read.notes.append(_reason(path, error))
    except OSError as error:
        read.notes.append(Note(path, f"cannot be read: {error.strerror or error}"))
    except Exception as error:  # as in `_gathered`
        read.notes.append(Note(path, f"internal error in reader checkpoint: {type(error).__name__}: {error}"))
    else:
        read.notes += found.notes
        return read, found
    read.failed = True
    return read, None


def _without_copies(logs: list[_Read]) -> list[_Read]:
    """HF saves the whole history anew in each checkpoint: of histories that start alike only the longest counts."""
    histories = [log for log in logs if log.path.endswith("trainer_state.json") and not log.failed]
    kept: list[_Read] = []
    for log in sorted(histories, key=lambda log: (-log.points, log.path.count("/"), log.path)):
        longer = next((other for other in kept if _is_start_of(log, other)), None)
        if longer is None:
            kept.append(log)
        else:
            log.notes.append(Note(log.path, f"a copy of the start of {longer.path}; counted once, there"))
            log.series = []
    return logs


def _is_start_of(short: _Read, long: _Read) -> bool:
    tags = {item.tag: item for item in long.series}
    return all(item.tag in tags and _starts_with(tags[item.tag], item) for item in short.series)


def _starts_with(long: Series, short: Series) -> bool:
    pairs = [(long.values, short.values), *_shared_axes(long, short)]
    return all(np.array_equal(whole[: len(part)], part, equal_nan=True) for whole, part in pairs)


def _shared_axes(long: Series, short: Series) -> Iterator[tuple[FloatArray, FloatArray]]:
    return ((long.axes[name], short.axes[name]) for name in short.axes if name in long.axes)
