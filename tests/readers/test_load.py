"""All files of a run become one `Run`, and no bad file costs the others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.errors import ReadError
from lrdoctor.model.arrays import floats, ints
from lrdoctor.model.run import Checkpoint, Hint, Note, Run, Series
from lrdoctor.readers import read
from lrdoctor.readers.discover import RunFiles, discover
from lrdoctor.readers.framework_guess import guess_framework
from lrdoctor.readers.load import load

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "runs"


def series(path: str, tag: str = "lr", points: int = 3) -> Series:
    steps = range(points)
    return Series(path, tag, floats([0.1] * points), {"step": floats(list(steps))}, ints(list(steps)), "fake")


@dataclass
class FakeReader:
    """A reader whose `read` is given."""

    read: Callable[[str], Iterator[Series | Note | Hint]]
    KIND: str = "fake"


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Callable[[str], Iterator[Any]]]], None]:
    """Gives each file name a `read` function of its own."""

    def install(by_name: dict[str, Callable[[str], Iterator[Any]]]) -> None:
        monkeypatch.setattr(
            "lrdoctor.readers.load.reader_for", lambda path: FakeReader(by_name[Path(path).name]) if by_name else None
        )

    return install


def good(path: str) -> Iterator[Series]:
    yield series(path)


def cut(path: str) -> Iterator[Series]:
    yield series(path, points=2)
    raise ReadError("The file ends early.", why="byte 80")


def buggy(path: str) -> Iterator[Series]:
    yield series(path, points=1)
    raise ZeroDivisionError("a fault of ours")


def unreadable(path: str) -> Iterator[Series]:
    raise ReadError("Nothing in it.")
    yield series(path)


def test_a_reader_that_gives_up_keeps_what_it_read(reading: Any) -> None:
    reading({"a.csv": good, "b.csv": cut})
    run = load(RunFiles("run", ("run/a.csv", "run/b.csv")))
    assert [len(item) for item in run.series] == [3, 2]
    assert [str(note) for note in run.sources[1].notes] == ["The file ends early. byte 80"]


def test_a_fault_in_one_reader_is_told_and_costs_nothing_else(reading: Any) -> None:
    reading({"a.csv": good, "b.csv": buggy})
    run = load(RunFiles("run", ("run/a.csv", "run/b.csv")))
    assert [source.points for source in run.sources] == [3, 1]
    assert "internal error in reader fake: ZeroDivisionError" in str(run.sources[1].notes[0])


def test_a_run_without_one_usable_file_is_a_read_error_that_says_why(reading: Any) -> None:
    reading({"a.csv": unreadable})
    with pytest.raises(ReadError) as caught:
        load(RunFiles("run", ("run/a.csv",)))
    assert "run/a.csv: Nothing in it." in (caught.value.why or "")


def test_a_log_without_scalars_is_still_a_run(reading: Any) -> None:
    reading({"a.csv": lambda path: iter((Note(path, "only images"),))})
    run = load(RunFiles("run", ("run/a.csv",)))
    assert (run.series, run.sources[0].points) == ((), 0)


def _checkpoint(path: Path, step: int) -> Path:
    torch = pytest.importorskip("torch")
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": {"w": torch.ones(2)}, "global_step": step, "hyper_parameters": {"lr": step / 100}}, path)
    return path


def test_checkpoints_are_sorted_by_step_and_the_last_one_gives_the_hints(tmp_path: Path) -> None:
    for name, step in (("a", 30), ("b", 10), ("c", 20)):
        _checkpoint(tmp_path / f"{name}.ckpt", step)
    (run,) = read(str(tmp_path))
    assert [found.global_step for found in run.checkpoints] == [10, 20, 30]
    assert run.declared("lr") == 0.3


def test_a_broken_checkpoint_is_a_source_with_a_note(tmp_path: Path) -> None:
    _checkpoint(tmp_path / "good.ckpt", 10)
    (tmp_path / "broken.ckpt").write_bytes(b"PK\x03\x04 and nothing more")
    (run,) = read(str(tmp_path))
    assert len(run.checkpoints) == 1
    assert [(Path(source.path).name, bool(source.notes)) for source in run.sources] == [
        ("broken.ckpt", True), ("good.ckpt", False),
    ]  # fmt: skip


def _trainer_state(path: Path, rates: list[float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    history = [{"step": step, "learning_rate": rate, "epoch": 1.0} for step, rate in enumerate(rates, 1)]
    path.write_text(json.dumps({"global_step": len(rates), "epoch": 1.0, "log_history": history}))


def _rates(run: Run) -> list[int]:
    return sorted(len(item) for item in run.series if item.tag == "learning_rate")


def test_histories_that_start_alike_count_once(tmp_path: Path) -> None:
    rates = [0.1 / step for step in range(1, 10)]
    for step in (3, 6, 9):
        _trainer_state(tmp_path / f"checkpoint-{step}" / "trainer_state.json", rates[:step])
    _trainer_state(tmp_path / "trainer_state.json", rates)
    (run,) = read(str(tmp_path))
    assert _rates(run) == [9]
    counted = {os.path.relpath(source.path, tmp_path): source for source in run.sources if source.points}
    assert list(counted) == ["trainer_state.json"]
    copies = [source for source in run.sources if source.path.endswith("trainer_state.json") and not source.points]
    assert len(copies) == 3
    assert all("counted once" in str(source.notes[-1]) for source in copies)


def test_the_history_of_another_training_is_kept(tmp_path: Path) -> None:
    _trainer_state(tmp_path / "checkpoint-3" / "trainer_state.json", [0.3, 0.2, 0.1])
    _trainer_state(tmp_path / "checkpoint-5" / "trainer_state.json", [0.5, 0.4, 0.3, 0.2, 0.1])
    (run,) = read(str(tmp_path))
    assert _rates(run) == [3, 5]


def _saved(framework: str) -> Checkpoint:
    return Checkpoint("last.pt", "torch", True, None, (), framework=framework)


def test_a_framework_stated_by_a_file_wins() -> None:
    hint = Hint("framework", "Keras", "args.yaml", "framework")
    assert guess_framework(["run/trainer_state.json"], [], [_saved("lightning")], [hint]) == "keras"


def test_a_checkpoints_layout_comes_before_names() -> None:
    assert guess_framework(["run/trainer_state.json"], [], [_saved("lightning")], []) == "lightning"


@pytest.mark.parametrize(
    ("paths", "tags", "framework"),
    [
        (["r/trainer_state.json"], [], "transformers"),
        (["r/results.csv"], ["x/lr0", "train/box_loss"], "ultralytics"),
        (["r/results.csv"], ["lr/pg0"], "ultralytics"),
        (["r/metrics.csv", "r/hparams.yaml"], ["train_loss"], "lightning"),
        (["r/events.out.tfevents.1"], ["lr-AdamW/pg1"], "lightning"),
        (["r/summary.csv", "r/args.yaml"], ["train_lr"], "timm"),
        (["r/vis_data/scalars.json"], ["lr"], "mmengine"),
        (["r/events.out.tfevents.1"], ["Policy/Learning Rate"], "ml-agents"),
        (["r/progress.csv"], ["time/total_timesteps", "train/learning_rate"], "stable-baselines3"),
        (["r/metrics.csv"], ["lr", "train_loss"], None),
        (["r/training.log"], ["lr[0]", "lr[1]", "mom[0]"], "deepspeed"),
        (["r/log.txt"], ["train_lr", "train_loss"], "mae"),
        (["r/export.json"], ["train_lr", "train_loss", "train_perplexity"], None),
    ],
)
def test_framework_is_guessed_from_names(paths: list[str], tags: list[str], framework: str | None) -> None:
    assert guess_framework(paths, [series(paths[0], tag) for tag in tags], [], []) == framework


@pytest.fixture(scope="module")
def recorded() -> dict[str, Run]:
    """Every recorded public run, loaded, by its path in the collection."""
    if not DATA.is_dir():
        pytest.skip("the recorded public runs are not beside this checkout")
    return {os.path.relpath(files.path, DATA): load(files) for files in discover([str(DATA)]).runs}


def test_no_reader_fails_on_a_recorded_public_run(recorded: dict[str, Run]) -> None:
    faults = [f"{source.path}: {note}" for run in recorded.values() for source in run.sources for note in source.notes]
    assert [fault for fault in faults if "internal error" in fault] == []


@pytest.mark.parametrize(
    ("part", "framework"),
    [
        ("MAADDS__OceanLitter", "ultralytics"),
        ("24Musab25__model_training_ida", "ultralytics"),
        ("Doctor-Foxling", "ml-agents"),
        ("Aquilaxc__tft-network", "lightning"),
        ("aakashvardhan__pl-wrapper", "lightning"),
        ("xuritian317", "timm"),
        ("subro608", "transformers"),
        ("LLaMA-Factory/2023", "transformers"),
        ("mmengine/detection_example", "mmengine"),
        ("duanbo320", "mmengine"),
        ("haakontveit1", "stable-baselines3"),
        ("OrbitalObjectDetector", "detectron2"),
        ("open-mmlab__OpenPCDet", "openpcdet"),
        ("keras-logdir", "keras"),
        ("AhmedZ41", "keras"),
        ("yolox_nano", "yolox"),
        ("finetune_IDRiD", "mae"),
    ],
)
def test_framework_of_a_recorded_run_is_known(part: str, framework: str, recorded: dict[str, Run]) -> None:
    found = {name: run.framework for name, run in recorded.items() if part in name}
    assert found
    assert set(found.values()) == {framework}, found


def test_recorded_checkpoints_keep_their_counters(recorded: dict[str, Run]) -> None:
    (saved,) = recorded["Aquilaxc__tft-network/colab_0924"].checkpoints
    assert saved.scheduler is not None
    assert saved.optimizer is not None
    found = (saved.scheduler.family, saved.scheduler.last_epoch, saved.optimizer.step, saved.global_step)
    assert found == ("ReduceLROnPlateau", 23, 1968, 1968)
    steps = [found.global_step for found in recorded["subro608__Deep_learning_Bert_project2/roberta_lora"].checkpoints]
    assert steps == [500, 1000, 1500, 2000, 2400]
