"""The moments stepped by a plain loop over torch operations, in single precision: any device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.device import import_torch
from lrdoctor.simulate.mean_field import Drive, Moments, Optimizer, Quadratic, course, moved

if TYPE_CHECKING:
    import torch


def step_moments_torch(device: torch.device, quadratic: Quadratic, optimizer: Optimizer, drive: Drive) -> FloatArray:
    """`StepMoments` on a torch device, all schedules, draws and modes at once."""
    torch_ = import_torch()

    def put(values: FloatArray) -> torch.Tensor:
        tensor: torch.Tensor = torch_.as_tensor(np.ascontiguousarray(values), dtype=torch_.float32, device=device)
        return tensor

    h, noise, start = (put(np.atleast_2d(each))[None] for each in (quadratic.h, quadratic.noise, quadratic.start))
    columns = [put(column.T)[:, :, None, None] for column in course(optimizer, drive).columns]
    xx = start.repeat(len(drive.lr), 1, 1)
    state = Moments(xx, *[torch_.zeros_like(xx)] * 4)
    for now in zip(*columns, strict=True):
        state = moved(state, h, noise, now, optimizer)
    loss = 0.5 * (h * state.xx).sum(dim=2)
    return np.asarray(loss.cpu().numpy(), dtype=np.float64)
