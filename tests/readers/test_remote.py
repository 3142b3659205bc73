"""Runs behind a URL: found and read like those on disk, and of a checkpoint only what it takes to describe it."""

from __future__ import annotations

import builtins
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from lrdoctor.cli.main import cli
from lrdoctor.errors import MissingExtraError, UsageError
from lrdoctor.readers import read
from lrdoctor.readers.checkpoint import read_checkpoint
from lrdoctor.readers.remote import RemoteFile
from lrdoctor.readers.storage import is_remote, joined

fsspec = pytest.importorskip("fsspec")
from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402

torch = pytest.importorskip("torch")


class CountingFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """Files in memory; `spans` are the ranges that were asked for, `whole` the files that were opened as a stream."""

    protocol = "counting"
    store: dict[str, Any] = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012
    spans: list[tuple[str, int, int]] = []  # noqa: RUF012
    whole: list[str] = []  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("counting://")))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        content = bytes(super().cat_file(path, start=start, end=end, **kwargs))
        self.spans.append((path, start or 0, (start or 0) + len(content)))
        return content

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if mode == "rb":
            self.whole.append(path)
        return super()._open(path, mode, **kwargs)

    @classmethod
    def fetched(cls) -> int:
        return sum(stop - start for _, start, stop in cls.spans)


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Any]:
    """Copies a local folder into the store and forgets what has been asked for."""
    fsspec.register_implementation("counting", CountingFileSystem, clobber=True)
    system = CountingFileSystem()

    def put(folder: Path, name: str = "runs") -> str:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                system.pipe_file(f"/{name}/{file.relative_to(folder).as_posix()}", file.read_bytes())
        CountingFileSystem.spans.clear()
        CountingFileSystem.whole.clear()
        return f"counting://{name}"

    yield put
    for content in (CountingFileSystem.store, CountingFileSystem.spans, CountingFileSystem.whole):
        content.clear()


def a_run(folder: Path) -> None:
    """An event file, a table, settings, a side file in JSON and checkpoints: as a framework would leave them."""
    writer = EventFileWriter(str(folder))
    for step in range(20):
        values = [Summary.Value(tag="lr", simple_value=0.1 / (1 + step)), Summary.Value(tag="loss", simple_value=2.0)]
        writer.add_event(Event(wall_time=1.7e9 + step, step=step, summary=Summary(value=values)))
    writer.close()
    (folder / "metrics.csv").write_text("step,val_loss\n0,1.5\n10,1.25\n")
    (folder / "config.json").write_text(json.dumps({"learning_rate": 0.1, "batch_size": 8}))
    trained().save(folder / "last.pt")


class trained:  # noqa: N801
    """A small model with a large layer, and an optimizer that has taken three steps."""

    def __init__(self, width: int = 64, parameters: int = 3) -> None:
        layers = [torch.nn.Linear(width, width) for _ in range(parameters)]
        self.model = torch.nn.Sequential(*layers)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=50)
        for _ in range(3):
            self.optimizer.zero_grad()
            self.model(torch.ones(1, width)).sum().backward()
            self.optimizer.step()
            self.scheduler.step()

    def save(self, path: Path, *, new: bool = True) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        states = {
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(), "epoch": 3,
        }  # fmt: skip
        torch.save(states, path, _use_new_zipfile_serialization=new)


def test_a_remote_run_is_read_as_the_local_one(bucket: Any, tmp_path: Path) -> None:
    a_run(tmp_path / "a")
    (here,) = read(str(tmp_path / "a"))
    (there,) = read(bucket(tmp_path) + "/a")
    assert there.path == "counting://runs/a"
    assert [item.tag for item in there.series] == [item.tag for item in here.series]
    for near, far in zip(here.series, there.series, strict=True):
        assert np.array_equal(near.values, far.values)
        assert far.path.startswith("counting://runs/a/")
    assert [(hint.name, hint.value) for hint in there.hints] == [(hint.name, hint.value) for hint in here.hints]
    assert there.checkpoints[0].optimizer == here.checkpoints[0].optimizer
    assert there.checkpoints[0].schedulers == here.checkpoints[0].schedulers


