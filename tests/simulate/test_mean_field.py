"""Moments under an optimizer: torch's own steps without noise, the known levels and samples with it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from lrdoctor.simulate.mean_field import Drive, Optimizer, Quadratic, loss_curves, step_moments_reference
from lrdoctor.simulate.stepping import stepper

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
    found = loss_curves(QUIET, optimizer, Drive(RESTARTS[None]))[0, 0]
    np.testing.assert_allclose(found, stepped(build, RESTARTS), rtol=1e-6, atol=1e-12)


def test_sgd_settles_at_the_level_its_lr_sets():
    noise = np.array([0.3, 0.1, 0.2])
    drive = Drive(np.full((1, 5_000), 0.1))
    ((level,),) = step_moments_reference(Quadratic(H, noise, START), Optimizer("sgd"), drive)
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
    ((told,),) = step_moments_reference(quadratic, Optimizer(kind, 0.9, 0.99), Drive(np.full((1, 120), lr)))
    sampled = 0.5 * float((x.detach() ** 2).mean())
    assert told == pytest.approx(sampled, rel=0.15 if kind == "adam" else 0.03)


def test_a_larger_batch_lowers_the_noise_as_much_as_a_lower_lr_nearly():
    noisy = Quadratic(H, np.ones(3), np.zeros(3))
    lr = np.full((1, 2_000), 0.01)
    one = step_moments_reference(noisy, Optimizer(), Drive(lr))
    batch = step_moments_reference(noisy, Optimizer(), Drive(lr, batch=np.full((1, 2_000), 4.0)))
    assert batch == pytest.approx(one / 4.0)


@pytest.mark.parametrize(
    ("kind", "key"), [("sgd", "momentum"), ("nesterov", "momentum"), ("adam", "betas")], ids=["sgd", "nesterov", "adam"]
)
def test_a_cycled_momentum_is_followed_as_torch_follows_it(kind, key):
    torch = pytest.importorskip("torch")
    cycled = np.linspace(0.95, 0.85, T)
    x = torch.nn.Parameter(torch.tensor(START, dtype=torch.float64))
    h = torch.tensor(H, dtype=torch.float64)
    if kind == "adam":
        optimizer = torch.optim.Adam([x], lr=1.0, betas=(0.9, 0.99))
    else:
        optimizer = torch.optim.SGD([x], lr=1.0, momentum=0.9, nesterov=kind == "nesterov")
    for lr, beta in zip(RESTARTS.tolist(), cycled.tolist(), strict=True):
        optimizer.param_groups[0].update({"lr": lr, key: (beta, 0.99) if kind == "adam" else beta})
        x.grad = (h * x).detach()
        optimizer.step()
    drive = Drive(RESTARTS[None], momentum=cycled[None])
    ((found,),) = step_moments_reference(QUIET, Optimizer(kind, 0.9, 0.99), drive)
    assert found == pytest.approx(0.5 * float((h * x * x).sum().detach()), rel=1e-6)


OPTIMIZERS = [
    Optimizer(),
    Optimizer("sgd", 0.9, weight_decay=0.01),
    Optimizer("nesterov", 0.9),
    Optimizer("adam", 0.9, 0.999),
    Optimizer("adam", 0.9, 0.95, weight_decay=0.1),
]
NAMES = ["sgd", "momentum", "nesterov", "adam", "adamw"]
SAME = 2e-4
"""Of the loss: what the fast paths, in single precision, may be off from the reference in double."""


def draws(count, modes=20):
    """Modes from rates an update hardly moves to those that settle at once, other ones in each draw."""
    generator = np.random.default_rng(2)
    h = np.geomspace(1e-5, 3.0, modes) * generator.uniform(0.7, 1.3, (count, modes))
    return Quadratic(h, 0.3 * h * generator.uniform(0.5, 1.5, (count, modes)), h**-0.7)


def drive(updates):
    """A cosine, restarts and a spike, the batch eight times as large in the second half, the momentum cycled."""
    t = np.arange(updates)
    shapes = 0.5 * (1.0 + np.cos(np.pi * t / updates)), 1.0 - (t % 100) / 100, np.where((t > 99) & (t < 120), 2.0, 0.5)
    batch = np.where(t < updates // 2, 1.0, 8.0)[None].repeat(3, axis=0)
    return Drive(0.05 * np.stack(shapes), batch, np.linspace(0.95, 0.85, updates)[None].repeat(3, axis=0))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=NAMES)
@pytest.mark.parametrize("path", ["numba", "torch"])
def test_the_fast_paths_give_the_references_numbers(path, optimizer):
    pytest.importorskip(path)
    if path == "numba":
        step = stepper("cpu").moments
    else:
        import torch

        from lrdoctor.simulate.mean_field_torch import step_moments_torch

        step = partial(step_moments_torch, torch.device("cpu"))
    quadratic, asked = draws(11), drive(300)  # 220 modes: more than a tile
    wanted = step_moments_reference(quadratic, optimizer, asked)
    assert wanted.shape == (3, 11)
    assert np.ptp(wanted, axis=0).min() > 0.01 * wanted.min()  # the schedules differ
    np.testing.assert_allclose(step(quadratic, optimizer, asked), wanted, rtol=SAME)


@pytest.mark.parametrize("optimizer", [Optimizer(), Optimizer("adam", 0.9, 0.999)], ids=["sgd", "adam"])
def test_the_slowest_modes_are_not_lost_to_rounding_over_a_long_run(optimizer):
    """A mode that moves by 1e-8 of itself an update: without what rounding cuts off it would stand still."""
    pytest.importorskip("numba")
    quadratic = Quadratic(np.array([1e-7, 1e-6]), np.array([1e-9, 1e-9]), np.array([1.0, 1.0]))
    asked = Drive(np.full((1, 20_000), 0.1 if optimizer.kind == "sgd" else 1e-7))
    wanted = step_moments_reference(quadratic, optimizer, asked)
    ended = stepper("cpu").moments(quadratic, optimizer, asked)
    start = 0.5 * np.sum(quadratic.h)
    assert (start - wanted) / start > 1e-5
    np.testing.assert_allclose(start - ended, start - wanted, rtol=0.02)


def test_the_kernel_for_cuda_gives_the_references_numbers_when_interpreted(interpreted):
    interpreted(
        "import numpy as np, torch\n"
        "from lrdoctor.simulate.mean_field import Drive, Optimizer, Quadratic, step_moments_reference\n"
        "from lrdoctor.simulate.mean_field_triton import step_moments_triton\n"
        "h = np.geomspace(1e-5, 3.0, 140).reshape(2, 70)\n"
        "quadratic, t = Quadratic(h, 0.3 * h, h**-0.7), np.arange(60)\n"
        "lr = np.stack([0.05 * (1 + np.cos(np.pi * t / 60)) / 2, 0.05 * (1 - (t % 20) / 20)])\n"
        "drive = Drive(lr, np.where(lr > 0.02, 1.0, 8.0), np.linspace(0.95, 0.85, 120).reshape(2, 60))\n"
        "adamw = Optimizer('adam', 0.9, 0.99, weight_decay=0.1)\n"
        "for optimizer in (Optimizer('sgd', 0.9), Optimizer('nesterov', 0.9), adamw):\n"
        "    wanted = step_moments_reference(quadratic, optimizer, drive)\n"
        "    off = np.abs(step_moments_triton(torch.device('cpu'), quadratic, optimizer, drive) / wanted - 1).max()\n"
        "    assert off < 2e-4, (optimizer, off)\n"
    )
