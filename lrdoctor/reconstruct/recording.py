"""A recording: the series one writer left in one place, a log file or the event files of one folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from lrdoctor.model.run import Run, Series

EVENTS = "tensorboard"


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """`series` of the files `paths`, which are sessions of one writer in the order of training."""

    kind: str
    place: str
    paths: tuple[str, ...]
    series: tuple[Series, ...]

    def of_tag(self, tag: str) -> tuple[Series, ...]:
        """The pieces of one tag, one a file, in the order of training."""
        order = {path: position for position, path in enumerate(self.paths)}
        return tuple(sorted((s for s in self.series if s.tag == tag), key=lambda s: order[s.path]))

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(s.tag for s in self.series))

    @property
    def name(self) -> str:
        """How to call it in a sentence."""
        if len(self.paths) == 1:
            return self.paths[0]
        return f"the {len(self.paths)} files of {self.place}"


def recordings(run: Run) -> tuple[Recording, ...]:
    """The run's series by where they were written: event files by folder, all others by file."""
    places: dict[tuple[str, str], list[Series]] = {}
    for series in run.series:
        if len(series):
            places.setdefault((series.kind, _place(series)), []).append(series)
    return tuple(join(kind, place, series) for (kind, place), series in places.items())


def join(kind: str, place: str, series: Iterable[Series]) -> Recording:
    """One recording of these series, its files put in the order of training."""
    pieces = tuple(series)
    return Recording(kind, place, _training_order(pieces), pieces)


def _place(series: Series) -> str:
    return str(PurePosixPath(series.path).parent) if series.kind == EVENTS else series.path


def _training_order(series: Iterable[Series]) -> tuple[str, ...]:
    """Files by the wall time of their first point; by name where a file has none (names hold the start time)."""
    first: dict[str, float] = {}
    for one in series:
        start = np.inf
        if one.wall_time is not None and len(one.wall_time):
            start = float(np.nanmin(one.wall_time)) if np.isfinite(one.wall_time).any() else np.inf
        first[one.path] = min(first.get(one.path, np.inf), start)
    if any(np.isinf(start) for start in first.values()):
        return tuple(sorted(first))
    return tuple(sorted(first, key=lambda path: (first[path], path)))
