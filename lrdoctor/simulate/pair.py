"""Two trainings side by side, of the same seed and data order, under the executed and under the fixed LR.

They take turns update by update, so that a seed costs nothing once one of them has broken. Seeds are added until the
difference of the last losses is decided: its 95 % interval (Student's t over the paired seeds) leaves out zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.setting import Factory, Setting, build, code_of_the_user

ARMS = ("executed", "fixed")
LEAST_SEEDS = 2
_EVALUATIONS = 20  # a run, the last of them at its end
_LOGGED = 500  # points of a curve at most

Progress = Callable[[str, int, int], None]
"""Called with (what is being trained, updates done, updates in all)."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The last losses of one seed under both LRs, not finite where that training broke, and the `curves` there."""

    seed: int
    executed: float
    fixed: float
    curves: tuple[FloatArray, ...] = ()

    @property
    def gain(self) -> float:
        """By how much the fix ended lower. A training that broke has lost by as much as one likes."""
        if math.isfinite(self.executed) and math.isfinite(self.fixed):
            return self.executed - self.fixed
        if math.isfinite(self.fixed):
            return math.inf
        return -math.inf if math.isfinite(self.executed) else math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """All seeds that were trained, and what they decide: "lower", "higher" or "undecided" for the fix."""

    pairs: tuple[Pair, ...]
    updates: int

    @property
    def gains(self) -> FloatArray:
        return np.array([pair.gain for pair in self.pairs])

    @property
    def gain(self) -> float:
        return float(np.mean(self.gains))

    @property
    def gain_95(self) -> tuple[float, float] | None:
        """Interval of the mean gain; None where a training broke or only one seed was trained."""
        gains = self.gains
        if len(gains) < LEAST_SEEDS or not np.isfinite(gains).all():
            return None
        from scipy.stats import t

        half = float(t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / math.sqrt(len(gains)))
        return self.gain - half, self.gain + half

    @property
    def curves(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Updates done (M,) and the losses (M,) under both LRs, means over the seeds whose trainings did not break."""
        marks = _marks(self.updates)
        whole = [pair.curves for pair in self.pairs if [len(curve) for curve in pair.curves] == [len(marks)] * 2]
        if not whole:
            return np.empty(0), np.empty(0), np.empty(0)
        executed, fixed = np.mean(np.array(whole), axis=0)
        return np.array(marks, dtype=np.float64), executed, fixed

    @property
    def decision(self) -> Literal["lower", "higher", "undecided"]:
        gains = self.gains
        if np.isinf(gains).any() and len(set(np.sign(gains).tolist())) == 1:
            return "lower" if gains[0] > 0 else "higher"
        interval = self.gain_95
        if interval is None or interval[0] <= 0.0 <= interval[1]:
            return "undecided"
        return "lower" if interval[0] > 0.0 else "higher"


def train_pairs(
    factory: Factory,
    lrs: tuple[FloatArray, FloatArray],
    *,
    seeds: int = 5,
    first: int = 0,
    checkpoint: str | None = None,
    folder: Path | None = None,
    progress: Progress = lambda *_: None,
) -> Outcome:
    """Train from update `first` to the end of the LRs (T,), executed and fixed, seed after seed until decided.

    Every training is logged below `folder` as a TensorBoard run, `seed0/executed` and so on. Raises `UsageError` where
    the factory or the training fails, or the factory gives something else than a Setting.
    """
    pairs: list[Pair] = []
    for seed in range(seeds):
        arms = [_arm(factory, seed, checkpoint, lr, name, folder) for name, lr in zip(ARMS, lrs, strict=True)]
        total = len(lrs[0]) - first
        turns = zip(*(_training(arm, first) for arm in arms), strict=True)
        with code_of_the_user("The training"):
            for done, _ in enumerate(turns, start=1):
                progress(f"seed {seed}", done, total)
                if any(arm.broken for arm in arms):
                    break
        executed, fixed = arms
        pairs.append(Pair(seed, executed.last, fixed.last, tuple(np.array(arm.shown) for arm in arms)))
        for arm in arms:
            arm.close()
        if len(pairs) >= LEAST_SEEDS and Outcome(tuple(pairs), total).decision != "undecided":
            break
    return Outcome(tuple(pairs), len(lrs[0]) - first)


@dataclass(slots=True, eq=False)
class _Arm:
    """One training under way."""

    setting: Setting
    lr: FloatArray
    writer: Any = None
    losses: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)
    evaluated: float | None = None

    @property
    def broken(self) -> bool:
        return bool(self.losses) and not math.isfinite(self.losses[-1])

    @property
    def last(self) -> float:
        """The loss that decides."""
        if self.broken:
            return math.nan
        if self.evaluated is not None:
            return self.evaluated
        return float(np.mean(self.losses[-max(len(self.losses) // 10, 1) :]))

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def _arm(factory: Factory, seed: int, checkpoint: str | None, lr: FloatArray, name: str, folder: Path | None) -> _Arm:
    setting = build(factory, seed, checkpoint)
    if setting.peak_lr is not None:
        lr = lr * setting.peak_lr
    writer = None
    if folder is not None:
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(folder / f"seed{seed}" / name))
    return _Arm(setting, lr, writer)


def _training(arm: _Arm, first: int) -> Iterator[None]:
    """Update after update. Groups keep the ratios of their LRs."""
    setting = arm.setting
    groups = setting.optimizer.param_groups
    highest = max(float(group["lr"]) for group in groups) or 1.0
    ratios = [float(group["lr"]) / highest for group in groups]
    total = len(arm.lr) - first
    log_every, marks = max(total // _LOGGED, 1), set(_marks(total))
    for done, batch in enumerate(islice(setting.batches(first), total), start=1):
        update = first + done - 1
        for group, ratio in zip(groups, ratios, strict=True):
            group["lr"] = float(arm.lr[update]) * ratio
        setting.optimizer.zero_grad(set_to_none=True)
        loss = setting.loss(setting.model, batch)
        arm.losses.append(float(loss.detach()))
        if not arm.broken:
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own
            setting.optimizer.step()
        if done in marks:
            if setting.evaluate is not None:
                arm.evaluated = setting.evaluate(setting.model)
                _log(arm, "val/loss", arm.evaluated, update)
            arm.shown.append(arm.last)
        if done % log_every == 0 or done == total:
            _log(arm, "lr", float(arm.lr[update]), update)
            _log(arm, "train/loss", arm.losses[-1], update)
        yield


def _marks(updates: int) -> list[int]:
    """Updates done at which a training is looked at, the last of them its end."""
    every = max(updates // _EVALUATIONS, 1)
    return sorted({*range(every, updates + 1, every), updates})


def _log(arm: _Arm, tag: str, value: float, update: int) -> None:
    if arm.writer is not None:
        arm.writer.add_scalar(tag, value, update)


def compressed(lr: FloatArray, updates: int) -> FloatArray:
    """The shape of LRs (T,) played in `updates` instead: a short replay of a long run."""
    if updates == len(lr):
        return lr
    return np.interp(np.linspace(0.0, len(lr) - 1.0, updates), np.arange(len(lr)), lr)
