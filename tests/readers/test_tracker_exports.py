"""What trackers export: W&B's charts, TensorBoard's single tags, and histories as Parquet."""

from __future__ import annotations

import builtins
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lrdoctor.errors import ReadError
from lrdoctor.readers import parquet_table, read
from lrdoctor.readers.tracker_columns import names_of, runs_of
from lrdoctor.reconstruct import reconstruct

CHART = '"Step","sun-3 - train/lr","sun-3 - train/lr__MIN","sun-3 - train/lr__MAX"\n' + "".join(
    f'"{n}","{0.1 / (n + 1)}","{0.1 / (n + 1)}","{0.1 / (n + 1)}"\n' for n in range(5)
)


def test_a_chart_of_one_run_is_that_run(tmp_path: Path) -> None:
    (tmp_path / "chart.csv").write_text(CHART)
    (run,) = read(str(tmp_path / "chart.csv"))
    assert [item.tag for item in run.series] == ["train/lr"]
    assert run.series[0].axes["Step"].tolist() == [0, 1, 2, 3, 4]


def test_the_name_of_a_run_is_no_learning_rate(tmp_path: Path) -> None:
    (tmp_path / "chart.csv").write_text(CHART.replace("sun-3", "lr-sweep").replace("train/lr", "train/loss"))
    (run,) = read(str(tmp_path / "chart.csv"))
    assert reconstruct(run).groups == ()


def test_a_chart_of_several_runs_is_a_run_each(tmp_path: Path) -> None:
    rows = ["Step,a - lr,a - lr__MIN,a - lr__MAX,b #2 - lr,b #2 - lr__MIN,b #2 - lr__MAX,a - loss,b #2 - loss"]
    rows += [f"{n},0.{n}1,0,1,,,,2.5," for n in range(1, 4)] + [f"{n},,,,0.{n}2,0,1,,1.5" for n in range(1, 4)]
    path = tmp_path / "wandb_export.csv"
    path.write_text("\n".join(rows) + "\n")
    first, second = read(str(tmp_path))
    assert (first.path, second.path) == (f"{path}#a", f"{path}#b #2")
    assert {item.tag: item.values.tolist() for item in first.series} == {"lr": [0.11, 0.21, 0.31], "loss": [2.5] * 3}
    assert {item.tag: item.values.tolist() for item in second.series} == {"lr": [0.12, 0.22, 0.32], "loss": [1.5] * 3}
    assert [reconstruct(run).lr_points for run in (first, second)] == [3, 3]


def test_tables_with_dashes_in_a_name_are_no_chart() -> None:
    names = ["epoch", "top-1 acc", "lr - warmup", "loss"]
    assert runs_of(names) == []
    assert names_of(names, "a.csv", None) == names


@pytest.mark.parametrize("name", ["run_a-tag-train_lr.csv", "run-.-tag-train_lr.csv"])
def test_a_tag_downloaded_from_tensorboard_is_named_by_its_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("Wall time,Step,Value\n" + "".join(f"{1.7e9 + n},{n},0.{n}1\n" for n in range(1, 5)))
    (run,) = read(str(tmp_path))
    (lr,) = run.series
    assert (lr.tag, lr.values.tolist()) == ("train_lr", [0.11, 0.21, 0.31, 0.41])
    assert lr.wall_time is not None


def test_two_tags_downloaded_from_tensorboard_are_one_run(tmp_path: Path) -> None:
    for tag in ("train_lr", "train_loss"):
        rows = "".join(f"{1.7e9 + n},{n},0.{n}1\n" for n in range(1, 5))
        (tmp_path / f"run_a-tag-{tag}.csv").write_text("Wall time,Step,Value\n" + rows)
    (run,) = read(str(tmp_path))
    assert {item.tag for item in run.series} == {"train_lr", "train_loss"}


def rate(step: int) -> float:
    return 0.1 * (1 - step / 40)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("metricName,metricValue,timestamp,step,epoch", "{tag},{value},1714521600000,{step},"),  # Comet
        ("metric,variant,iteration,value", "{tag},,{step},{value}"),  # ClearML
        ("key,value,timestamp,step", "{tag},{value},1714521600000,{step}"),  # MLflow
    ],
)
def test_a_metric_a_row_is_a_series_a_metric(header: str, row: str, tmp_path: Path) -> None:
    lines = [
        row.format(tag=tag, value=value, step=step)
        for step in range(40)
        for tag, value in (("train/lr", rate(step)), ("loss", 2 - step / 40))
    ]
    (tmp_path / "metrics.csv").write_text("\n".join([header, *lines]) + "\n")
    (run,) = read(str(tmp_path))
    series = {item.tag: item for item in run.series}
    assert series["train/lr"].values.tolist() == [rate(step) for step in range(40)]
    assert series["loss"].origin.tolist() == list(range(3, 82, 2))
    group = reconstruct(run).groups[0]
    assert (group.name, group.steps.tolist()) == ("train/lr", list(range(40)))


