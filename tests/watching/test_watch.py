"""The watch: faults are told as soon as the log shows them, and whatever happens to the files it goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lrdoctor.errors import UsageError
from lrdoctor.schedules import Constant, CosineAnnealingLR
from lrdoctor.watching.watch import Watch

from .conftest import PER_EPOCH, PER_EPOCH_CYCLE, PLANNED, Scene


def test_a_cycle_stepped_per_epoch_is_told_after_three_epochs(scene: Scene) -> None:
    training = scene.training("a", PER_EPOCH_CYCLE)
    training.train(PER_EPOCH)
    assert scene.look() == [("run", "a")]
    training.train(PER_EPOCH)
    assert scene.look() == []
    training.train(PER_EPOCH + 1)
    assert scene.look() == [("finding", "a LR101")]
    training.train(PER_EPOCH)
    assert scene.look() == []  # once


def test_a_sound_training_is_left_alone_from_start_to_end(scene: Scene) -> None:
    training = scene.training("a")
    training.plan(PLANNED)
    told = []
    for _ in range(PLANNED // PER_EPOCH // 4):
        training.train(4 * PER_EPOCH)
        told += scene.look()
    assert told == [("run", "a")]
    assert scene.look(301) == [("ended", "a")]
    (found,) = scene.watch.audit().diagnoses
    assert found.verdict == "lr-healthy"


def test_what_only_the_end_of_a_run_shows_is_told_at_its_end(scene: Scene) -> None:
    training = scene.training("a", CosineAnnealingLR(0.1, T_max=3 * PLANNED))
    training.plan(PLANNED)
    for _ in range(4):
        training.train(PLANNED // 4)
        assert ("finding", "a LR303") not in scene.look()
    assert ("finding", "a LR303") in scene.look(301)


def test_a_run_that_is_quiet_and_goes_on_is_growing_again(scene: Scene) -> None:
    training = scene.training("a", CosineAnnealingLR(0.1, T_max=3 * PLANNED))
    training.plan(PLANNED)
    training.train(PLANNED)
    scene.look()
    assert ("ended", "a") in scene.look(301)
    training.train(1)
    assert {("resumed", "a"), ("withdrawn", "a LR303")} <= set(scene.look())


def test_the_diagnosis_of_a_growing_run_does_not_call_it_stopped(scene: Scene) -> None:
    training = scene.training("a")
    training.plan(PLANNED)
    training.train(PLANNED // 2)
    scene.look()
    (found,) = scene.watch.audit().diagnoses
    assert (found.trajectory.complete, found.trajectory.planned_steps) == (None, PLANNED)
    scene.look(301)
    (found,) = scene.watch.audit().diagnoses
    assert found.trajectory.complete is False


def test_runs_may_appear_and_vanish(scene: Scene) -> None:
    scene.training("a").train(PER_EPOCH)
    assert scene.look() == [("run", "a")]
    scene.training("b").train(PER_EPOCH)
    scene.training("deep/down/c").train(PER_EPOCH)
    assert sorted(scene.look()) == [("run", "b"), ("run", "c")]
    shutil.rmtree(scene.root / "a")
    assert scene.look() == [("gone", "a")]
    shutil.rmtree(scene.root)
    assert sorted(scene.look()) == [("gone", "b"), ("gone", "c")]
    assert scene.look() == []
    scene.training("a").train(PER_EPOCH)
    assert scene.look() == [("run", "a")]


def test_a_file_that_is_empty_at_first_becomes_a_run(scene: Scene) -> None:
    (scene.root / "a").mkdir()
    (scene.root / "a" / "metrics.csv").touch()
    assert scene.look() == []
    (scene.root / "a" / "metrics.csv").unlink()
    scene.look()
    (scene.root / "a" / "metrics.csv").touch()
    scene.look()
    with (scene.root / "a" / "metrics.csv").open("a") as stream:
        stream.write("epoch,step,lr,train_loss\n" + scene.training("a").rows(PER_EPOCH))
    assert scene.look() == [("run", "a")]


def test_a_truncated_log_is_read_anew(scene: Scene) -> None:
    training = scene.training("a")
    training.train(3 * PER_EPOCH)
    scene.look()
    (scene.root / "a" / "metrics.csv").write_text("epoch,step,lr,train_loss\n")
    training.at = 0
    training.train(PER_EPOCH)
    scene.look()
    assert scene.points("a") == PER_EPOCH


def test_a_rotated_log_goes_on_in_the_next_file(scene: Scene) -> None:
    """As TensorBoard's writers do: a new file of the same run."""
    training = scene.training("a", PER_EPOCH_CYCLE)
    training.train(2 * PER_EPOCH, file="metrics.csv")
    scene.look()
    (scene.root / "a" / "metrics.csv").rename(scene.root / "a" / "metrics.0.csv")
    training.train(2 * PER_EPOCH, file="metrics.csv")
    scene.look()
    assert sum(found.trajectory.lr_points for found in scene.watch.audit().diagnoses) == 4 * PER_EPOCH


