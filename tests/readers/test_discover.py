"""Which files make one run: the habits of the frameworks, recorded public runs, and folders full of other things."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from lrdoctor.errors import UsageError
from lrdoctor.readers.discover import Discovery, RunFiles, discover

REPO = Path(__file__).resolve().parents[2]
DATA = REPO.parent / "shared" / "data" / "runs"
FIXTURES = REPO / "fixtures"


def events(folder: Path, *, host: str = "host.7") -> Path:
    """An event file with a falling LR, named as by a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    writer = EventFileWriter(str(folder))
    for step in range(5):
        value = Summary.Value(tag="train/lr", simple_value=0.1 / (1 + step))
        writer.add_event(Event(wall_time=1.7e9 + step, step=step, summary=Summary(value=[value])))
    writer.close()
    (written,) = set(folder.iterdir()) - before
    return written.rename(folder / f"events.out.tfevents.1700000000.{host}.0")


def table(path: Path, header: str = "step,lr,train_loss") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = header.count(",")
    rows = [f"{step}" + "".join(f",{0.1 / (1 + step + n)}" for n in range(columns)) for step in range(20)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def checkpoint(path: Path, *, training: bool = True) -> Path:
    """A checkpoint file; without training state it holds weights only."""
    torch = pytest.importorskip("torch")
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {"w": torch.ones(2)}
    torch.save(
        {"model": weights, "epoch": 3, "optimizer": {"state": {}, "param_groups": []}} if training else weights, path
    )
    return path


def trainer_state(path: Path, last: int = 5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    history = [
        {"step": step, "learning_rate": 1e-3 / step, "loss": 1 / step, "epoch": 1.0} for step in range(1, last + 1)
    ]
    path.write_text(json.dumps({"global_step": last, "epoch": 1.0, "max_steps": 9, "log_history": history}))
    return path


def hf_checkpoint(folder: Path, step: int) -> None:
    torch = pytest.importorskip("torch")
    trainer_state(folder / f"checkpoint-{step}" / "trainer_state.json", step)
    torch.save(
        {"last_epoch": step, "base_lrs": [1e-3], "lr_lambdas": [None]}, folder / f"checkpoint-{step}" / "scheduler.pt"
    )


def below(folder: Path) -> dict[str, RunFiles]:
    """The runs of a folder by their path inside it."""
    return {os.path.relpath(run.path, folder): run for run in discover([str(folder)]).runs}


def names(paths: tuple[str, ...]) -> list[str]:
    return [path.rsplit("/", 1)[-1] for path in paths]


def test_each_folder_with_logs_is_a_run(tmp_path: Path) -> None:
    events(tmp_path / "a")
    table(tmp_path / "group" / "b" / "metrics.csv")
    assert sorted(below(tmp_path)) == ["a", "group/b"]


def test_event_files_tables_and_checkpoints_of_a_folder_are_one_run(tmp_path: Path) -> None:
    events(tmp_path / "run", host="host.7")
    events(tmp_path / "run", host="host.8")
    table(tmp_path / "run" / "metrics.csv")
    checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    (run,) = below(tmp_path).values()
    assert (len(run.logs), names(run.checkpoints)) == (3, ["last.ckpt"])


def test_lightning_versions_are_runs_of_their_own(tmp_path: Path) -> None:
    for version in ("version_0", "version_1"):
        table(tmp_path / "lightning_logs" / version / "metrics.csv")
        checkpoint(tmp_path / "lightning_logs" / version / "checkpoints" / "last.ckpt")
    found = below(tmp_path)
    assert sorted(found) == ["lightning_logs/version_0", "lightning_logs/version_1"]
    assert all(len(run.checkpoints) == 1 for run in found.values())


def test_checkpoints_above_the_only_log_belong_to_it(tmp_path: Path) -> None:
    table(tmp_path / "lightning_logs" / "version_0" / "metrics.csv")
    checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    found = below(tmp_path)
    assert sorted(found) == ["lightning_logs/version_0"]
    assert names(found["lightning_logs/version_0"].checkpoints) == ["last.ckpt"]


@pytest.mark.parametrize("halves", [("train", "validation"), ("train", "eval"), ("train", "val")])
def test_train_and_validation_event_files_are_one_run(halves: tuple[str, str], tmp_path: Path) -> None:
    for half in halves:
        events(tmp_path / "logs" / "a" / half)
    assert sorted(below(tmp_path)) == ["logs/a"]


def test_an_ultralytics_run_called_train_stays_itself(tmp_path: Path) -> None:
    table(tmp_path / "detect" / "train" / "results.csv", "epoch,lr/pg0,train/box_loss")
    table(tmp_path / "detect" / "train2" / "results.csv", "epoch,lr/pg0,train/box_loss")
    checkpoint(tmp_path / "detect" / "train" / "weights" / "last.pt")
    found = below(tmp_path)
    assert sorted(found) == ["detect/train", "detect/train2"]
    assert names(found["detect/train"].checkpoints) == ["last.pt"]


def test_a_hugging_face_run_is_one_with_its_checkpoints_and_event_files(tmp_path: Path) -> None:
    trainer_state(tmp_path / "out" / "trainer_state.json", 6)
    for step in (2, 4, 6):
        hf_checkpoint(tmp_path / "out", step)
    events(tmp_path / "out" / "runs" / "Nov24_10-00-00_host")
    (run,) = below(tmp_path).values()
    assert run.path.endswith("/out")
    assert names(run.checkpoints) == ["checkpoint-2", "checkpoint-4", "checkpoint-6"]
    assert len(run.logs) == 5


def test_hugging_face_checkpoints_without_a_log_above_are_one_run(tmp_path: Path) -> None:
    for step in (2, 4):
        hf_checkpoint(tmp_path / "out", step)
    assert sorted(below(tmp_path)) == ["out"]


def test_ml_agents_behaviours_belong_to_their_run(tmp_path: Path) -> None:
    events(tmp_path / "results" / "ppo" / "Walker")
    (tmp_path / "results" / "ppo" / "run_logs").mkdir()
    checkpoint(tmp_path / "results" / "ppo" / "Walker" / "checkpoint.pt")
    (run,) = below(tmp_path).values()
    assert run.path.endswith("results/ppo")
    assert names(run.checkpoints) == ["checkpoint.pt"]


@pytest.mark.parametrize(("trackers", "runs"), [(1, ["run"]), (2, ["run", "run/wandb/run-0", "run/wandb/run-1"])])
def test_a_single_wandb_record_inside_a_run_is_part_of_it(trackers: int, runs: list[str], tmp_path: Path) -> None:
    table(tmp_path / "run" / "metrics.csv")
    for number in range(trackers):
        folder = tmp_path / "run" / "wandb" / f"run-{number}"
        table(folder / "files" / "output.csv")
        (folder / f"run-{number}.wandb").write_bytes(b":W&B\xbe\xde\x00")
    assert sorted(below(tmp_path)) == runs


def test_event_files_a_writer_opened_in_subfolders_are_its_own(tmp_path: Path) -> None:
    events(tmp_path / "run", host="host.7")
    events(tmp_path / "run" / "loss_train", host="host.7")
    events(tmp_path / "run" / "other", host="host.8")
    assert sorted(below(tmp_path)) == ["run", "run/other"]


def test_tables_with_the_same_columns_and_names_of_their_own_are_runs_of_their_own(tmp_path: Path) -> None:
    for name in ("cosine_72000", "wsdcon_3", "wsdcon_9"):
        table(tmp_path / "curves" / f"{name}.csv")
    assert sorted(below(tmp_path)) == ["curves/cosine_72000.csv", "curves/wsdcon_3.csv", "curves/wsdcon_9.csv"]


@pytest.mark.parametrize("pair", [("train.csv", "val.csv"), ("20210101_120000.csv", "20210102_090000.csv")])
def test_tables_that_differ_only_in_role_or_time_are_one_run(pair: tuple[str, str], tmp_path: Path) -> None:
    for name in pair:
        table(tmp_path / "run" / name)
    assert sorted(below(tmp_path)) == ["run"]


def test_a_folder_of_checkpoints_is_a_run(tmp_path: Path) -> None:
    checkpoint(tmp_path / "saved" / "epoch_1.pth")
    checkpoint(tmp_path / "saved" / "epoch_2.pth")
    (run,) = below(tmp_path).values()
    assert (run.logs, names(run.checkpoints)) == ((), ["epoch_1.pth", "epoch_2.pth"])


def test_pretrained_weights_are_no_run_and_the_reason_is_told(tmp_path: Path) -> None:
    checkpoint(tmp_path / "zoo" / "resnet.pth", training=False)
    found = discover([str(tmp_path)])
    assert found.runs == ()
    assert "weights only" in found.skipped[0].reason


def test_a_single_file_is_a_run_with_the_settings_beside_it(tmp_path: Path) -> None:
    path = table(tmp_path / "metrics.csv")
    (tmp_path / "hparams.yaml").write_text("lr: 0.1\n")
    table(tmp_path / "other.csv")
    (run,) = discover([str(path)]).runs
    assert (run.path, run.logs, names(run.side_files)) == (str(path), (str(path),), ["hparams.yaml"])


def test_a_path_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError) as caught:
        discover(["no/such/folder"])
    assert (caught.value.where, caught.value.hint is not None) == ("no/such/folder", True)


def test_paths_are_shown_as_the_user_wrote_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(tmp_path / "runs" / "a" / "metrics.csv")
    monkeypatch.chdir(tmp_path)
    for given, shown in ((".", "runs/a"), ("runs", "runs/a"), ("./runs/", "runs/a"), ("runs/a", "runs/a")):
        assert [run.path for run in discover([given]).runs] == [shown]


def test_a_run_given_twice_is_found_once(tmp_path: Path) -> None:
    table(tmp_path / "runs" / "a" / "metrics.csv")
    assert len(discover([str(tmp_path), str(tmp_path / "runs"), str(tmp_path)]).runs) == 1


def test_links_in_a_circle_are_survived_and_nothing_is_found_twice(tmp_path: Path) -> None:
    events(tmp_path / "wandbish" / "run-1")
    (tmp_path / "wandbish" / "latest-run").symlink_to(tmp_path / "wandbish" / "run-1")
    (tmp_path / "wandbish" / "run-1" / "up").symlink_to(tmp_path)
    assert sorted(below(tmp_path)) == ["wandbish/run-1"]


def test_a_pipe_named_like_a_log_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train_log.txt")
    table(tmp_path / "metrics.csv")
    assert len(discover([str(tmp_path)]).runs) == 1


@pytest.mark.parametrize("folder", [".git", "__pycache__", "node_modules", ".venv", "venv"])
def test_folders_that_hold_no_runs_are_not_entered(folder: str, tmp_path: Path) -> None:
    table(tmp_path / folder / "metrics.csv")
    assert discover([str(tmp_path)]).runs == ()


def test_other_files_are_passed_over_in_silence(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"label_{number}.txt").write_text("0 0.5 0.5 0.1 0.1\n")
        (tmp_path / f"image_{number}.jpg").write_bytes(b"\xff\xd8")
        (tmp_path / f"annotation_{number}.json").write_text('{"boxes": [[1, 2, 3, 4]]}')
    table(tmp_path / "run" / "metrics.csv")
    found = discover([str(tmp_path)])
    assert ([os.path.relpath(run.path, tmp_path) for run in found.runs], found.skipped) == (["run"], ())


def test_a_log_that_cannot_be_opened_is_told_and_the_rest_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = table(tmp_path / "a" / "metrics.csv")
    table(tmp_path / "b" / "metrics.csv")
    opened = Path.open

    def guarded(path: Path, *arguments: object, **options: object) -> object:
        if path == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", guarded)
    found = discover([str(tmp_path)])
    assert [os.path.relpath(run.path, tmp_path) for run in found.runs] == ["b"]
    assert [(item.path, "Permission denied" in item.reason) for item in found.skipped] == [(str(locked), True)]


def test_git_lfs_pointers_are_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (skipped,) = discover([str(tmp_path)]).skipped
    assert "git lfs pull" in skipped.reason


@pytest.mark.parametrize("name", ["events.out.tfevents.1.host", "metrics.csv", "last.pt", "run.wandb"])
def test_an_empty_file_named_explicitly_is_explained(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    found = discover([str(tmp_path / name)])
    assert len(found.runs) + len(found.skipped) == 1
    assert all(item.reason for item in found.skipped)


def test_a_folder_without_anything_is_explained(tmp_path: Path) -> None:
    (skipped,) = discover([str(tmp_path)]).skipped
    assert skipped.path == str(tmp_path)


def test_the_order_is_the_same_whatever_the_order_on_disk(tmp_path: Path) -> None:
    for name in np.random.default_rng(0).permutation([f"run{n}" for n in range(12)]):
        table(tmp_path / str(name) / "metrics.csv")
    first = discover([str(tmp_path)])
    assert [run.path for run in first.runs] == sorted(run.path for run in first.runs)
    assert first == discover([str(tmp_path)])


@pytest.fixture(scope="module")
def recorded() -> Discovery:
    if not DATA.is_dir():
        pytest.skip("the recorded public runs are not beside this checkout")
    return discover([str(DATA)])


def test_every_recorded_public_run_is_found_once(recorded: Discovery) -> None:
    with (DATA / "MANIFEST.tsv").open() as stream:
        rows = sorted(row["run_path"] for row in csv.DictReader(stream, delimiter="\t"))
    found = sorted(os.path.relpath(run.path, DATA) for run in recorded.runs)
    pointers = sorted(os.path.relpath(item.path, DATA) for item in recorded.skipped if "LFS" in item.reason)
    assert sorted(found + pointers) == rows
    assert pointers == ["Observer-18__nlp/lfs_pointers"]


def test_every_fixture_is_one_run() -> None:
    expected = sorted(json.loads((FIXTURES / "expected.json").read_text()))
    found = [os.path.relpath(run.path, FIXTURES / "runs") for run in discover([str(FIXTURES / "runs")]).runs]
    owners = [next(name for name in expected if path == name or path.startswith(f"{name}/")) for path in found]
    assert sorted(owners) == expected