def test_both_columns_that_name_a_metric_count(tmp_path: Path) -> None:
    rows = "".join(f"lr,group {group},{step},0.{step}\n" for step in range(1, 6) for group in (0, 1))
    (tmp_path / "scalars.csv").write_text("metric,variant,iteration,value\n" + rows)
    (run,) = read(str(tmp_path))
    assert [item.tag for item in run.series] == ["lr/group 0", "lr/group 1"]


def test_a_series_downloaded_from_neptune_is_named_by_its_file(tmp_path: Path) -> None:
    for name, first in (("lr", 0.1), ("loss", 2.5)):
        rows = "".join(f"{step}.0,{first / (1 + step)},2024-05-01 00:00:{step:02d}\n" for step in range(20))
        (tmp_path / f"{name}.csv").write_text("step,value,timestamp\n" + rows)
    (run,) = read(str(tmp_path))
    assert {item.tag for item in run.series} == {"lr", "loss"}
    assert reconstruct(run).lr_points == 20


class TestParquet:
    """Written by pyarrow itself."""

    @pytest.fixture(autouse=True)
    def _pyarrow(self) -> None:
        pytest.importorskip("pyarrow")

    def frame(self) -> pd.DataFrame:
        steps = np.arange(6)
        return pd.DataFrame(
            {
                "_step": steps,
                "_timestamp": 1.7e9 + steps,
                "train/lr": np.where(steps % 2 == 0, 0.1 / (1 + steps), np.nan),
                "loss": 2.0 - steps / 10,
                "note": ["x"] * 6,
            }
        )

    def test_a_history_is_read_as_pandas_wrote_it(self, tmp_path: Path) -> None:
        self.frame().to_parquet(tmp_path / "0000.parquet")
        (run,) = read(str(tmp_path))
        series = {item.tag: item for item in run.series}
        assert set(series) == {"train/lr", "loss"}
        assert series["train/lr"].values.tolist() == [0.1, 0.1 / 3, 0.1 / 5]
        assert series["train/lr"].axes["_step"].tolist() == [0, 2, 4]
        assert (series["loss"].origin.tolist(), series["loss"].origin_unit) == ([1, 2, 3, 4, 5, 6], "row")
        assert series["loss"].wall_time is not None

    def test_a_nan_is_a_value_and_a_null_is_none(self, tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table({"step": [1, 2, 3], "loss": pa.array([1.5, math.nan, None])})
        pq.write_table(table, tmp_path / "a.parquet")
        (run,) = read(str(tmp_path))
        assert len(run.series[0]) == 2
        assert math.isnan(run.series[0].values[1])

    def test_a_list_in_each_cell_is_one_series_a_group(self, tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"epoch": [1, 2], "lr": [[0.1, 0.2], [0.05, 0.1]]}), tmp_path / "a.parquet")
        (run,) = read(str(tmp_path))
        assert {item.tag: item.values.tolist() for item in run.series} == {"lr[0]": [0.1, 0.05], "lr[1]": [0.2, 0.1]}

    def test_a_chart_of_several_runs_is_a_run_each(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"Step": [1, 2], "a - lr": [0.1, 0.2], "b - lr": [0.3, 0.4]})
        frame.to_parquet(tmp_path / "chart.parquet")
        assert [run.path.rsplit("#")[-1] for run in read(str(tmp_path))] == ["a", "b"]

    def test_data_sets_are_no_logs(self, tmp_path: Path) -> None:
        pd.DataFrame({"text": ["a", "b"], "label": [0, 1]}).to_parquet(tmp_path / "train.parquet")
        pd.DataFrame({"step": ["a", "b"], "answer": [0, 1]}).to_parquet(tmp_path / "test.parquet")
        for name in ("train.parquet", "test.parquet"):
            assert not parquet_table.sniff(str(tmp_path / name), (tmp_path / name).read_bytes()[:64])

    def test_a_file_cut_anywhere_is_refused(self, tmp_path: Path) -> None:
        self.frame().to_parquet(tmp_path / "a.parquet")
        whole = (tmp_path / "a.parquet").read_bytes()
        for size in range(0, len(whole), 97):
            (tmp_path / "a.parquet").write_bytes(whole[:size])
            assert not parquet_table.sniff(str(tmp_path / "a.parquet"), whole[:64])
            with pytest.raises(ReadError):
                list(parquet_table.read(str(tmp_path / "a.parquet")))

    def test_without_pyarrow_the_extra_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.frame().to_parquet(tmp_path / "a.parquet")
        imported = builtins.__import__

        def without(name: str, *args: Any, **kwargs: Any) -> Any:
            if name.startswith("pyarrow"):
                raise ImportError(f"No module named {name!r}")
            return imported(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(ReadError) as caught:
            read(str(tmp_path))
        assert "lrdoctor[parquet]" in (caught.value.why or "")