def test_a_file_deleted_between_looking_and_reading_costs_only_its_run(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lrdoctor.watching.watch as module

    scene.training("a").train(PER_EPOCH)
    scene.training("b").train(PER_EPOCH)
    examine = module.examine

    def late(files, *rest):  # type: ignore[no-untyped-def]
        if files.path.endswith("/a"):
            Path(files.path, "metrics.csv").unlink(missing_ok=True)
        return examine(files, *rest)

    monkeypatch.setattr(module, "examine", late)
    assert scene.look() == [("unreadable", "a"), ("run", "b")]
    assert [skipped.path for skipped in scene.watch.audit().skipped if skipped.path.endswith("/a")]
    assert ("gone", "a") in scene.look()


def test_only_runs_that_changed_are_read_again(scene: Scene, counting: Callable[[], int]) -> None:
    trainings = [scene.training(name, Constant(0.1 + index / 100)) for index, name in enumerate("abcd")]
    for training in trainings:
        training.train(PER_EPOCH)
    scene.look()
    assert counting() == 4
    scene.look()
    assert counting() == 0
    trainings[2].train(PER_EPOCH)
    scene.look()
    assert counting() == 1
    scene.look(301)  # each is judged once more, as ended
    assert counting() == 4
    scene.look(301)
    assert counting() == 0


def test_folders_are_searched_again_only_where_names_changed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lrdoctor.watching.files as module

    searches = []
    discover = module.discover
    monkeypatch.setattr(module, "discover", lambda paths: searches.append(1) or discover(paths))  # type: ignore[func-returns-value]
    training = scene.training("a")
    for _ in range(4):
        training.train(PER_EPOCH)
        scene.look()
    assert len(searches) == 1
    scene.training("b").train(PER_EPOCH)
    scene.look()
    assert len(searches) == 2


def test_a_run_is_judged_anew_when_the_run_beside_it_tells_more(scene: Scene) -> None:
    """LR401 compares batch sizes: the second run is at fault as soon as the first one's is known."""
    for name, batch in (("a", 32), ("b", 1024)):
        training = scene.training(name, Constant(0.01))
        training.train(10 * PER_EPOCH)
        (scene.root / name / "hparams.yaml").write_text(f"batch_size: {batch}\noptimizer: SGD\nmodel: resnet\n")
        events = scene.look()
        scene.look(301)
        if name == "b":
            assert ("finding", "b LR401") in [*events, *scene.look()]


def test_the_report_folder_is_not_looked_into(tmp_path: Path) -> None:
    report = tmp_path / "out"
    report.mkdir()
    (report / "metrics.csv").write_text("epoch,step,lr,train_loss\n" + Scene(tmp_path).training("x").rows(PER_EPOCH))
    watch = Watch([str(tmp_path)], leave_out=report)
    assert watch.poll() == []


def test_a_url_cannot_be_watched() -> None:
    with pytest.raises(UsageError, match="watched"):
        Watch(["s3://bucket/runs"])


def test_a_finding_carries_the_id_of_the_audit(scene: Scene) -> None:
    from lrdoctor.auditing import Options, audit
    from lrdoctor.report.json import document

    scene.training("a", PER_EPOCH_CYCLE).train(6 * PER_EPOCH)
    scene.now += 60
    told = [event.fields()["finding"]["id"] for event in scene.watch.poll() if event.kind == "finding"]
    entries = document(audit([str(scene.root)], Options(simulate=False)))["runs"]
    assert told == [finding["id"] for finding in entries[0]["findings"] if finding["suppressed_by"] is None]
    assert told