def test_all_runs_below_a_url_are_found(bucket: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text("step,lr,loss\n" + "".join(f"{n},0.1,2\n" for n in range(9)))
    assert [run.path for run in read(bucket(tmp_path))] == ["counting://runs/a", "counting://runs/b"]


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_of_a_checkpoint_only_metadata_and_steps_are_fetched(bucket: Any, tmp_path: Path, new: bool) -> None:
    """12 MB of weights and moments: what is fetched is the pickle, the directory and six numbers."""
    trained(width=512, parameters=4).save(tmp_path / "last.pt", new=new)
    size = (tmp_path / "last.pt").stat().st_size
    found = read_checkpoint(bucket(tmp_path) + "/last.pt")
    assert found.optimizer is not None
    assert (found.optimizer.step, found.optimizer.name) == (3, "AdamW")
    assert found.scheduler is not None
    assert found.scheduler.family == "CosineAnnealingLR"
    assert size > 12_000_000
    assert CountingFileSystem.whole == []
    assert CountingFileSystem.fetched() < (100_000 if new else 1_300_000)
    largest = max(stop - start for _, start, stop in CountingFileSystem.spans)
    assert largest <= (66_000 if new else 1 << 18)


def test_the_steps_of_many_parameters_come_in_one_request(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(width=64, parameters=40).save(tmp_path / "last.pt")
    batches: list[int] = []
    spans = RemoteFile.spans

    def counted(self: RemoteFile, ranges: Any) -> list[bytes]:
        batches.append(len(ranges))
        return spans(self, ranges)

    monkeypatch.setattr(RemoteFile, "spans", counted)
    read_checkpoint(bucket(tmp_path) + "/last.pt")
    (together,) = batches
    assert 70 < together <= 80  # the last few lie in the piece that was fetched with the directory
    assert len(CountingFileSystem.spans) - together < 8


def test_of_weights_only_the_header_is_fetched(bucket: Any, tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file({"w": torch.zeros(1_000_000)}, tmp_path / "model.safetensors")
    assert read_checkpoint(bucket(tmp_path) + "/model.safetensors").model
    assert CountingFileSystem.fetched() <= 8192


def test_a_folder_saved_together_is_one_checkpoint(bucket: Any, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-3"
    state = trained()
    folder.mkdir()
    torch.save(state.optimizer.state_dict(), folder / "optimizer.pt")
    torch.save(state.scheduler.state_dict(), folder / "scheduler.pt")
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": 3, "max_steps": 9, "log_history": []}))
    found = read_checkpoint(bucket(tmp_path) + "/checkpoint-3")
    assert (found.framework, found.global_step) == ("transformers", 3)
    assert found.optimizer is not None
    assert found.optimizer.step == 3


def test_of_a_distributed_checkpoint_only_metadata_and_scalars_are_fetched(bucket: Any, tmp_path: Path) -> None:
    dcp = pytest.importorskip("torch.distributed.checkpoint")
    state = trained(width=512, parameters=2)
    held = {"model": state.model.state_dict(), "optimizer": state.optimizer.state_dict()}
    dcp.save(held, checkpoint_id=str(tmp_path / "step-3"), no_dist=True)
    found = read_checkpoint(bucket(tmp_path) + "/step-3")
    assert found.optimizer is not None
    assert (found.optimizer.step, found.optimizer.name) == (3, "AdamW")
    assert CountingFileSystem.whole == []
    assert CountingFileSystem.fetched() < 100_000 < 6_000_000


def test_databases_and_single_tags_are_read_behind_a_url(bucket: Any, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as made:
        made.executescript(
            "CREATE TABLE runs (run_uuid TEXT, start_time BIGINT, lifecycle_stage TEXT);"
            "CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT, step BIGINT, is_nan BOOL);"
            "CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);"
            "INSERT INTO runs VALUES ('a', 1, 'active');"
        )
        made.executemany("INSERT INTO metrics VALUES ('lr', ?, 1, 'a', ?, 0)", [(0.1 / (n + 1), n) for n in range(9)])
    made.close()
    (run,) = read(bucket(tmp_path) + "/mlflow.db")
    assert run.path == "counting://runs/mlflow.db#a"
    assert len(run.series[0]) == 9


def test_the_command_line_takes_urls(bucket: Any, tmp_path: Path) -> None:
    a_run(tmp_path / "a")
    url = bucket(tmp_path)
    done = CliRunner().invoke(cli, ["audit", url, "--no-report", "--no-simulate", "--format=json", "--fail-on=never"])
    assert done.exit_code == 0, done.output
    (run,) = json.loads(done.stdout)["runs"]
    assert run["path"] == "counting://runs/a"
    assert {source["path"] for source in run["sources"]} >= {"counting://runs/a/metrics.csv"}
    inspected = CliRunner().invoke(cli, ["inspect", f"{url}/a/last.pt"])
    assert inspected.exit_code == 0, inspected.output
    assert "CosineAnnealingLR" in inspected.output


def test_a_url_that_leads_nowhere_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="No such file or folder"):
        read("memory://nothing/here")


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("fsspec"):
            raise ImportError(f"No module named {name!r}")
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError) as caught:
        read("s3://bucket/run")
    assert "lrdoctor[remote]" in (caught.value.hint or "")


def test_a_protocol_whose_package_is_missing_names_it() -> None:
    class Needy(MemoryFileSystem):  # type: ignore[misc]
        protocol = "needy"

        def __init__(self, **kwargs: Any) -> None:
            raise ImportError("Install needyfs to access Needy")

    fsspec.register_implementation("needy", Needy, clobber=True)
    with pytest.raises(MissingExtraError) as caught:
        read("needy://bucket/run")
    assert "Install needyfs" in (caught.value.why or "")


def test_an_error_of_the_store_costs_one_file_and_is_told(bucket: Any, tmp_path: Path) -> None:
    class Denied(Exception):
        pass

    a_run(tmp_path / "a")
    url = bucket(tmp_path)
    allowed = CountingFileSystem.cat_file

    def refuse(self: Any, path: str, **kwargs: Any) -> bytes:
        if path.endswith("last.pt"):
            raise Denied("403 Forbidden")
        return bytes(allowed(self, path, **kwargs))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CountingFileSystem, "cat_file", refuse)
        (run,) = read(url)
    assert {item.tag for item in run.series} == {"lr", "loss", "val_loss"}
    assert run.checkpoints == ()


@pytest.mark.parametrize(
    ("path", "remote"),
    [("s3://b/x", True), ("hf://datasets/a/b", True), ("runs/a", False), ("C:/runs", False), ("a:b//c", False)],
)
def test_what_a_url_is(path: str, remote: bool) -> None:
    assert is_remote(path) is remote


def test_the_current_folder_is_not_spelt_out() -> None:
    assert (joined(".", "a"), joined("runs/", "a"), joined("s3://b", "a")) == ("a", "runs/a", "s3://b/a")
