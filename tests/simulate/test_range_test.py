"""The range test finds where training breaks, and leaves no trace."""

from __future__ import annotations

import random

import numpy as np
import pytest

import lrdoctor
from lrdoctor.errors import UsageError

torch = pytest.importorskip("torch")


def setting(optimizer="SGD", **options):
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(8, 16), torch.nn.BatchNorm1d(16), torch.nn.Dropout(0.2), torch.nn.ReLU(), torch.nn.Linear(16, 1)
    )
    built = getattr(torch.optim, optimizer)(model.parameters(), lr=1e-3, **options)
    x = torch.randn(256, 8)
    y = x @ torch.randn(8, 1)
    batches = [(x[i : i + 32], y[i : i + 32]) for i in range(0, 256, 32)]
    return model, built, batches


def mse(model, batch):
    return torch.nn.functional.mse_loss(model(batch[0]), batch[1])


def train(model, optimizer, batches):
    """Losses of one more pass: the sum of all state that matters."""
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        loss = mse(model, batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize(
    ("name", "options"),
    [("SGD", {"momentum": 0.9}), ("AdamW", {}), ("Adam", {"amsgrad": True}), ("RMSprop", {})],
)
@pytest.mark.parametrize("before", [False, True], ids=["fresh", "trained"])
def test_model_optimizer_and_chance_are_restored_exactly(name, options, before):
    outcomes = []
    for tested in (False, True):
        model, optimizer, batches = setting(name, **options)
        if before:
            train(model, optimizer, batches)
        model.train()
        torch.manual_seed(7)
        random.seed(7)
        np.random.seed(7)
        if tested:
            lrdoctor.range_test(model, optimizer, mse, batches, steps=40)
        chance = (random.random(), float(np.random.rand()))
        outcomes.append((train(model, optimizer, batches), chance, [p.tolist() for p in model.parameters()]))
    assert outcomes[0] == outcomes[1]


def test_evaluation_mode_and_gradients_are_put_back_and_tensors_stay_the_same_objects():
    model, optimizer, batches = setting("Adam")
    train(model, optimizer, batches)
    model[1].eval()
    parameters = [id(p) for p in model.parameters()]
    gradients = [p.grad.clone() for p in model.parameters()]
    lrdoctor.range_test(model, optimizer, mse, batches, steps=20)
    assert [module.training for module in model] == [True, False, True, True, True]
    assert [id(p) for p in model.parameters()] == parameters
    assert all(torch.equal(p.grad, kept) for p, kept in zip(model.parameters(), gradients, strict=True))
    assert optimizer.param_groups[0]["lr"] == 1e-3


def test_everything_is_restored_when_the_loss_raises():
    model, optimizer, batches = setting("AdamW")
    kept = [p.detach().clone() for p in model.parameters()]
    calls = []

    def broken(model, batch):
        calls.append(1)
        if len(calls) > 5:
            raise RuntimeError("out of memory")
        return mse(model, batch)

    with pytest.raises(RuntimeError):
        lrdoctor.range_test(model, optimizer, broken, batches)
    assert all(torch.equal(p, one) for p, one in zip(model.parameters(), kept, strict=True))
    assert not optimizer.state


def test_the_limit_of_a_quadratic_is_found():
    """SGD on h x^2 / 2 diverges from lr = 2 / h on."""
    x = torch.nn.Parameter(torch.tensor([1.0]))
    model = torch.nn.Module()
    model.register_parameter("x", x)
    optimizer = torch.optim.SGD([x], lr=0.1)
    found = lrdoctor.range_test(
        model,
        optimizer,
        lambda model, _: 5.0 * model.x.square().sum() + 1.0,
        [0],
        start_lr=1e-4,
        end_lr=10.0,
        steps=200,
    )
    assert found.diverged
    assert 1e-3 < found.steepest_lr < found.lowest_lr < 2.0
    assert found.suggested_lr == pytest.approx(found.lowest_lr / 10.0)
    assert len(found.lr) < 200


def test_groups_keep_their_ratio():
    model, _, batches = setting()
    optimizer = torch.optim.SGD(
        [{"params": model[0].parameters(), "lr": 1e-2}, {"params": model[4].parameters()}], lr=1e-3
    )
    seen = []

    def watched(model, batch):
        seen.append([group["lr"] for group in optimizer.param_groups])
        return mse(model, batch)

    lrdoctor.range_test(model, optimizer, watched, batches, steps=10)
    assert all(high == pytest.approx(10.0 * low) for high, low in seen)
    assert [group["lr"] for group in optimizer.param_groups] == [1e-2, 1e-3]


def test_a_loss_that_never_falls_suggests_nothing():
    model, optimizer, batches = setting()
    found = lrdoctor.range_test(model, optimizer, lambda model, batch: mse(model, batch) * 0.0 + 1.0, batches, steps=20)
    assert (found.suggested_lr, found.diverged) == (None, False)


@pytest.mark.parametrize("wrong", [{"start_lr": 1.0, "end_lr": 0.1}, {"start_lr": 0.0}, {"steps": 1}])
def test_a_range_that_does_not_rise_is_a_usage_error(wrong):
    with pytest.raises(UsageError):
        lrdoctor.range_test(*setting()[:2], mse, setting()[2], **wrong)


def test_a_loader_without_batches_is_a_usage_error():
    model, optimizer, _ = setting()
    with pytest.raises(UsageError, match="no batches"):
        lrdoctor.range_test(model, optimizer, mse, [])
