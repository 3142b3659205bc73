"""A learning-rate range test: train with a rising LR and watch the loss, then put everything back as it was.

Smith, "Cyclical Learning Rates for Training Neural Networks", 2017 (section 3.3); exponential rise as in fastai.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lrdoctor.errors import UsageError
from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.device import import_torch

if TYPE_CHECKING:
    import torch

_SMOOTHING = 0.95
"""Weight of the past in the running mean of the loss, corrected for its start (fastai takes .98)."""

_DIVERGED = 4.0  # times the lowest smoothed loss at which the test stops, as in fastai


@dataclass(frozen=True, slots=True, eq=False)
class RangeTest:
    """`lr`, `loss` and smoothed loss of each update made, (T,) each.

    `steepest_lr` is where the smoothed loss falls fastest per ln lr, `lowest_lr` where it is lowest; `suggested_lr` a
    tenth of the latter. All three are None where the loss never fell. `diverged` is False where the test ended with the
    rise of the loss still to come: then the limit was not seen.
    """

    lr: FloatArray
    loss: FloatArray
    smoothed: FloatArray
    steepest_lr: float | None
    lowest_lr: float | None
    suggested_lr: float | None
    diverged: bool


def range_test(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_fn: Callable[[torch.nn.Module, Any], torch.Tensor],
    loader: Iterable[Any],
    *,
    start_lr: float = 1e-7,
    end_lr: float = 10.0,
    steps: int = 100,
) -> RangeTest:
    """Train `steps` updates with the LR rising from `start_lr` to `end_lr` by equal factors; stop once it diverges.

    `loss_fn(model, batch)` gives the loss of a batch of `loader`, which is started over where it ends. Parameter groups
    keep their LRs' ratios, the largest follows the test. Model (buffers, training mode and gradients included),
    optimizer and the random states of Python, numpy and torch are restored exactly, whatever happens; only the loader
    has been read from. Raises `UsageError` for a range that does not rise or a loader without batches.
    """
    if not 0.0 < start_lr < end_lr or steps < 2:
        raise UsageError(
            f"A range test needs 0 < start_lr < end_lr and at least 2 steps, not {start_lr}, {end_lr}, {steps}."
        )
    lrs = np.geomspace(start_lr, end_lr, steps)
    kept = _Snapshot(model, optimizer)
    try:
        losses = _train(model, optimizer, loss_fn, _cycled(loader), lrs)
    finally:
        kept.restore()
    return _read(lrs[: len(losses)], losses)


def _train(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_fn: Callable[[torch.nn.Module, Any], torch.Tensor],
    batches: Iterator[Any],
    lrs: FloatArray,
) -> FloatArray:
    highest = max(float(group["lr"]) for group in optimizer.param_groups) or 1.0
    ratios = [float(group["lr"]) / highest or 1.0 for group in optimizer.param_groups]
    losses: list[float] = []
    lowest, mean = math.inf, 0.0
    for count, lr in enumerate(lrs.tolist(), start=1):
        for group, ratio in zip(optimizer.param_groups, ratios, strict=True):
            value = lr * ratio
            if isinstance(group["lr"], float | int):
                group["lr"] = value
            else:
                group["lr"].fill_(value)  # a capturable optimizer keeps it in a tensor
        optimizer.zero_grad(set_to_none=True)
        loss = loss_fn(model, next(batches))
        losses.append(float(loss.detach()))
        mean = _SMOOTHING * mean + (1.0 - _SMOOTHING) * losses[-1]
        smoothed = mean / (1.0 - _SMOOTHING**count)
        if not math.isfinite(smoothed) or smoothed > _DIVERGED * lowest > 0.0:
            break
        lowest = min(lowest, smoothed)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
    return np.array(losses)


def _cycled(loader: Iterable[Any]) -> Iterator[Any]:
    while True:
        empty = True
        for batch in loader:
            empty = False
            yield batch
        if empty:
            raise UsageError(
                "The loader gives no batches.", hint="give a list of batches or a DataLoader, not a used-up iterator"
            )


def _read(lrs: FloatArray, losses: FloatArray) -> RangeTest:
    finite = np.isfinite(losses)
    weights = _SMOOTHING ** np.arange(len(losses))
    smoothed = np.array([np.average(losses[: i + 1], weights=weights[i::-1]) for i in range(len(losses))])
    usable = smoothed[finite & np.isfinite(smoothed)]
    lowest = int(np.argmin(usable)) if len(usable) else 0
    diverged = not finite.all() or (len(usable) > 0 and bool(usable[-1] > _DIVERGED * usable[lowest] > 0.0))
    if lowest < 2:
        return RangeTest(lrs, losses, smoothed, None, None, None, diverged)
    slope = np.gradient(usable[: lowest + 1], np.log(lrs[: lowest + 1]))
    steepest, low = float(lrs[int(np.argmin(slope))]), float(lrs[lowest])
    return RangeTest(lrs, losses, smoothed, steepest, low, low / 10.0, diverged)


class _Snapshot:
    """All that a training step changes, to be put back in place: tensors keep their identity."""

    def __init__(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.torch: Any = import_torch()
        self.model, self.optimizer = model, optimizer
        self.tensors = [(tensor, tensor.detach().clone()) for tensor in (*model.parameters(), *model.buffers())]
        held = [p for group in optimizer.param_groups for p in group["params"]]
        known = {id(tensor) for tensor, _ in self.tensors}
        self.tensors += [(tensor, tensor.detach().clone()) for tensor in held if id(tensor) not in known]
        self.gradients = [(tensor, None if tensor.grad is None else tensor.grad.clone()) for tensor, _ in self.tensors]
        self.modes = [(module, module.training) for module in model.modules()]
        self.state = {parameter: copy.deepcopy(values) for parameter, values in optimizer.state.items()}
        self.groups = [
            {key: copy.deepcopy(value) for key, value in group.items() if key != "params"}
            for group in optimizer.param_groups
        ]
        self.random = _random_states(self.torch)

    def restore(self) -> None:
        with self.torch.no_grad():
            for tensor, value in self.tensors:
                tensor.copy_(value)
        for tensor, gradient in self.gradients:
            tensor.grad = gradient
        for module, training in self.modes:
            module.training = training
        self.optimizer.state.clear()
        self.optimizer.state.update(self.state)
        for group, values in zip(self.optimizer.param_groups, self.groups, strict=True):
            for key in [key for key in group if key != "params" and key not in values]:
                del group[key]
            group.update(values)
        _restore_random(self.torch, self.random)


def _random_states(torch_: Any) -> tuple[Any, ...]:
    import random

    cuda = torch_.cuda.get_rng_state_all() if torch_.cuda.is_available() else None
    return random.getstate(), np.random.get_state(), torch_.get_rng_state(), cuda


def _restore_random(torch_: Any, states: tuple[Any, ...]) -> None:
    import random

    random.setstate(states[0])
    np.random.set_state(states[1])
    torch_.set_rng_state(states[2])
    if states[3] is not None:
        torch_.cuda.set_rng_state_all(states[3])
