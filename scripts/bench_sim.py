"""Mode updates a second on every path, in one run: pure Python, numpy, a plain torch loop, compiled code, the device.

    python scripts/bench_sim.py [--seconds 3]

An update is one mode of one posterior draw under one schedule moved by one learning rate. Every path is given as many
updates as it does in about the stated time. First the modes of the loss law, held to its closed form; then the moments
of a noisy quadratic under AdamW, held to the reference in double precision.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.f7 import loss
from lrdoctor.simulate.grid import compress
from lrdoctor.simulate.library import load_library
from lrdoctor.simulate.mean_field import Drive, Optimizer, Quadratic, step_moments_reference
from lrdoctor.simulate.modes import NOISE_MODES, SIGNAL_MODES, Modes, spectrum, step_reference
from lrdoctor.simulate.stepping import stepper

SCHEDULES, DRAWS, KERNEL_SCHEDULES = 4, 256, 32
LEAST_STEPS, MOST_STEPS = 200, 100_000
TORCH, COMPILED = "torch loop, cpu,", "compiled, cpu (numba)"

Place = tuple[int, int]
"""Schedules and draws at once: slow paths are given fewer."""

ONE, FEW, ALL = (1, 1), (1, DRAWS), (SCHEDULES, DRAWS)


@dataclass(frozen=True)
class Task:
    """`problem(place, T)` sets up T updates of so many schedules and draws of K `modes`; `truth` is what comes out.

    The truth is worked out for `checked` updates at most.
    """

    name: str
    modes: int
    problem: Callable[[Place, int], tuple[Any, ...]]
    truth: Callable[..., FloatArray]
    checked: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long each path runs")
    seconds = parser.parse_args().seconds
    if not _cuda():
        print("no CUDA device at hand: its paths are left out\n")
    law = Task("modes of the law", SIGNAL_MODES + NOISE_MODES, law_problem, law_truth, MOST_STEPS)
    moments = Task("moments under AdamW", 40, moments_problem, step_moments_reference, LEAST_STEPS)
    compare(law, [("pure Python", step_python, ONE), ("numpy, reference", step_reference, FEW), *fast(0)], seconds)
    compare(moments, [("numpy, reference", step_moments_reference, FEW), *fast(1)], seconds)


def compare(task: Task, paths: list[tuple[str, Callable[..., FloatArray], Place]], seconds: float) -> None:
    columns = f"{'schedules x draws x modes x updates':>38s} {'seconds':>8s} {'updates/s':>10s} {'off by':>8s}"
    print(f"{task.name:28s} {columns}")
    rates = {name: measure(name, step, place, task, seconds) for name, step, place in paths}
    naive = max((rate for name, rate in rates.items() if name.startswith(TORCH)), default=0.0)
    if naive and COMPILED in rates:
        times = rates[COMPILED] / naive
        print(f"compiled / the faster torch loop on the CPU: {times:.0f}x, on {os.cpu_count()} cores\n")


def fast(which: int) -> Iterator[tuple[str, Callable[..., FloatArray], Place]]:
    """The paths of a `Stepper`'s modes (0) or moments (1) beside the reference."""
    if find_spec("torch") is not None:
        import torch

        from lrdoctor.simulate.mean_field_torch import step_moments_torch
        from lrdoctor.simulate.modes_torch import step_torch

        loop = (step_torch, step_moments_torch)[which]

        def threaded(threads: int, *problem: Any) -> FloatArray:
            torch.set_num_threads(threads)
            return loop(torch.device("cpu"), *problem)

        for threads in sorted({1, os.cpu_count() or 1}):
            yield f"{TORCH} {threads} thread(s)", partial(threaded, threads), ALL
        if _cuda():
            yield f"torch loop, {torch.cuda.get_device_name()}", partial(loop, torch.device("cuda")), ALL
    if find_spec("numba") is not None:
        yield COMPILED, stepper("cpu")[which], ALL
    if _cuda() and find_spec("triton") is not None:
        yield stepper("cuda").name, stepper("cuda")[which], (KERNEL_SCHEDULES, DRAWS)


def _cuda() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def measure(name: str, step: Callable[..., FloatArray], place: Place, task: Task, seconds: float) -> float:
    """Updates a second of a path, printed with the largest difference from the truth."""
    step(*task.problem(place, LEAST_STEPS))  # compiled and warm
    steps = LEAST_STEPS
    while True:
        problem = task.problem(place, steps)
        began = perf_counter()
        losses = step(*problem)
        took = perf_counter() - began
        if took > seconds / 3.0 or steps >= MOST_STEPS:
            break
        steps = min(MOST_STEPS, max(2 * steps, int(0.8 * steps * seconds / max(took, 1e-4))))
    if steps > task.checked:
        problem = task.problem(place, task.checked)
        losses = step(*problem)
    shape = *place, task.modes, steps
    rate = math.prod(shape) / took
    off = np.max(np.abs(losses - task.truth(*problem)))
    print(f"{name:28s} {' x '.join(map(str, shape)):>38s} {took:8.2f} {rate:10.2e} {off:8.1e}", flush=True)
    return rate


def cosines(schedules: int, steps: int) -> FloatArray:
    """(S, T) cosines with different floors."""
    t = np.arange(steps) / steps
    return np.stack([(1 - end) * 0.5 * (1 + np.cos(np.pi * t)) + end for end in np.linspace(0.0, 0.3, schedules)])


def law_problem(place: Place, steps: int) -> tuple[Modes, FloatArray]:
    u = cosines(place[0], steps)
    return spectrum(laws(place[1]), max(float(u.sum(axis=1).max()) / 1000.0, 0.2)), u


def law_truth(modes: Modes, u: FloatArray) -> FloatArray:
    known = laws(len(modes.floor))
    return np.stack([loss(known, compress(row, [u.shape[1]]))[:, 0] for row in u])


def laws(count: int) -> FloatArray:
    """(N, 7) laws drawn from the library."""
    entries = load_library().entries
    return np.stack([entries[i].theta for i in np.random.default_rng(0).integers(0, len(entries), count)])


def moments_problem(place: Place, steps: int) -> tuple[Quadratic, Optimizer, Drive]:
    h = np.geomspace(1e-5, 3.0, 40) * np.linspace(0.7, 1.3, place[1])[:, None]
    adamw = Optimizer("adam", 0.9, 0.95, weight_decay=0.1)
    return Quadratic(h, 0.3 * h, h**-0.7), adamw, Drive(0.01 * cosines(place[0], steps))


def step_python(modes: Modes, u: FloatArray) -> FloatArray:
    """`Step` without numpy: floats in lists."""
    losses = []
    for row in u.tolist():
        losses.append([])
        for d in range(len(modes.floor)):
            rates, zeta, delta = modes.rate[d].tolist(), float(modes.zeta[d]), float(modes.delta[d])
            state = [0.0] * len(rates)
            for now in row:
                progress, height = (now**zeta, now**delta) if now > 0.0 else (0.0, 0.0)
                for k, rate in enumerate(rates):
                    clock, target = (progress, 1.0) if k < modes.signal else (now, height)
                    state[k] -= (target - state[k]) * math.expm1(-rate * clock)
            losses[-1].append(float(modes.end[d] + np.sum(modes.sign * modes.weight[d] * state)))
    return np.array(losses)


if __name__ == "__main__":
    main()
