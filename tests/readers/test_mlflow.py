"""MLflow's two stores: the file store `mlruns/` and a SQLite database, as MLflow 3 and its predecessors write them."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import pytest

from lrdoctor.errors import ReadError
from lrdoctor.model.run import Hint, Note, Series
from lrdoctor.readers import mlflow_files, mlflow_store, read
from lrdoctor.readers.discover import discover
from lrdoctor.reconstruct import reconstruct

RUN, OTHER = "54f4ac15a20b4e0b9d956264fb0db1a3", "d2aef383bb394521941eccfd8ce58afd"
META = """artifact_uri: file:///x/artifacts
end_time: 1795620977777
experiment_id: '6975'
lifecycle_stage: active
run_id: {run}
run_name: a
start_time: 1795620977749
status: 3
tags: []
"""


def file_run(root: Path, run: str = RUN, metrics: dict[str, str] | None = None) -> Path:
    """A run as MLflow 3.17's file store writes it: byte for byte, with its numbers replaced."""
    folder = root / "mlruns" / "6975" / run
    given = metrics or {
        "train/lr": "".join(f"{1795620977763 + n} {0.1 / (n + 1)} {n}\n" for n in range(4)),
        "loss": "1795620977764 2.0 0\n1795620977769 1.9 1\n1795620977771 nan 2\n1795620977772 inf 9\n",
    }
    for kind, items in (("metrics", given), ("params", {"lr": "0.1", "batch_size": "32", "optim/name": "adam"})):
        for name, text in items.items():
            (folder / kind / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / kind / name).write_text(text)
    (folder / "tags").mkdir()
    (folder / "tags" / "mlflow.runName").write_text("a")
    (folder / "meta.yaml").write_text(META.format(run=run))
    (folder.parent / "meta.yaml").write_text("experiment_id: '6975'\nname: exp one\n")
    return folder


def test_a_run_of_the_file_store_is_a_log(tmp_path: Path) -> None:
    folder = file_run(tmp_path)
    (run,) = read(str(tmp_path))
    assert run.path == str(folder)
    series = {item.tag: item for item in run.series}
    assert series["train/lr"].values.tolist() == [0.1, 0.05, 0.1 / 3, 0.025]
    assert series["train/lr"].axes["step"].tolist() == [0, 1, 2, 3]
    assert series["train/lr"].wall_time is not None
    assert series["train/lr"].wall_time[0] == 1795620977.763
    assert math.isnan(series["loss"].values[2])
    assert series["loss"].values[3] == math.inf
    assert {(hint.name, hint.value) for hint in run.hints} >= {("lr", 0.1), ("batch_size", 32)}
    assert [source.points for source in run.sources] == [8]
    assert reconstruct(run).lr_points == 4


