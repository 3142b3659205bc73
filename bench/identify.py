"""How long identification takes: `python bench/identify.py`. One run each, and its ratio to reading the points once.

The unit of comparison is one pass of numpy over the same trajectory (a difference and a maximum), so that the ratio
can be compared between machines.
"""

from __future__ import annotations

import time

import numpy as np

from lrdoctor.identify import identify
from lrdoctor.model.arrays import FloatArray, floats, ints
from lrdoctor.model.trajectory import GroupTrajectory, Segment, Trajectory
from lrdoctor.schedules import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    MultiStepLR,
    OneCycleLR,
    Warmup,
    WarmupStableDecay,
)

SIZES = (1_000, 10_000, 1_000_000)


def trajectory_of(lr: FloatArray) -> Trajectory:
    steps = floats(np.arange(len(lr)))
    group = GroupTrajectory("lr", "lr", steps, floats(lr), ints(np.zeros(len(lr))))
    segment = Segment(0.0, float(len(lr) - 1), "log")
    return Trajectory("run", (group,), step_unit="update", steps=len(lr), segments=(segment,), lr_resolution=1e-9)


def schedules(count: int) -> dict[str, FloatArray]:
    t, warm = np.arange(count), count // 20
    found = {
        "warmup, cosine": Warmup(CosineAnnealingLR(3e-4, count - warm, 3e-5), warm),
        "milestones": MultiStepLR(0.1, (count // 2, 3 * count // 4)),
        "one cycle": OneCycleLR(0.1, count),
        "warmup, hold, decay": Warmup(WarmupStableDecay(3e-4, count // 2, count // 4, "1-sqrt"), warm),
        "restarts": CosineAnnealingWarmRestarts(0.1, count // 5),
        "triangles": CyclicLR(1e-3, 0.1, count // 10),
    }
    made = {name: schedule.lr_at(t) for name, schedule in found.items()}
    made["none at all"] = 1e-3 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-3, count)))
    return made


def seconds(work: object) -> float:
    begun = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - begun


def main() -> None:
    identify(trajectory_of(schedules(1000)["one cycle"]))  # imports and caches are not what is measured
    print(f"{'schedule':<22}" + "".join(f"{size:>12,} points" for size in SIZES) + f"{'x one pass':>14}")
    rows = [schedules(size) for size in SIZES]
    for name in rows[0]:
        trajectories = [trajectory_of(row[name]) for row in rows]
        spent = [seconds(lambda one=one: identify(one)) for one in trajectories]
        lr = trajectories[-1].groups[0].lr
        once = seconds(lambda lr=lr: np.abs(np.diff(lr)).max())
        print(f"{name:<22}" + "".join(f"{1000 * one:>16.0f} ms" for one in spent) + f"{spent[-1] / once:>13.0f}x")


if __name__ == "__main__":
    main()
