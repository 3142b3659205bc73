"""One run of MLflow's file store, the folder `mlruns/EXPERIMENT/RUN` -> a series per metric, its parameters as hints.

`metrics/NAME` has a line "milliseconds value step" per point (no step before MLflow 1.0, seconds before 0.9), NAME may
have slashes; `params/NAME` holds one value (mlflow/store/tracking/file_store.py).
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from lrdoctor.errors import ReadError
from lrdoctor.limits import limits
from lrdoctor.model.arrays import floats, ints
from lrdoctor.model.run import Hint, Note, Series
from lrdoctor.readers.inert_yaml import resolved
from lrdoctor.readers.opening import decoded, lines, text_stream
from lrdoctor.readers.rows import wall_clock
from lrdoctor.readers.setting_names import hints_from
from lrdoctor.readers.storage import entries, head_of, joined

KIND = "mlflow"
RECORD_FOLDERS = frozenset({"metrics", "params", "tags", "inputs", "outputs", "traces"})
NO_CURVE = "an MLflow run without a curve: no metric was logged more than once"
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_MILLISECONDS = 1e11  # as seconds this would be the year 5138
_MAX_DEPTH = 8
_MAX_PARAM_BYTES = 8192  # MLflow's own limit is 6000 characters
_FEWEST_POINTS = 2


def is_run_folder(name: str, names: Collection[str]) -> bool:
    """Whether a folder of this name, with these names in it, is a run."""
    return _RUN_ID.fullmatch(name) is not None and "meta.yaml" in names and "metrics" in names


def is_run_path(path: str) -> bool:
    """Whether a log of this path can only be a run's folder: run ids are told by their form."""
    return _RUN_ID.fullmatch(path.rstrip("/").rsplit("/", 1)[-1]) is not None


def has_curve(path: str) -> bool:
    """Whether any metric has two points: most MLflow runs are fits that log each metric once."""
    return any(head_of(file, 4096).count(b"\n") >= _FEWEST_POINTS for _, file in _files(joined(path, "metrics")))


def read(path: str) -> Iterator[Series | Note | Hint]:
    """A series per metric. `ReadError` where the folder holds no metric."""
    found = False
    for tag, file in _files(joined(path, "metrics")):
        points = _Points()
        with text_stream(file) as stream:
            for line in lines(stream):
                points.take(line.text, line.number)
        if len(points.values):
            found = True
            yield points.series(path, tag)
        if points.broken:
            count = f"{len(points.broken):,} line{'' if len(points.broken) == 1 else 's'}"
            yield Note(file, f"{count} of metric {tag!r} skipped: not a point", f"line {points.broken[0]}")
    if not found:
        raise ReadError("The MLflow run holds no metric.", where=path, why="no file below its metrics folder has one")
    yield from hints_from(dict(_params(path)), path)


def _files(folder: str, tag: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """(name, file) of every metric or parameter; a slash in a name is a folder."""
    for entry in entries(folder)[: limits().tags]:
        name = f"{tag}/{entry.name}" if tag else entry.name
        if entry.is_file:
            yield name, joined(folder, entry.name)
        elif entry.is_dir and depth < _MAX_DEPTH:
            yield from _files(joined(folder, entry.name), name, depth + 1)


def _params(path: str) -> Iterator[tuple[str, object]]:
    if any(entry.name == "params" and entry.is_dir for entry in entries(path)):
        for name, file in _files(joined(path, "params")):
            yield name, resolved(decoded(head_of(file, _MAX_PARAM_BYTES)).strip())


@dataclass(slots=True)
class _Points:
    """The points of one metric; `broken` are the lines that are none."""

    times: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))
    steps: array[float] = field(default_factory=lambda: array("d"))
    origins: array[int] = field(default_factory=lambda: array("q"))
    broken: list[int] = field(default_factory=list)

    def take(self, text: str, line: int) -> None:
        parts = text.split()
        if not parts:
            return
        try:
            time, value, *step = map(float, parts)
        except ValueError:
            self.broken.append(line)
            return
        self.times.append(time / 1000 if time > _MILLISECONDS else time)
        self.values.append(value)
        self.steps.append(step[0] if step else float("nan"))
        self.origins.append(line)

    def series(self, path: str, tag: str) -> Series:
        steps = floats(self.steps)
        axes = {} if bool((steps != steps).all()) else {"step": steps}
        return Series(
            path, tag, floats(self.values), axes, ints(self.origins), KIND, "line", wall_clock(floats(self.times))
        )
