"""The columns of a chart exported from a tracker: W&B's "RUN - METRIC", TensorBoard's "Step,Value".

W&B's panels export a column per run and metric, named "RUN - METRIC", and beside it "RUN - METRIC__MIN" and "__MAX",
the bounds of what was averaged into a point. TensorBoard exports one tag of one run, and names only the file after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_BETWEEN = " - "
_BOUNDS = ("__MIN", "__MAX", "__STEP")
_SINGLE = frozenset({"wall time", "step", "value"})
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


def names_of(columns: Sequence[str], path: str, run: str | None) -> list[str]:
    """The metrics that columns stand for. Those of other runs than `run`, and bounds, are `DROPPED`."""
    if {name.lower() for name in columns if name} == _SINGLE:
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
