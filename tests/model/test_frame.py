"""A run as one tidy table."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from lrdoctor.model.arrays import floats, ints
from lrdoctor.model.run import Run, Series

RATE = Series("a.csv", "lr", floats([0.1, 0.05]), {"step": floats([0, 10])}, ints([2, 4]), "csv", session=ints([0, 1]))
LOSS = Series(
    "events", "loss", floats([2.0, math.nan, 1.0]), {"epoch": floats([0, 1, 2])}, ints([40, 80, 120]), "tensorboard",
    origin_unit="byte", wall_time=floats([1e9, 2e9, 3e9]),
)  # fmt: skip
RUN = Run("runs/a", (RATE, LOSS))


def test_every_point_is_a_row_and_every_counter_a_column() -> None:
    table = RUN.frame()
    columns = ["tag", "value", "step", "epoch", "wall_time", "session", "path", "origin", "origin_unit"]
    assert list(table.columns) == columns
    assert table["tag"].tolist() == ["lr", "lr", "loss", "loss", "loss"]
    assert table["step"].fillna(-1).tolist() == [0, 10, -1, -1, -1]
    assert table["epoch"].fillna(-1).tolist() == [-1, -1, 0, 1, 2]
    assert table["origin"].tolist() == [2, 4, 40, 80, 120]
    assert table["origin_unit"].tolist() == ["line", "line", "byte", "byte", "byte"]


def test_a_nan_that_was_logged_is_a_point() -> None:
    assert RUN.frame("loss")["value"].isna().tolist() == [False, True, False]


def test_what_a_file_does_not_say_is_absent() -> None:
    table = RUN.frame()
    assert table["wall_time"].isna().tolist() == [True, True, False, False, False]
    assert table["session"].isna().tolist() == [False, False, True, True, True]


def test_tags_can_be_asked_for_and_bring_their_own_counters_only() -> None:
    table = RUN.frame("lr")
    assert set(table["tag"]) == {"lr"}
    assert "epoch" not in table.columns


def test_a_tag_that_is_not_there_is_a_key_error_that_lists_the_others() -> None:
    with pytest.raises(KeyError, match="there are: lr, loss"):
        RUN.frame("rate")


def test_a_run_without_series_is_an_empty_table() -> None:
    table = Run("runs/b").frame()
    assert isinstance(table, pd.DataFrame)
    assert len(table) == 0
    assert "value" in table.columns


def test_tags_are_told_once_each_in_the_order_read() -> None:
    assert Run("a", (RATE, LOSS, RATE)).tags == ("lr", "loss")
