"""`lrdoctor replay` on a run with a fault, with the user's own factory and a bundled one."""

from __future__ import annotations

import json
import sys

import pytest

from lrdoctor.cli.main import main
from lrdoctor.cli.replay import _played

torch = pytest.importorskip("torch")

FACTORY = """
import torch
from lrdoctor.simulate.setting import Setting

def build(seed):
    torch.manual_seed(seed)
    model = torch.nn.Linear(3, 1)
    def batches(first):
        while True:
            x = torch.ones(4, 3)
            yield x, x.sum(dim=1, keepdim=True)
    def loss(model, batch):
        return torch.nn.functional.mse_loss(model(batch[0]), batch[1])
    return Setting(model, torch.optim.SGD(model.parameters(), lr=0.01), loss, batches)
"""


@pytest.fixture
def per_epoch(tmp_path):
    """OneCycle stepped once an epoch of 20 updates: the LR stays in its warmup."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=1e-3)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=400)
    rows = []
    for update in range(400):
        rows.append(f"{update},{update // 20},{optimizer.param_groups[0]['lr']!r},{4 - 0.005 * update}")
        optimizer.step()
        if (update + 1) % 20 == 0:
            scheduler.step()
    folder = tmp_path / "onecycle"
    folder.mkdir()
    (folder / "metrics.csv").write_text("step,epoch,lr,train_loss\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return str(folder)


def run_cli(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    return stopped.value.code, *capsys.readouterr()


def test_the_fix_of_the_audit_is_replayed_with_the_users_own_model(per_epoch, tmp_path, capsys, monkeypatch):
    (tmp_path / "mine.py").write_text(FACTORY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    arguments = ("mine:build", "--run", per_epoch, "--steps", "80", "--out", "out", "--quiet", "--format", "json")
    status, out, _ = run_cli(capsys, "replay", *arguments)
    answer = json.loads(out)
    assert status == 0
    assert answer["direction"] == "lower"
    assert answer["gain_95"][0] > 0.0
    assert answer["updates"] == 80
    assert answer["predicted"]["status"] == "refused"
    assert json.loads((tmp_path / "out" / "replay.json").read_text(encoding="utf-8")) == answer
    assert list((tmp_path / "out" / "seed0" / "fixed").glob("events*"))
    text = "".join(page.read_text(encoding="utf-8") for page in (tmp_path / "out" / "report").rglob("*.html"))
    assert "the run has 400 updates" in text
    assert "The fix ends lower by" in text
    assert "400 updates were played in 80" in text
    assert answer["run_updates"] == 400


def test_a_bundled_model_is_replayed_in_words(per_epoch, tmp_path, capsys):
    pytest.importorskip("sklearn")
    arguments = (
        "digits",
        "--run",
        per_epoch,
        "--steps",
        "40",
        "--seeds",
        "2",
        "--out",
        str(tmp_path / "out"),
        "--quiet",
    )
    status, out, _ = run_cli(capsys, "replay", *arguments)
    assert status == 0
    assert "seed 0: executed" in out
    assert "replayed: " in out
    assert "predicted: refused: the run has 400 updates" in out


def test_a_bundled_training_plays_a_long_run_in_minutes():
    assert _played(72_000, None, "gpt") == 500
    assert _played(400, None, "gpt") == 400
    assert _played(72_000, 1_000, "digits") == 1_000
    assert _played(72_000, None, "mine:build") == 72_000


def test_mistakes_are_usage_errors(per_epoch, tmp_path, capsys):
    assert run_cli(capsys, "replay", "nothing", "--run", per_epoch)[0] == 2
    assert run_cli(capsys, "replay", "gpt", "--run", str(tmp_path / "gone"))[0] == 2
    (tmp_path / "empty").mkdir()
    assert run_cli(capsys, "replay", "gpt", "--run", str(tmp_path / "empty"))[0] == 3
    assert run_cli(capsys, "replay", "gpt", "--run", per_epoch, "--first-step", "400")[0] == 2
