"""Moments under an optimizer: torch's own steps without noise, the known levels and samples with it."""

from __future__ import annotations

import numpy as np
import pytest

from lrdoctor.simulate.mean_field import Optimizer, Quadratic, step_moments

H = np.array([0.2, 1.0, 3.0])
START = np.array([1.0, 0.5, 2.0])
QUIET = Quadratic(H, np.zeros(3), START**2)
T = 60
RESTARTS = 0.1 * (1.0 - (np.arange(T) % 20) / 20.0)


def stepped(build, lr):
    """Losses before each update and after the last, by torch."""
    torch = pytest.importorskip("torch")
    x = torch.nn.Parameter(torch.tensor(START, dtype=torch.float64))
    h = torch.tensor(H, dtype=torch.float64)
    optimizer = build(torch, [x])
    losses = []
    for now in lr:
        optimizer.param_groups[0]["lr"] = now
        optimizer.zero_grad()
        value = 0.5 * (h * x * x).sum()
        losses.append(float(value.detach()))
        value.backward()
        optimizer.step()
    return np.array([*losses, float(0.5 * (h * x * x).sum().detach())])


@pytest.mark.parametrize(
    ("optimizer", "build"),
    [
        (Optimizer("sgd"), lambda torch, x: torch.optim.SGD(x, lr=1.0)),
        (Optimizer("sgd", 0.9), lambda torch, x: torch.optim.SGD(x, lr=1.0, momentum=0.9)),
        (Optimizer("nesterov", 0.9), lambda torch, x: torch.optim.SGD(x, lr=1.0, momentum=0.9, nesterov=True)),
        (Optimizer("adam", 0.9, 0.99), lambda torch, x: torch.optim.Adam(x, lr=1.0, betas=(0.9, 0.99))),
        (
            Optimizer("adam", 0.9, 0.95, weight_decay=0.1),
            lambda torch, x: torch.optim.AdamW(x, lr=1.0, betas=(0.9, 0.95), weight_decay=0.1),
        ),
    ],
    ids=["sgd", "momentum", "nesterov", "adam", "adamw"],
)
def test_without_noise_the_moments_are_torchs_own_steps(optimizer, build):
    found = step_moments(QUIET, optimizer, RESTARTS[None])[0]
    np.testing.assert_allclose(found, stepped(build, RESTARTS), rtol=1e-6, atol=1e-12)


def test_sgd_settles_at_the_level_its_lr_sets():
    noise = np.array([0.3, 0.1, 0.2])
    level = step_moments(Quadratic(H, noise, START), Optimizer("sgd"), np.full((1, 5_000), 0.1))[0, -1]
    assert level == pytest.approx(0.5 * np.sum(0.1 * noise / (2.0 - 0.1 * H)))


@pytest.mark.parametrize("kind", ["sgd", "nesterov", "adam"])
def test_with_noise_the_moments_are_the_mean_of_many_samples(kind):
    """Adam's mean field is near, the others are exact; 40,000 samples leave some 1 % of chance."""
    torch = pytest.importorskip("torch")
    samples, lr, noise = 40_000, 0.05, 0.5
    generator = np.random.default_rng(5)
    x = torch.nn.Parameter(torch.ones(samples, dtype=torch.float64))
    optimizer = {
        "sgd": lambda: torch.optim.SGD([x], lr=lr, momentum=0.9),
        "nesterov": lambda: torch.optim.SGD([x], lr=lr, momentum=0.9, nesterov=True),
        "adam": lambda: torch.optim.Adam([x], lr=lr, betas=(0.9, 0.99)),
    }[kind]()
    for _ in range(120):
        x.grad = x.detach() + torch.tensor(generator.normal(0.0, noise**0.5, samples))
        optimizer.step()
    quadratic = Quadratic(np.ones(1), np.array([noise]), np.ones(1))
    told = step_moments(quadratic, Optimizer(kind, 0.9, 0.99), np.full((1, 120), lr))[0, -1]
    sampled = 0.5 * float((x.detach() ** 2).mean())
    assert told == pytest.approx(sampled, rel=0.15 if kind == "adam" else 0.03)


def test_a_larger_batch_lowers_the_noise_as_much_as_a_lower_lr_nearly():
    noisy = Quadratic(H, np.ones(3), np.zeros(3))
    lr = np.full((1, 2_000), 0.01)
    one = step_moments(noisy, Optimizer(), lr)[0, -1]
    batch = step_moments(noisy, Optimizer(), lr, batch=np.full((1, 2_000), 4.0))[0, -1]
    assert batch == pytest.approx(one / 4.0)


def test_a_cycled_momentum_is_followed_update_for_update():
    cycled = np.where(np.arange(T) < 30, 0.95, 0.85)[None]
    first = step_moments(QUIET, Optimizer("sgd", 0.95), RESTARTS[None, :30])[0]
    both = step_moments(QUIET, Optimizer("sgd", 0.0), RESTARTS[None], momentum=cycled)[0]
    np.testing.assert_allclose(both[:31], first)
    assert not np.allclose(both[-1], step_moments(QUIET, Optimizer("sgd", 0.95), RESTARTS[None])[0, -1])
