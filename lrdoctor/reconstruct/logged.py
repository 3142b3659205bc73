"""One tag over all its files, on the trajectory's step axis, in the order of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrdoctor.model.arrays import FloatArray, IntArray
from lrdoctor.model.run import Series
from lrdoctor.reconstruct.axis import Axis, on_axis


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """All (T,). `file` indexes `paths`; `origin` is the place in that file; `writer` the writing process a file itself
    tells apart (0 where it does not); `wall` is NaN where unknown. Points without a step are left out already."""

    tag: str
    steps: FloatArray
    values: FloatArray
    file: IntArray
    origin: IntArray
    writer: IntArray
    wall: FloatArray
    paths: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.steps)


def gather(tag: str, pieces: Sequence[Series], axis: Axis, paths: tuple[str, ...]) -> Logged:
    """Join the pieces of a tag. `paths` fixes the numbering of files, those of other tags included."""
    columns: list[tuple[np.ndarray, ...]] = []
    rows = 0
    for one in sorted(pieces, key=lambda one: paths.index(one.path)):
        steps = on_axis(axis, one)
        if axis.name is None:
            steps, rows = steps + rows, rows + len(steps)
        known = np.isfinite(steps)
        wall = one.wall_time if one.wall_time is not None else np.full(len(one), np.nan)
        writer = one.session if one.session is not None else np.zeros(len(one), dtype=np.int64)
        file = np.full(len(one), paths.index(one.path))
        columns.append(tuple(column[known] for column in (steps, one.values, file, one.origin, writer, wall)))
    joined = [np.concatenate(column) for column in zip(*columns, strict=True)]
    return Logged(tag, joined[0], joined[1], joined[2], joined[3], joined[4], joined[5], paths)
