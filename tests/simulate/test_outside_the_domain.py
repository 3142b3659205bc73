"""Real small trainings that are no language models: whatever their logs look like, they get no number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lrdoctor.identify import identify
from lrdoctor.readers import read
from lrdoctor.reconstruct import reconstruct
from lrdoctor.schedules import CosineAnnealingLR, Warmup
from lrdoctor.simulate.estimate import estimate
from lrdoctor.simulate.setting import load_factory
from lrdoctor.simulate.tokens import beginning

torch = pytest.importorskip("torch")

UPDATES, PEAK, WARMUP = 1_900, 1e-3, 300
COSINE = Warmup(CosineAnnealingLR(PEAK, UPDATES - WARMUP), WARMUP, 0.01)


def lr_of(update):
    return PEAK * min((update + 1) / WARMUP, 1.0)


def counterfactual(folder):
    (run,) = read(str(folder))
    trajectory = reconstruct(run)
    return estimate(run, trajectory, identify(trajectory), COSINE, device="cpu"), trajectory


def mlp_log(folder):
    """An MLP of 5,000 parameters fits noisy values; its squared error ends where a language model's loss does."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    teacher = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
    for weight in teacher.parameters():
        weight.data.mul_(3.0)
    model = torch.nn.Sequential(
        torch.nn.Linear(16, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK)

    def data(count):
        x = torch.randn(count, 16, generator=generator)
        with torch.no_grad():
            return x, 3.0 * teacher(x) + 2.0**0.5 * torch.randn(count, 1, generator=generator)

    held, rows = data(2048), []
    for update in range(UPDATES):
        optimizer.param_groups[0]["lr"] = lr_of(update)
        x, y = data(64)
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
        if update % 50 == 49:
            with torch.no_grad():
                rows.append((update, lr_of(update), float(torch.nn.functional.mse_loss(model(held[0]), held[1]))))
    lines = ["step,lr,val_loss", *(f"{step},{lr!r},{loss!r}" for step, lr, loss in rows)]
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_tiny_mlp_is_refused_though_its_losses_lie_where_a_language_models_do(tmp_path):
    torch.set_num_threads(1)
    mlp_log(tmp_path)
    result, trajectory = counterfactual(tmp_path)
    losses = trajectory.curves[0].values
    assert 2.0 < losses[-1] < 4.3
    assert result.status == "refused"
    assert "nothing in the log names a language model" in result.reason
    assert (result.estimated_final_loss, result.interval_90, result.direction) == (None, None, None)


def test_a_cnns_accuracy_log_is_refused(tmp_path):
    pytest.importorskip("sklearn")
    setting = load_factory("digits")(0)
    optimizer = torch.optim.AdamW(setting.model.parameters(), lr=PEAK)
    lines = ["step,lr,train_loss,train_acc"]
    for update, (images, labels) in zip(range(820), setting.batches(0), strict=False):
        optimizer.param_groups[0]["lr"] = lr_of(update)
        logits = setting.model(images)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        accuracy = float((logits.argmax(dim=1) == labels).float().mean())
        lines.append(f"{update},{lr_of(update)!r},{float(loss.detach())!r},{accuracy!r}")
    (tmp_path / "metrics.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    result, _ = counterfactual(tmp_path)
    assert result.status == "refused"
    assert "'train_acc' says this run is something else" in result.reason
    assert result.direction is None


def test_the_beginning_of_a_language_model_is_known_and_so_is_a_log_that_lacks_it(case, without_beginning):
    one = case(log_every=50)
    whole = one.trajectory
    lr = np.minimum((np.arange(12_000) + 1) / 300, 1.0)
    (curve,) = whole.curves
    lower = replace(curve, values=curve.values - 3.0)
    assert beginning(whole, lr) is True
    assert beginning(without_beginning(one).trajectory, lr) is None
    assert beginning(replace(whole, curves=(lower,)), lr) == pytest.approx((0.0, 7.8))
