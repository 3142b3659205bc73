"""Pickled pandas tables give the series pandas itself would give, without being unpickled."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Series
from lrdoctor.readers import pickled_table

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "runs"


def _table(rows: int = 40) -> pd.DataFrame:
    steps = np.arange(rows) * 10
    return pd.DataFrame(
        {"step": steps, "lr": 1e-3 * 0.9**steps, "loss": (1 / (1 + steps)).astype("f4"), "note": ["x"] * rows}
    )


def _series(path: Path) -> dict[str, Series]:
    return {item.tag: item for item in pickled_table.read(str(path)) if isinstance(item, Series)}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_columns_are_read_as_pandas_reads_them(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "log.pkl"
    path.write_bytes(pickle.dumps(_table(), protocol))
    assert pickled_table.sniff(str(path), path.read_bytes()[:4096])
    found = _series(path)
    assert sorted(found) == ["loss", "lr"]
    for name, series in found.items():
        np.testing.assert_array_equal(series.values, _table()[name].to_numpy(dtype=float))
        np.testing.assert_array_equal(series.axes["step"], _table()["step"])


def test_tables_of_a_dict_are_told_apart_by_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "log.pkl"
    pd.to_pickle({"a": _table(), "b": _table(7)}, path)
    assert {tag: len(series) for tag, series in _series(path).items()} == {
        "a/loss": 40, "a/lr": 40, "b/loss": 7, "b/lr": 7,
    }  # fmt: skip


def test_a_pickle_without_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.pkl"
    path.write_bytes(pickle.dumps({"pandas": [1, 2]}))
    with pytest.raises(ReadError, match="no table"):
        _series(path)


def test_every_cut_is_refused(tmp_path: Path) -> None:
    whole = pickle.dumps(_table(3), 5)
    path = tmp_path / "log.pkl"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ReadError):
            _series(path)


class Run:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


def test_code_beside_a_table_is_not_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    path = tmp_path / "log.pkl"
    path.write_bytes(pickle.dumps({"evil": Run(f"touch {marker}"), "a": _table()}))
    assert sorted(_series(path)) == ["a/loss", "a/lr"]
    assert not marker.exists()


def test_bytes_that_do_not_fit_the_shape_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.pkl"
    whole = pickle.dumps(_table(1000), 5)
    path.write_bytes(whole.replace(b"M\xe8\x03", b"M\xe9\x03"))
    with pytest.raises(ReadError, match="no usable table"):
        _series(path)


def test_the_recorded_scaling_law_runs_have_all_their_points() -> None:
    path = DATA / "zkshan2002__ScalingLaw" / "gpt_loss_lrs" / "gpt_loss+lrs.pkl"
    if not path.exists():
        pytest.skip("the recorded public runs are not beside this checkout")
    rates = [series for tag, series in _series(path).items() if tag.endswith("/lr")]
    assert [len(series) for series in rates] == [33908, 33907, 33907]
