"""The report beside a watch."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrdoctor.errors import UsageError
from lrdoctor.watching import keeper as module
from lrdoctor.watching.keeper import Keeper

from .conftest import PER_EPOCH, Scene


def pages(folder: Path) -> dict[str, int]:
    return {page.name: page.stat().st_ino for page in folder.glob("run-*.html")}


def test_only_the_pages_of_runs_that_changed_are_written_again(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    keeper = Keeper(folder, {})
    trainings = [scene.training(name) for name in "abc"]
    for training in trainings:
        training.train(4 * PER_EPOCH)
    scene.look()
    keeper.finish(scene.watch.audit())
    before = pages(folder)
    trainings[2].train(PER_EPOCH)
    scene.look()
    keeper._not_before = 0.0
    assert keeper.refresh(scene.watch)
    changed = [name for name, inode in pages(folder).items() if before[name] != inode]
    assert [name.startswith("run-runs-c-") for name in changed] == [True]


def test_nothing_is_written_where_nothing_changed(scene: Scene, tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "report", {})
    scene.look()
    assert not keeper.refresh(scene.watch)
    assert keeper.finish(scene.watch.audit()) is None
    assert not (tmp_path / "report").exists()
    scene.training("a").train(4 * PER_EPOCH)
    scene.look()
    assert keeper.refresh(scene.watch)
    scene.look()
    keeper.finish(scene.watch.audit())
    inode = (tmp_path / "report" / "index.html").stat().st_ino
    keeper.finish(scene.watch.audit())
    assert (tmp_path / "report" / "index.html").stat().st_ino == inode


def test_a_page_goes_with_its_run(scene: Scene, tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "report", {})
    for name in "ab":
        scene.training(name).train(4 * PER_EPOCH)
    scene.look()
    keeper.finish(scene.watch.audit())
    (scene.root / "a" / "metrics.csv").unlink()
    scene.look()
    keeper.finish(scene.watch.audit())
    assert [name.startswith("run-runs-b-") for name in pages(tmp_path / "report")] == [True]


def test_a_report_that_cannot_be_written_any_more_is_told_and_tried_again(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise UsageError("No space left.")

    write, complaints = module.write_report, []
    keeper = Keeper(tmp_path / "report", {}, complain=complaints.append)
    training = scene.training("a")
    training.train(4 * PER_EPOCH)
    scene.look()
    monkeypatch.setattr(module, "write_report", full)
    with pytest.raises(UsageError):
        keeper.refresh(scene.watch)  # a place that was never good is an error
    monkeypatch.setattr(module, "write_report", write)
    keeper.finish(scene.watch.audit())
    before = pages(tmp_path / "report")
    training.train(PER_EPOCH)
    scene.look()
    monkeypatch.setattr(module, "write_report", full)
    keeper._not_before = 0.0
    assert not keeper.refresh(scene.watch)
    assert complaints == ["No space left."]
    monkeypatch.setattr(module, "write_report", write)
    keeper.finish(scene.watch.audit())
    assert pages(tmp_path / "report") != before
