"""Write a folder of generated training runs, for benchmarks and screenshots of many runs.

    python bench/fleet_runs.py FOLDER [--runs 2000] [--steps 2000]

Two in three are healthy, the others carry one of four faults or no learning rate at all. Logs are CSV tables with a
hparams.yaml beside them, grouped in folders of 50 as sweeps are. The same arguments give the same bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lrdoctor import CosineAnnealingLR, LinearLR, OneCycleLR, StepLR, Warmup, synth

PER_FOLDER = 50
_DIGITS = 17  # as Python writes a float into a CSV log
Make = Callable[[int, np.random.Generator], synth.RunSpec]


def _cosine(steps: int, rng: np.random.Generator) -> synth.RunSpec:
    peak = float(rng.choice([1e-4, 3e-4, 1e-3]))
    warmup = steps // 20
    return synth.run(Warmup(CosineAnnealingLR(peak, T_max=steps - warmup), warmup), steps=steps, optimizer="AdamW")


def _linear(steps: int, rng: np.random.Generator) -> synth.RunSpec:
    peak = float(rng.choice([2e-5, 5e-5]))
    decay = LinearLR(peak, start_factor=1.0, end_factor=0.0, total_iters=steps - steps // 10)
    return synth.run(Warmup(decay, steps // 10), steps=steps, optimizer="AdamW", framework="transformers")


def _steps(steps: int, rng: np.random.Generator) -> synth.RunSpec:
    return synth.run(StepLR(0.1, step_size=steps // 3), steps=steps, per_epoch=None, optimizer="SGD")


def _onecycle(steps: int, rng: np.random.Generator) -> synth.RunSpec:
    return synth.run(OneCycleLR(float(rng.choice([0.01, 0.1])), total_steps=steps), steps=steps, optimizer="SGD")


def _onecycle_per_epoch(steps: int, rng: np.random.Generator) -> synth.RunSpec:
    schedule = OneCycleLR(0.1, total_steps=steps)
    return synth.run(schedule, steps=steps, per_epoch=steps // 20, optimizer="SGD", framework="lightning")


def _too_long(steps: int, rng: np.random.Generator) -> synth.RunSpec:
    return synth.run(CosineAnnealingLR(3e-4, T_max=3 * steps), steps=steps, optimizer="AdamW")


def _no_warmup(steps: int, rng: np.random.Generator) -> synth.RunSpec:
    schedule = CosineAnnealingLR(1e-3, T_max=steps)
    return synth.run(schedule, steps=steps, optimizer="Adam", declared={"model": "gpt2"}, framework="transformers")


def _no_lr(steps: int, rng: np.random.Generator) -> synth.RunSpec:
    return replace(_cosine(steps, rng), log_lr=False)


KINDS: tuple[tuple[Make, float], ...] = (
    (_cosine, 0.3), (_linear, 0.15), (_steps, 0.1), (_onecycle, 0.1), (_onecycle_per_epoch, 0.1), (_too_long, 0.1),
    (_no_warmup, 0.1), (_no_lr, 0.05),
)  # fmt: skip


def write_fleet(folder: Path, runs: int, steps: int) -> None:
    """`runs` runs below `folder`, each of about `steps` updates."""
    makes, shares = zip(*KINDS, strict=True)
    for index in range(runs):
        rng = np.random.default_rng(index)
        length = int(steps * rng.choice([0.8, 1.0, 1.2]))
        make: Make = makes[rng.choice(len(makes), p=shares)]
        loss = synth.Loss(floor=float(rng.uniform(0.5, 3.0)), fall=float(rng.uniform(1.0, 4.0)))
        spec = replace(make(length, rng), loss=loss)
        write_run(folder / f"sweep-{index // PER_FOLDER:03d}" / f"run-{index % PER_FOLDER:02d}", spec)


def write_run(folder: Path, spec: synth.RunSpec) -> None:
    """The run's log as metrics.csv, and what it declares as hparams.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    run = spec.build()
    columns = {"step": run.series[0].axes["step"], **{series.tag: series.values for series in run.series}}
    table = np.column_stack(list(columns.values()))
    np.savetxt(folder / "metrics.csv", table, f"%.{_DIGITS}g", ",", header=",".join(columns), comments="")
    told = {hint.name: hint.value for hint in run.hints}
    if spec.framework is not None:
        told["framework"] = spec.framework
    (folder / "hparams.yaml").write_text("".join(f"{name}: {value}\n" for name, value in told.items()), "utf-8")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--runs", type=int, default=2000)
    asked.add_argument("--steps", type=int, default=2000)
    given = asked.parse_args()
    write_fleet(given.folder, given.runs, given.steps)


if __name__ == "__main__":
    main()
