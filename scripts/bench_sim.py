"""Mode updates a second on every path, in one run: pure Python, numpy, a plain torch loop, compiled code, the device.

    python scripts/bench_sim.py [--seconds 3]

An update is one mode of one posterior draw under one schedule moved by one learning rate. Every path is given as many
updates as it does in about the stated time, and its losses are compared with the closed form of the law.
"""

from __future__ import annotations

import argparse
import math
import os
from functools import partial
from importlib.util import find_spec
from time import perf_counter

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.f7 import loss
from lrdoctor.simulate.grid import compress
from lrdoctor.simulate.library import load_library
from lrdoctor.simulate.modes import Modes, Step, spectrum, step_reference

SCHEDULES, DRAWS = 4, 256
LEAST_STEPS, MOST_STEPS = 200, 100_000
TORCH, COMPILED = "torch loop, cpu,", "compiled, cpu (numba)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long each path runs")
    seconds = parser.parse_args().seconds
    if find_spec("torch") is None or not _cuda():
        print("no CUDA device at hand: its paths are left out\n")
    generator = np.random.default_rng(0)
    entries = load_library().entries
    theta = np.stack([entries[i].theta for i in generator.integers(0, len(entries), DRAWS)])
    print(
        f"{'path':28s} {'schedules x draws x modes x updates':>38s} {'seconds':>8s} {'updates/s':>10s} {'off by':>8s}"
    )
    rates = {name: measure(name, step, theta, width, seconds) for name, step, width in paths()}
    naive = max((rate for name, rate in rates.items() if name.startswith(TORCH)), default=0.0)
    compiled = rates.get(COMPILED)
    if naive and compiled:
        print(f"\ncompiled / the faster torch loop on the CPU: {compiled / naive:.0f}x, on {os.cpu_count()} cores")


def paths() -> list[tuple[str, Step, tuple[int, int]]]:
    """(name, step, (schedules, draws)): slow paths are given fewer at once."""
    found: list[tuple[str, Step, tuple[int, int]]] = [
        ("pure Python", step_python, (1, 1)),
        ("numpy, reference", step_reference, (1, DRAWS)),
    ]
    everything = (SCHEDULES, DRAWS)
    if find_spec("torch") is not None:
        import torch

        from lrdoctor.simulate.modes_torch import step_torch

        def threaded(threads: int, modes: Modes, u: FloatArray) -> FloatArray:
            torch.set_num_threads(threads)
            return step_torch(torch.device("cpu"), modes, u)

        found += [
            (f"{TORCH} {threads} thread(s)", partial(threaded, threads), everything)
            for threads in sorted({1, os.cpu_count() or 1})
        ]
    if find_spec("numba") is not None:
        from lrdoctor.simulate.modes_numba import step_compiled

        found.append((COMPILED, step_compiled, everything))
    return found + device_paths()


def _cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def device_paths() -> list[tuple[str, Step, tuple[int, int]]]:
    if find_spec("torch") is None or not _cuda():
        return []
    import torch

    from lrdoctor.simulate.modes_torch import step_torch

    device, name = torch.device("cuda"), torch.cuda.get_device_name()
    found: list[tuple[str, Step, tuple[int, int]]] = [
        (f"torch loop, {name}", partial(step_torch, device), (SCHEDULES, DRAWS))
    ]
    if find_spec("triton") is not None:
        from lrdoctor.simulate.modes_triton import step_triton

        found.append((f"kernel, {name}", partial(step_triton, device), (32, DRAWS)))
    return found


def measure(name: str, step: Step, theta: FloatArray, width: tuple[int, int], seconds: float) -> float:
    """Updates a second of a path, printed with the largest difference from the closed form."""
    schedules, draws = width
    laws = theta[:draws]
    step(*problem(laws, schedules, LEAST_STEPS))  # compiled and warm
    steps = LEAST_STEPS
    while True:
        modes, u = problem(laws, schedules, steps)
        began = perf_counter()
        losses = step(modes, u)
        took = perf_counter() - began
        if took > seconds / 3.0 or steps >= MOST_STEPS:
            break
        steps = min(MOST_STEPS, max(2 * steps, int(0.8 * steps * seconds / max(took, 1e-4))))
    rate = modes.rate.size * schedules * steps / took
    wanted = np.stack([loss(laws, compress(row, [steps]))[:, 0] for row in u])
    size = f"{schedules} x {draws} x {modes.rate.shape[1]} x {steps}"
    print(f"{name:28s} {size:>38s} {took:8.2f} {rate:10.2e} {np.max(np.abs(losses - wanted)):8.1e}", flush=True)
    return rate


def problem(laws: FloatArray, schedules: int, steps: int) -> tuple[Modes, FloatArray]:
    """Cosines with different floors, and the modes of the laws."""
    t = np.arange(steps) / steps
    u = np.stack([(1 - end) * 0.5 * (1 + np.cos(np.pi * t)) + end for end in np.linspace(0.0, 0.3, schedules)])
    return spectrum(laws, max(float(u.sum(axis=1).max()) / 1000.0, 0.2)), u


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
