"""Trajectories made by stepping torch's own schedulers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lrdoctor.model.arrays import FloatArray, floats, ints
from lrdoctor.model.trajectory import GroupTrajectory, Segment, Trajectory

MakeScheduler = Callable[[torch.optim.Optimizer], Any]


@pytest.fixture(scope="session")
def executed() -> Callable[..., FloatArray]:
    """executed(make, updates, lr=0.1, per_tick=1): the LR torch's optimizer used at each update."""

    def run(make: MakeScheduler, updates: int, *, lr: float = 0.1, per_tick: int = 1) -> FloatArray:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
        used = np.empty(updates)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheduler = make(optimizer)
            for update in range(updates):
                used[update] = optimizer.param_groups[0]["lr"]
                optimizer.step()
                if (update + 1) % per_tick == 0 and update + 1 < updates:
                    scheduler.step()
        return used

    return run


@pytest.fixture(scope="session")
def logged() -> Callable[..., Trajectory]:
    """logged(lr, steps=None, ...): the trajectory of a run whose log holds these points."""

    def build(
        lr: FloatArray,
        steps: FloatArray | None = None,
        *,
        resumes: tuple[int, ...] = (),
        groups: dict[str, FloatArray] | None = None,
        **known: Any,
    ) -> Trajectory:
        at = floats(np.arange(len(lr)) if steps is None else steps)
        begins = [at[0], *resumes]
        ends = [*(resume - 1 for resume in resumes), at[-1]]
        segment = ints(np.searchsorted(resumes, at, side="right"))
        spans = zip(begins, ends, strict=True)
        return Trajectory(
            run_path="run",
            groups=tuple(
                GroupTrajectory(name, name, at, floats(values), segment)
                for name, values in {"lr": lr, **(groups or {})}.items()
            ),
            step_unit=known.pop("step_unit", "update"),
            steps=int(at[-1]) + 1,
            segments=tuple(Segment(float(a), float(b), "log", resumed=i > 0) for i, (a, b) in enumerate(spans)),
            lr_resolution=known.pop("lr_resolution", 1e-9),
            **known,
        )

    return build
