"""`lrdoctor inspect` as a user calls it."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lrdoctor.cli.inspect import command

torch = pytest.importorskip("torch")


def _training(**extra: Any) -> dict[str, Any]:
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50)
    for _ in range(3):
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        scheduler.step()
    held = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    return {**held, "epoch": 1, "global_step": 3, **extra}


def _saved(folder: Path, name: str = "last.pt", without: tuple[str, ...] = (), **extra: Any) -> str:
    path = folder / name
    torch.save({key: value for key, value in _training(**extra).items() if key not in without}, path)
    return str(path)


def _inspect(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_a_complete_checkpoint_exits_0_and_shows_all_counters(tmp_path: Path) -> None:
    result = _inspect(_saved(tmp_path))
    assert result.exit_code == 0
    for part in ("CosineAnnealingLR(T_max=50", "AdamW", "h = 3", "c = 4", "k = 3", "g = 3", "e = 1", "complete"):
        assert part in result.stdout


@pytest.mark.parametrize("part", ["model", "optimizer", "scheduler"])
def test_a_missing_part_exits_1_and_is_named(part: str, tmp_path: Path) -> None:
    result = _inspect(_saved(tmp_path, without=(part,)), "--format", "json")
    assert result.exit_code == 1
    (entry,) = json.loads(result.stdout)["checkpoints"]
    assert entry[part] is False
    assert [missing["part"] for missing in entry["missing"]] == [part]


def test_a_framework_that_recomputes_its_schedule_lacks_nothing(tmp_path: Path) -> None:
    path = _saved(tmp_path, without=("scheduler",), arch="vit", state_dict={}, version=2)
    result = _inspect(path)
    assert result.exit_code == 0
    assert "timm keeps no scheduler state by design" in result.stdout


def test_a_training_without_scheduler_lacks_nothing(tmp_path: Path) -> None:
    optimizer = torch.optim.Adam(torch.nn.Linear(2, 1).parameters(), lr=0.1)
    torch.save({"model": {"w": torch.ones(2)}, "optimizer": optimizer.state_dict()}, tmp_path / "last.pt")
    result = _inspect(str(tmp_path / "last.pt"))
    assert result.exit_code == 0
    assert "no sign of a scheduler" in result.stdout


def test_json_has_the_contracts_fields(tmp_path: Path) -> None:
    path = _saved(tmp_path)
    document = json.loads(_inspect(path, "--format", "json").stdout)
    assert (document["format_version"], document["skipped"]) == (1, [])
    (entry,) = document["checkpoints"]
    wanted = {
        "path": path, "model": True, "optimizer": True, "scheduler": True, "scheduler_family": "CosineAnnealingLR",
        "last_epoch": 3, "optimizer_step": 3, "global_step": 3,
    }  # fmt: skip
    assert {name: entry[name] for name in wanted} == wanted
    assert entry["schedulers"][0]["params"] == {"T_max": 50, "eta_min": 0.0}
    assert entry["optimizer_detail"]["param_groups"][0]["initial_lr"] == 0.1


def test_json_stays_strict_where_a_number_is_infinite(tmp_path: Path) -> None:
    optimizer = torch.optim.SGD(torch.nn.Linear(2, 1).parameters(), lr=0.1)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    torch.save({"scheduler": plateau.state_dict()}, tmp_path / "last.pt")
    text = _inspect(str(tmp_path / "last.pt"), "--format", "json").stdout

    def refuse(name: str) -> None:
        raise AssertionError(name)

    document = json.loads(text, parse_constant=refuse)
    assert document["checkpoints"][0]["schedulers"][0]["params"]["best"] is None
    assert document["notes"]


def test_the_answer_goes_to_a_file_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "answer" / "out.json"
    result = _inspect(_saved(tmp_path), "--format", "json", "--output", str(target))
    assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads(target.read_text())["checkpoints"]


def test_a_missing_path_is_a_usage_error(tmp_path: Path) -> None:
    from lrdoctor.errors import UsageError

    result = _inspect(str(tmp_path / "gone.pt"))
    assert isinstance(result.exception, UsageError)
    assert result.exception.exit_status == 2


def test_a_file_that_is_no_checkpoint_is_nothing_readable(tmp_path: Path) -> None:
    from lrdoctor.errors import NothingReadableError

    (tmp_path / "last.pt").write_text("hello")
    result = _inspect(str(tmp_path / "last.pt"))
    assert isinstance(result.exception, NothingReadableError)
    assert result.exception.exit_status == 3


def test_one_unreadable_file_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "broken.pt").write_bytes(b"PK\x03\x04")
    result = _inspect(str(tmp_path / "broken.pt"), _saved(tmp_path), "--format", "json")
    document = json.loads(result.stdout)
    assert result.exit_code == 3
    assert len(document["checkpoints"]) == 1
    assert document["skipped"][0]["path"].endswith("broken.pt")


def test_a_runs_folder_stands_for_its_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    for name in ("a.ckpt", "b.ckpt"):
        _saved(tmp_path / "run" / "checkpoints", name)
    document = json.loads(_inspect(str(tmp_path / "run"), "--format", "json").stdout)
    assert [Path(entry["path"]).name for entry in document["checkpoints"]] == ["a.ckpt", "b.ckpt"]


class Run:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    (tmp_path / "last.pt").write_bytes(pickle.dumps({"epoch": 1, "x": Run(f"touch {marker}")}, 2))
    assert _inspect(str(tmp_path / "last.pt")).exit_code == 1
    assert not marker.exists()


def test_markup_in_a_path_is_shown_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "[bold]run"
    folder.mkdir()
    assert "[bold]run" in _inspect(_saved(folder)).stdout
