"""The columns of a table exported from a tracker: W&B's "RUN - METRIC", TensorBoard's "Step,Value", names in cells.

W&B's panels export a column per run and metric, named "RUN - METRIC", and beside it "RUN - METRIC__MIN" and "__MAX",
the bounds of what was averaged into a point. TensorBoard and Neptune export one series of one run, and only the file is
named after it. Comet, ClearML and MLflow give their metrics below each other, the name in a cell of each row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

_BETWEEN = " - "
_BOUNDS = ("__MIN", "__MAX", "__STEP")
_SINGLE = frozenset({"wall time", "step", "value"})
_SINGLE_BY_FILE = frozenset({"step", "value", "timestamp"})
_NAMING = frozenset({"metric", "metricname", "metric_name", "metric.name", "variant", "key", "tag"})
_VALUES = frozenset({"value", "metricvalue", "metric_value"})
_TAG_IN_NAME = re.compile(r"tag-(?P<tag>[^/]+)\.(?:csv|json)$", re.IGNORECASE)
DROPPED = ""  # the name of a column that is not read


def runs_of(columns: Sequence[str]) -> list[str]:
    """The runs side by side in a W&B export, in order; empty for any other table."""
    named = [name for name in columns if name]
    split = [name.rpartition(_BETWEEN) for name in named]
    of_runs = [run for run, between, metric in split if between and run and metric]
    bounded = {name for name in named if name.endswith(_BOUNDS[:2])}
    twins = any(f"{name}{_BOUNDS[0]}" in bounded and f"{name}{_BOUNDS[1]}" in bounded for name in named)
    if not of_runs or not (twins or len(of_runs) >= len(named) - 1):
        return []
    return list(dict.fromkeys(of_runs))


def long_form(columns: Sequence[str]) -> tuple[list[int], int] | None:
    """Which columns name the metric of a row, and which has its value; None where each metric has a column."""
    naming = [place for place, name in enumerate(columns) if name.lower() in _NAMING]
    values = [place for place, name in enumerate(columns) if name.lower() in _VALUES]
    return (naming, values[0]) if naming and len(values) == 1 else None


def names_of(columns: Sequence[str], path: str, run: str | None) -> list[str]:
    """The metrics that columns stand for. Those of other runs than `run`, and bounds, are `DROPPED`."""
    lowered = {name.lower() for name in columns if name}
    if lowered == _SINGLE_BY_FILE:
        return [PurePosixPath(path).stem if name.lower() == "value" else name for name in columns]
    if lowered == _SINGLE:
        tag = _TAG_IN_NAME.search(path)
        return [tag["tag"] if tag and name.lower() == "value" else name for name in columns]
    runs = runs_of(columns)
    if not runs:
        return list(columns)
    if run is None and len(runs) == 1:
        run = runs[0]
    return [_name_of(column, run) for column in columns]


def _name_of(column: str, run: str | None) -> str:
    """The whole column where no run is asked for and there are several."""
    owner, between, metric = column.rpartition(_BETWEEN)
    if column.endswith(_BOUNDS):
        return DROPPED
    if not between or run is None:
        return column
    return metric if owner == run else DROPPED