def test_checkpoints_among_the_artifacts_belong_to_the_run(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    folder = file_run(tmp_path)
    (folder / "artifacts" / "checkpoints").mkdir(parents=True)
    torch.save({"model": {"w": torch.ones(2)}, "epoch": 1}, folder / "artifacts" / "checkpoints" / "last.pt")
    (run,) = read(str(tmp_path))
    assert [saved.epoch for saved in run.checkpoints] == [1]


def test_each_run_of_an_experiment_is_one(tmp_path: Path) -> None:
    file_run(tmp_path)
    file_run(tmp_path, OTHER)
    assert [Path(run.path).name for run in discover([str(tmp_path)]).runs] == [RUN, OTHER]


def test_a_fit_that_logged_each_metric_once_is_no_training(tmp_path: Path) -> None:
    file_run(tmp_path, metrics={"accuracy": "1795620977763 0.9 0\n"})
    found = discover([str(tmp_path)])
    assert found.runs == ()
    assert [item.reason for item in found.skipped] == [mlflow_files.NO_CURVE]


def test_lines_of_older_versions_have_no_step_and_seconds(tmp_path: Path) -> None:
    folder = file_run(tmp_path, metrics={"lr": "1530000000 0.5\n1530000060 0.25\n"})
    (lr,) = [item for item in mlflow_files.read(str(folder)) if isinstance(item, Series)]
    assert (lr.values.tolist(), lr.axes) == ([0.5, 0.25], {})
    assert lr.wall_time is not None
    assert lr.wall_time.tolist() == [1530000000, 1530000060]


def test_a_cut_line_and_rubbish_are_noted(tmp_path: Path) -> None:
    folder = file_run(tmp_path, metrics={"lr": "1795620977763 0.5 0\nrubbish\n1795620977764 0.25 1\n17956209"})
    items = list(mlflow_files.read(str(folder)))
    assert [len(item) for item in items if isinstance(item, Series)] == [2]
    assert [str(item) for item in items if isinstance(item, Note)] == [
        "2 lines of metric 'lr' skipped: not a point at line 2"
    ]


def test_a_folder_without_points_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no metric"):
        list(mlflow_files.read(str(file_run(tmp_path, metrics={"lr": "rubbish\n"}))))


SCHEMA = """
CREATE TABLE experiments (experiment_id INTEGER NOT NULL, name VARCHAR(256) NOT NULL);
CREATE TABLE "runs" (run_uuid VARCHAR(32) NOT NULL, name VARCHAR(250), status VARCHAR(9), start_time BIGINT,
    end_time BIGINT, lifecycle_stage VARCHAR(20), experiment_id INTEGER, CONSTRAINT run_pk PRIMARY KEY (run_uuid));
CREATE TABLE "metrics" ("key" VARCHAR(250) NOT NULL, value FLOAT NOT NULL, timestamp BIGINT NOT NULL,
    run_uuid VARCHAR(32) NOT NULL, step BIGINT DEFAULT '0' NOT NULL, is_nan BOOLEAN DEFAULT '0' NOT NULL,
    CONSTRAINT metric_pk PRIMARY KEY ("key", timestamp, step, run_uuid, value, is_nan));
CREATE TABLE "params" ("key" VARCHAR(250) NOT NULL, value VARCHAR(8000) NOT NULL, run_uuid VARCHAR(32) NOT NULL);
"""
LARGEST = 1.7976931348623157e308


def store(path: Path, runs: tuple[str, ...] = (RUN,), stage: str = "active", points: int = 4) -> Path:
    """A database with the tables and the values MLflow 3.17 writes."""
    with sqlite3.connect(path) as made:
        made.executescript(SCHEMA)
        for start, run in enumerate(runs):
            made.execute("INSERT INTO runs VALUES (?, 'a', 'FINISHED', ?, 9, ?, 1)", (run, start, stage))
            for n in range(points):
                made.execute("INSERT INTO metrics VALUES ('lr', ?, ?, ?, ?, 0)", (0.1 / (n + 1), 1.8e12 + n, run, n))
            made.execute("INSERT INTO metrics VALUES ('loss', 0.0, 1, ?, 2, 1)", (run,))
            made.execute("INSERT INTO metrics VALUES ('loss', ?, 2, ?, 3, 0)", (-LARGEST, run))
            made.execute("INSERT INTO params VALUES ('batch_size', '32', ?)", (run,))
    made.close()
    return path


def test_a_database_holds_a_run_under_its_id(tmp_path: Path) -> None:
    path = store(tmp_path / "mlflow.db", (RUN, OTHER))
    found = read(str(tmp_path))
    assert [run.path for run in found] == [f"{path}#{RUN}", f"{path}#{OTHER}"]
    series = {item.tag: item for item in found[0].series}
    assert series["lr"].values.tolist() == [0.1, 0.05, 0.1 / 3, 0.025]
    assert series["lr"].axes["step"].tolist() == [0, 1, 2, 3]
    assert math.isnan(series["loss"].values[0])
    assert series["loss"].values[1] == -math.inf
    assert ("batch_size", 32) in {(hint.name, hint.value) for hint in found[0].hints}


def test_a_database_named_by_the_user_is_read(tmp_path: Path) -> None:
    path = store(tmp_path / "tracking.sqlite")
    (run,) = read(str(path))
    assert reconstruct(run).lr_points == 4


def test_a_database_that_cannot_be_locked_is_read(tmp_path: Path) -> None:
    path = store(tmp_path / "mlflow.db")
    with sqlite3.connect(path) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("BEGIN IMMEDIATE")
        assert mlflow_store.runs_in(str(path)) == [RUN]


@pytest.mark.parametrize(("stage", "points"), [("deleted", 4), ("active", 1)])
def test_deleted_runs_and_single_values_are_left_out(stage: str, points: int, tmp_path: Path) -> None:
    path = store(tmp_path / "mlflow.db", stage=stage, points=points)
    with sqlite3.connect(path) as made:
        made.execute("DELETE FROM metrics WHERE key = 'loss'")
    assert mlflow_store.runs_in(str(path)) == []


def test_other_databases_are_no_logs(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "app.db") as made:
        made.execute("CREATE TABLE users (name TEXT)")
        made.execute("CREATE VIEW metrics AS SELECT 1")
    made.close()
    path = str(tmp_path / "app.db")
    assert not mlflow_store.sniff(path, (tmp_path / "app.db").read_bytes()[:100])
    with pytest.raises(ReadError, match="not MLflow's"):
        list(mlflow_store.read(path))


def test_a_query_without_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store(tmp_path / "mlflow.db", points=3000)
    monkeypatch.setattr(mlflow_store, "_STEPS_A_CALL", 1000)
    monkeypatch.setattr(mlflow_store, "_MAX_STEPS", 5000)
    with pytest.raises(ReadError, match="damaged") as caught:
        list(mlflow_store.read(f"{path}#{RUN}"))
    assert "interrupted" in str(caught.value)


def test_a_database_cut_anywhere_gives_points_or_an_error(tmp_path: Path) -> None:
    whole = store(tmp_path / "mlflow.db", points=300).read_bytes()
    path = tmp_path / "cut.db"
    for size in range(0, len(whole), 509):
        path.write_bytes(whole[:size])
        try:
            items = list(mlflow_store.read(f"{path}#{RUN}"))
        except ReadError:
            continue
        assert all(isinstance(item, Series | Hint | Note) for item in items)
