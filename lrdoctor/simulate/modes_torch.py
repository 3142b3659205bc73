"""The modes stepped by a plain loop over torch operations: any device, and the yardstick for the faster paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.device import import_torch
from lrdoctor.simulate.modes import Modes

if TYPE_CHECKING:
    import torch


def step_torch(device: torch.device, modes: Modes, u: FloatArray) -> FloatArray:
    """`Step` on a torch device in single precision, all schedules, draws and modes at once."""
    torch_ = import_torch()

    def put(values: FloatArray) -> torch.Tensor:
        tensor: torch.Tensor = torch_.as_tensor(np.ascontiguousarray(values), dtype=torch_.float32, device=device)
        return tensor

    lr = put(u)
    signal = torch_.as_tensor(np.arange(modes.rate.shape[1]) < modes.signal, device=device)
    rate, zeta, delta = put(modes.rate), put(modes.zeta)[:, None], put(modes.delta)[:, None]
    state = torch_.zeros((len(u), *modes.rate.shape), dtype=torch_.float32, device=device)
    one = torch_.ones((), device=device)
    for step in range(u.shape[1]):
        now = lr[:, step, None, None]
        clock = torch_.where(signal, now**zeta, now)
        target = torch_.where(signal, one, now**delta)
        state = state - (target - state) * torch_.expm1(-rate * clock)
    value = put(modes.end) + (state * put(modes.sign * modes.weight)).sum(dim=2)
    return np.asarray(value.cpu().numpy(), dtype=np.float64)
