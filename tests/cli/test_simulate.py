"""`lrdoctor simulate` and `lrdoctor library` as a user calls them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lrdoctor.cli.main import main
from lrdoctor.simulate.f7 import loss
from lrdoctor.simulate.grid import compress

THETA = np.array([2.75, -0.15, 0.49, -1.55, 3.2, 0.73, 0.49])
STEPS, WARMUP = 6_000, 200


def write_run(folder, lr_of, *, tag="train_loss", values=None, every=50):
    lr = np.array([lr_of(t) for t in range(STEPS)], dtype=np.float64)
    at = np.arange(0, STEPS, every)
    if values is None:
        done = np.maximum(at + 1, 2)
        values = np.minimum(loss(THETA, compress(lr / lr.max(), done)), 10.8)
    rows = [
        f"{step},{float(lr[step])!r},{value!r}"
        for step, value in zip(at.tolist(), np.asarray(values).tolist(), strict=True)
    ]
    folder.mkdir()
    (folder / "metrics.csv").write_text(f"step,learning_rate,{tag}\n" + "\n".join(rows) + "\n", encoding="utf-8")
    (folder / "config.yaml").write_text("optimizer: AdamW\nmodel: llama-124M\n", encoding="utf-8")
    return str(folder)


def ramp(t):
    return min((t + 1) / WARMUP, 1.0)


def flat(t):
    return 1e-3 * ramp(t)


def decayed(t):
    return 1e-3 * ramp(t) * min(1.0, (STEPS - t) / 1_500)


def run_cli(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    return stopped.value.code, *capsys.readouterr()


@pytest.fixture
def constant(tmp_path):
    return write_run(tmp_path / "constant", flat)


def test_an_estimate_in_words(constant, capsys):
    status, out, _ = run_cli(capsys, "simulate", constant, "--schedule", "cosine", "--device", "cpu")
    assert status == 0
    assert "cosine: with the fixed schedule this run would have ended at 3." in out
    assert "90 % interval" in out
    assert "the prior leans on llama" in out
    assert "to settle it: a branch of" in out


def test_an_estimate_and_a_search_in_json(constant, capsys):
    arguments = ("--schedule", "wsd:decay=0.2", "--optimize", "--family", "linear", "--keep-peak", "--format", "json")
    status, out, _ = run_cli(capsys, "simulate", constant, "--device", "cpu", *arguments)
    (run,) = json.loads(out)["runs"]
    (estimate,) = run["estimates"]
    assert status == 0
    assert estimate["status"] == "estimated"
    assert estimate["gain_90"][0] < estimate["gain"] < estimate["gain_90"][1]
    assert estimate["gain"] == pytest.approx(estimate["observed_final_loss"] - estimate["estimated_final_loss"])
    assert run["search"]["status"] == "searched"
    assert run["search"]["best"][0]["schedule"]["family"] == "LinearLR"
    assert "LinearLR" in run["search"]["best"][0]["torch_code"]


def test_a_tiny_mlp_is_refused_and_that_is_an_answer(tmp_path, capsys):
    values = 0.02 + 0.9 * np.exp(-np.arange(STEPS // 50) / 20.0)
    mlp = write_run(tmp_path / "mlp", flat, values=values)
    (tmp_path / "mlp" / "config.yaml").write_text("optimizer: AdamW\nmodel: mlp\n", encoding="utf-8")
    status, out, _ = run_cli(capsys, "simulate", mlp, "--schedule", "cosine", "--optimize")
    assert status == 0
    assert "cosine: refused: the loss ends at 0.0" in out
    assert "train a branch of 5 to 10 %" in out
    assert "search refused" in out


def test_a_cnns_accuracy_log_is_refused(tmp_path, capsys):
    values = 1.0 - 0.9 * np.exp(-np.arange(STEPS // 50) / 20.0)
    cnn = write_run(tmp_path / "cnn", flat, tag="val_accuracy", values=values)
    status, out, _ = run_cli(capsys, "simulate", cnn, "--schedule", "cosine", "--format", "json")
    (run,) = json.loads(out)["runs"]
    assert status == 0
    assert run["estimates"][0]["status"] == "refused"
    assert run["estimates"][0]["estimated_final_loss"] is None
    assert run["estimates"][0]["reason"]


def test_usage_errors_and_unreadable_runs_have_their_own_status(constant, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run_cli(capsys, "simulate", str(tmp_path / "gone"))[0] == 2
    assert run_cli(capsys, "simulate", str(tmp_path / "empty"))[0] == 3
    status, _, err = run_cli(capsys, "simulate", constant, "--schedule", "cosin")
    assert status == 2
    assert "did you mean `cosine`?" in err


def test_a_sibling_run_narrows_the_answer(constant, tmp_path, capsys):
    sibling = write_run(tmp_path / "decayed", decayed)
    arguments = ("simulate", constant, "--schedule", "cosine", "--format", "json")
    alone, both = (
        json.loads(run_cli(capsys, *arguments, *more)[1])["runs"][0]["estimates"][0]
        for more in ((), ("--with", sibling))
    )
    assert np.ptp(both["interval_90"]) < np.ptp(alone["interval_90"])
    assert both["notes"] == ["fitted jointly to 2 runs"]


def test_a_model_of_ones_own_is_added_listed_and_removed(constant, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LRDOCTOR_LIBRARY", str(tmp_path / "deep" / "mine.json"))
    sibling = write_run(tmp_path / "decayed", decayed)
    status, out, _ = run_cli(capsys, "library", "add", constant, sibling, "--model", "mine")
    assert (status, out) == (0, "added mine at peak lr 0.001, from 2 runs\n")
    status, out, _ = run_cli(capsys, "library", "list")
    assert status == 0
    assert "llama2-400M" in out
    assert "yours: " in out
    assert run_cli(capsys, "library", "remove", "mine")[0] == 0
    status, _, err = run_cli(capsys, "library", "remove", "mine")
    assert status == 2
    assert "No model of your own is called 'mine'" in err


def test_a_run_without_a_decay_is_not_added(constant, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LRDOCTOR_LIBRARY", str(tmp_path / "mine.json"))
    status, _, err = run_cli(capsys, "library", "add", constant)
    assert status == 2
    assert "add a run of the same model and peak whose lr decays" in err
    assert not (tmp_path / "mine.json").exists()
