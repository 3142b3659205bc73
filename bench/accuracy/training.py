"""A small real training by torch: stopped, resumed, stepped wrongly, and it leaves on disk what trainings leave."""

from __future__ import annotations

import contextlib
import copy
import itertools
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from logs import LOGGERS, Rows

Make = Callable[[torch.optim.Optimizer], Any]
FEATURES, HIDDEN, EXAMPLES = 6, 12, 512


class Training:
    """An MLP on a noisy regression. `step` counts optimizer updates; every LR the optimizer used is kept."""

    def __init__(
        self, seed: int, per_epoch: int, epochs: int, *, optimizer: str = "AdamW", lr: float = 1e-3, groups: int = 1
    ) -> None:
        self.rng = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        self.per_epoch, self.epochs, self.kind, self.lr = per_epoch, epochs, optimizer, lr
        self.inputs = torch.randn(EXAMPLES, FEATURES, generator=self.rng)
        wave = torch.sin(2 * self.inputs[:, :1]) + self.inputs[:, 1:2] * self.inputs[:, 2:3]
        self.target = wave + 0.1 * torch.randn(EXAMPLES, 1, generator=self.rng)
        first, last = torch.nn.Linear(FEATURES, HIDDEN), torch.nn.Linear(HIDDEN, 1)
        self.model = torch.nn.Sequential(first, torch.nn.Tanh(), last)
        self.parts = [list(first.parameters()), list(last.parameters())][:groups] if groups > 1 else None
        self.optimizer = self.new_optimizer()
        self.scheduler: Any = None
        self.step = 0
        self.used: list[list[float]] = []
        self.losses: list[float] = []
        self.at: list[int] = []
        self.saved: dict[str, dict[str, Any]] = {}
        self.batch = 16
        self.starts: list[int] = []
        self.scaler: dict[str, Any] | None = None
        self.metrics: dict[int, float] = {}

    @property
    def total(self) -> int:
        return self.per_epoch * self.epochs

    def new_optimizer(self) -> torch.optim.Optimizer:
        more = {"momentum": 0.9} if self.kind == "SGD" else {}
        given: Any = [{"params": part} for part in self.parts] if self.parts else self.model.parameters()
        made: torch.optim.Optimizer = getattr(torch.optim, self.kind)(given, lr=self.lr, **more)
        return made

    def schedule(self, make: Make) -> None:
        """A scheduler for the optimizer in force."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.scheduler = make(self.optimizer)

    def train(
        self,
        until: int | None = None,
        *,
        per: str = "update",
        ticks: int = 1,
        early: bool = False,
        update: Callable[[int], bool] = lambda step: True,
        metric: Callable[[int, float], float] | None = None,
        add_loss: Callable[[int], float] = lambda step: 0.0,
        before: Callable[[int], None] = lambda step: None,
    ) -> None:
        """Train to step `until` (the planned end where None).

        The scheduler makes `ticks` steps per "update" or "epoch" ("never": none), `early` puts it before the
        optimizer's. `update(step)` False leaves the optimizer's step out, as a gradient scaler does. `metric` feeds a
        plateau scheduler once an epoch, from the epoch and its mean loss. `before(step)` runs ahead of each update.
        """
        until = self.total if until is None else until
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            while self.step < until:
                before(self.step)
                loss = self._loss()
                if early and self._due(per, self.step):
                    self._tick(ticks, metric)
                self.used.append([float(group["lr"]) for group in self.optimizer.param_groups])
                self.at.append(self.step)
                self.losses.append(loss + add_loss(self.step))
                if update(self.step):
                    self.optimizer.step()
                self.step += 1
                if not early and self._due(per, self.step):
                    self._tick(ticks, metric)

    def _loss(self) -> float:
        index = torch.randint(0, EXAMPLES, (self.batch,), generator=self.rng)
        loss = torch.nn.functional.mse_loss(self.model(self.inputs[index]), self.target[index])
        self.optimizer.zero_grad()
        loss.backward()
        return float(loss.detach())

    def _due(self, per: str, step: int) -> bool:
        return per == "update" or (per == "epoch" and step > 0 and step % self.per_epoch == 0)

    def _tick(self, ticks: int, metric: Callable[[int, float], float] | None) -> None:
        for _ in range(ticks if self.scheduler is not None else 0):
            if metric is not None:
                mean = float(np.mean(self.losses[-self.per_epoch :]))
                value = metric(self.step // self.per_epoch, mean)
                self.metrics[self.step - 1] = value
                self.scheduler.step(value)
                continue
            with contextlib.suppress(ValueError):  # OneCycleLR refuses to go past its end; wrappers swallow that
                self.scheduler.step()

    def state(self, *, optimizer: bool = True, scheduler: bool = True) -> dict[str, Any]:
        found: dict[str, Any] = {
            "epoch": self.step // self.per_epoch, "global_step": self.step, "model": self.model.state_dict(),
        }  # fmt: skip
        if optimizer:
            found["optimizer"] = self.optimizer.state_dict()
        if scheduler and self.scheduler is not None:
            found["scheduler"] = self.scheduler.state_dict()
        if self.scaler is not None:
            found["scaler"] = self.scaler
        return found

    def save(self, *, optimizer: bool = True, scheduler: bool = True) -> str:
        """Keep a checkpoint of now, to be written with the rest; its name."""
        name = f"step_{self.step:06d}.pt"
        self.saved[name] = _copied(self.state(optimizer=optimizer, scheduler=scheduler))
        return name

    def resume(self, name: str, make: Make, *, optimizer: bool = True, scheduler: bool = True) -> None:
        """A new process: everything is built again, then loaded from the checkpoint as told."""
        state = _copied(self.saved[name])
        self.optimizer = self.new_optimizer()
        self.schedule(make)
        if optimizer and "optimizer" in state:
            self.optimizer.load_state_dict(state["optimizer"])
        if scheduler and "scheduler" in state:
            self.scheduler.load_state_dict(state["scheduler"])
        self.step = int(state["global_step"])
        self.starts.append(len(self.at))

    def write(
        self, folder: Path, logger: str, cadence: int, settings: Mapping[str, Any], *, finished: bool = True
    ) -> None:
        """Log, checkpoints and hparams.yaml; each session of TensorBoard has an event file of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        lrs = np.array(self.used)
        names = ["lr"] if lrs.shape[1] == 1 else [f"lr_group{index}" for index in range(lrs.shape[1])]
        bounds = [0, *self.starts, len(self.at)]
        planned = self.total if finished else 2 * self.total
        parts = list(itertools.pairwise(bounds)) if logger == "tensorboard" else [(0, len(self.at))]
        for begin, end in parts:
            columns = {name: lrs[begin:end, index] for index, name in enumerate(names)}
            losses, at = np.array(self.losses[begin:end]), np.array(self.at[begin:end])
            metric = np.array([self.metrics.get(step, np.nan) for step in at.tolist()]) if self.metrics else None
            LOGGERS[logger](folder, Rows(at, columns, losses, self.per_epoch, planned, metric).every(cadence))
        for name, state in self.saved.items():
            torch.save(state, folder / name)
        told = {"optimizer": self.kind, "learning_rate": self.lr, "batch_size": self.batch, **settings}
        told.setdefault("max_epochs", self.epochs if finished else 2 * self.epochs)
        (folder / "hparams.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    """As if it had been written and read: tensors copied, a LambdaLR's function gone."""
    scheduler = state.get("scheduler")
    if isinstance(scheduler, dict) and "lr_lambdas" in scheduler:
        state = {**state, "scheduler": {**scheduler, "lr_lambdas": [None for _ in scheduler["lr_lambdas"]]}}
    return copy.deepcopy(state)
