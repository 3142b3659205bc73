"""Runs made by hand: columns of numbers in, a `Run` out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pytest

from lrdoctor.model.arrays import floats, ints
from lrdoctor.model.run import Hint, Run, Scalar, Series


class MakeSeries(Protocol):
    def __call__(self, tag: str, values: npt.ArrayLike, **axes: npt.ArrayLike) -> Series: ...


def _series(
    tag: str,
    values: npt.ArrayLike,
    *,
    path: str = "run/metrics.csv",
    kind: str = "csv",
    origin: Sequence[int] | None = None,
    wall: npt.ArrayLike | None = None,
    session: npt.ArrayLike | None = None,
    **axes: npt.ArrayLike,
) -> Series:
    """Further keyword arguments are axes; a double underscore stands for a slash ("trainer__global_step")."""
    numbers = floats(values)
    lines = np.arange(2, len(numbers) + 2) if origin is None else np.asarray(origin)
    return Series(
        path,
        tag,
        numbers,
        {name.replace("__", "/"): floats(axis) for name, axis in axes.items()},
        ints(lines),
        kind,
        wall_time=None if wall is None else floats(wall),
        session=None if session is None else ints(session),
    )


def _run(*pieces: Series, framework: str | None = None, **hints: Scalar) -> Run:
    """A run of these series, with hints by name."""
    declared = tuple(Hint(name, value, "run/args.yaml", name) for name, value in hints.items())
    return Run("run", pieces, hints=declared, framework=framework)


@pytest.fixture(scope="session")
def series():
    return _series


@pytest.fixture(scope="session")
def run():
    return _run
