"""A run's series as one tidy table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lrdoctor.model.run import Run, Series

_LAST = ("wall_time", "session", "path", "origin", "origin_unit")


def frame_of(run: Run, tags: Sequence[str] = ()) -> pd.DataFrame:
    """A row a point; `Run.frame` describes the columns. `KeyError` for a tag the run does not have."""
    missing = [tag for tag in tags if tag not in run.tags]
    if missing:
        raise KeyError(f"no series named {missing[0]!r} in {run.path}; there are: {', '.join(run.tags) or 'none'}")
    wanted = [series for series in run.series if not tags or series.tag in tags]
    axes = list(dict.fromkeys(name for series in wanted for name in series.axes))
    if not wanted:
        return pd.DataFrame(columns=["tag", "value", *_LAST])
    table = pd.concat([_rows(series, axes) for series in wanted], ignore_index=True)
    return table.astype({"tag": "category", "path": "category", "origin_unit": "category", "session": "Int64"})


def _rows(series: Series, axes: Sequence[str]) -> pd.DataFrame:
    unknown = np.full(len(series), np.nan)
    columns: dict[str, object] = {"tag": series.tag, "value": series.values}
    columns |= {name: series.axes.get(name, unknown) for name in axes}
    columns["wall_time"] = unknown if series.wall_time is None else series.wall_time
    columns["session"] = unknown if series.session is None else series.session
    columns |= {"path": series.path, "origin": series.origin, "origin_unit": series.origin_unit}
    return pd.DataFrame(columns, index=range(len(series)))
