"""A language-model run whose loss follows the law, and its identification by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from lrdoctor import synth
from lrdoctor.model.arrays import FloatArray, floats
from lrdoctor.model.identification import Fit, GroupIdentification, Identification, WarmupShape
from lrdoctor.model.run import Run, Scalar
from lrdoctor.model.schedule import Schedule
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.reconstruct import reconstruct
from lrdoctor.schedules import Constant, Warmup
from lrdoctor.simulate.f7 import loss
from lrdoctor.simulate.grid import compress

THETA = np.array([2.75, -0.15, 0.49, -1.55, 3.2, 0.73, 0.49])  # near the middle of the shipped library
WARMUP = 300


@dataclass(frozen=True, eq=False)
class Case:
    """What `estimate` is called with."""

    run: Run
    trajectory: Trajectory
    identification: Identification


def planted_loss(schedule: Schedule, steps: int, at: FloatArray, theta: FloatArray = THETA) -> FloatArray:
    """The law's losses after `at` updates of a schedule, exact at 300 of them at most."""
    lr = schedule.lr_at(np.arange(steps))
    some = at if len(at) <= 300 else np.unique(np.geomspace(at[0], at[-1], 300).round())
    untrained = 10.8  # ln of a vocabulary of 50,000
    return np.minimum(np.interp(at, some, loss(theta, compress(lr / lr.max(), some))), untrained)


def _identified(schedule: Schedule, steps: int) -> Identification:
    main, warmup = schedule, None
    if isinstance(schedule, Warmup):
        main, warmup = schedule.main, WarmupShape("linear", schedule.steps, schedule.start_factor)
    fit = Fit(main, schedule, 0.0, steps - 1.0, "update", 1.0, 1e-9, 1.0, True, warmup)
    return Identification((GroupIdentification("0", (fit,)),))


def _case(
    schedule: Schedule | None = None,
    *,
    steps: int = 12_000,
    log_every: int = 100,
    noise: float = 0.0,
    losses: Callable[[FloatArray], FloatArray] | None = None,
    optimizer: str = "AdamW",
    identified: bool = True,
    **declared: Scalar,
) -> Case:
    """A run of `schedule` (constant 1e-3 after a warmup) that logs LR and loss; `losses`: updates done -> losses."""
    schedule = schedule or Warmup(Constant(1e-3), WARMUP, 0.01)
    spec = synth.run(
        schedule, steps=steps, log_every=log_every, optimizer=optimizer, declared={"model": "llama-124M", **declared}
    )
    run = spec.build()
    logged = np.arange(0, steps, log_every, dtype=np.float64)
    done = logged + 1.0
    values = planted_loss(schedule, steps, done) if losses is None else losses(done)
    values = values + np.random.default_rng(3).normal(0.0, noise, len(done)) if noise else values
    series = tuple(replace(one, values=floats(values)) if one.tag == "train/loss" else one for one in run.series)
    run = replace(run, series=series)
    trajectory = reconstruct(run)
    return Case(run, trajectory, _identified(schedule, steps) if identified else Identification())


@pytest.fixture(scope="session")
def case():
    return _case


@pytest.fixture(scope="session")
def without_beginning():
    """Takes a case to the same one whose losses were logged from update 1,000 on."""

    def cut(one: Case) -> Case:
        (curve,) = one.trajectory.curves
        late = curve.steps >= 1_000
        kept = replace(curve, steps=curve.steps[late], values=curve.values[late], segment=curve.segment[late])
        return replace(one, trajectory=replace(one.trajectory, curves=(kept,)))

    return cut


@pytest.fixture
def interpreted():
    """Runs a script with Triton's kernels interpreted, in a process of its own: TRITON_INTERPRET is read once."""
    pytest.importorskip("triton")

    def run(script: str) -> None:
        environment = {**os.environ, "TRITON_INTERPRET": "1"}
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr

    return run


@pytest.fixture(scope="session")
def theta():
    return THETA


@pytest.fixture(scope="session")
def law():
    return planted_loss
