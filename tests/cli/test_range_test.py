"""`lrdoctor range-test`: exit statuses, the two formats, the page."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from lrdoctor.cli.main import main

FACTORY = """
import torch
from lrdoctor.simulate.setting import Setting

def build(seed):
    torch.manual_seed(seed)
    model = torch.nn.Linear(3, 1)
    def batches(first):
        generator = torch.Generator().manual_seed(seed)
        while True:
            x = torch.randn(32, 3, generator=generator)
            yield x, x.sum(dim=1, keepdim=True)
    def loss(model, batch):
        return torch.nn.functional.mse_loss(model(batch[0]), batch[1])
    return Setting(model, torch.optim.SGD(model.parameters(), lr=0.01), loss, batches)

def broken(seed):
    raise RuntimeError("no data here")

def fails_later(seed):
    setting = build(seed)
    return Setting(setting.model, setting.optimizer, lambda model, batch: model(batch), setting.batches)
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    lr = 1e-6 * 1e6 ** (np.arange(120) / 120)
    x = np.log10(lr)
    loss = 2.3 - 1.2 / (1 + np.exp(-2.5 * (x + 3.2))) + np.exp(4.0 * (x + 1.2))
    path = tmp_path / "sweep.csv"
    rows = "".join(f"{i},{a!r},{b!r}\n" for i, (a, b) in enumerate(zip(lr.tolist(), loss.tolist(), strict=True)))
    path.write_text(f"step,lr,loss\n{rows}", encoding="utf-8")
    return path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["range-test", *arguments])
    return int(ended.value.code or 0)


def test_text_says_each_lr_with_its_interval(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(sweep)) == 0
    out = capsys.readouterr().out
    for label in ("steepest fall", "lowest loss over 10", "divergence", "90 % interval"):
        assert label in out


def test_json_is_strict_and_deterministic(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "answer.json"
    assert run(str(sweep), "--format", "json") == 0
    assert run(str(sweep), "--format", "json", "--output", str(target)) == 0
    out = capsys.readouterr().out
    assert target.read_text("utf-8") == out
    (found,) = json.loads(out)["range_tests"]
    assert found["schedule"]["family"] == "RangeTest"
    low, high = found["steepest_interval_90"]
    assert low <= found["steepest_lr"] <= high
    assert found["minimum_over_ten"] == pytest.approx(found["minimum_lr"] / 10)


def test_the_page_holds_its_chart(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(sweep), "--report", str(tmp_path / "page")) == 0
    text = (tmp_path / "page" / "index.html").read_text("utf-8")
    figure = json.loads(text.split('id="figure">')[1].split("</script>")[0])
    assert figure["layout"]["xaxis"]["type"] == "log"
    assert [shape["type"] for shape in figure["layout"]["shapes"]] == ["line"] * 3
    assert "index.html" in capsys.readouterr().err


def test_another_page_is_not_overwritten(sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine", encoding="utf-8")
    assert run(str(sweep), "--report", str(tmp_path)) == 2
    assert (tmp_path / "index.html").read_text("utf-8") == "mine"


def test_a_log_of_something_else_is_status_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,lr,loss\n" + "".join(f"{i},0.1,{1 / (i + 1)}\n" for i in range(50)), encoding="utf-8")
    assert run(str(path)) == 3
    assert "rises" in capsys.readouterr().err


def test_a_missing_log_is_a_usage_error(tmp_path: Path) -> None:
    assert run(str(tmp_path / "none.csv")) == 2


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    (tmp_path / "sweeping.py").write_text(FACTORY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.mark.usefixtures("mine")
def test_a_test_is_made_with_a_factory(capsys: pytest.CaptureFixture[str]) -> None:
    code = run("--factory", "sweeping:build", "--start-lr", "1e-3", "--format", "json", "--seed", "1")
    (found,) = json.loads(capsys.readouterr().out)["range_tests"]
    assert code == 0
    assert found["path"] == "sweeping:build"
    assert found["schedule"]["family"] == "RangeTest"
    assert 0.01 < found["minimum_lr"] < found["divergence_lr"] < 10.0  # this loss diverges from some 1.0 on


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "with --factory"),
        (("log.csv", "--factory", "sweeping:build"), "with --factory"),
        (("--factory", "sweeping:gone"), "could not be imported"),
        (("--factory", "sweeping:broken"), "RuntimeError: no data here"),
        (("--factory", "sweeping:fails_later"), "The range test failed"),
        (("--factory", "sweeping:build", "--start-lr", "2", "--end-lr", "1"), "0 < start_lr < end_lr"),
    ],
    ids=["neither", "both", "gone", "broken", "fails later", "falling"],
)
def test_mistakes_with_a_factory_are_usage_errors(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
