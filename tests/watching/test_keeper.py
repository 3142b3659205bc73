"""The report beside a watch."""

from __future__ import annotations

from pathlib import Path

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
