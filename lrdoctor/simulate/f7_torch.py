"""The loss law on a torch device: all parameter vectors at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.device import import_torch
from lrdoctor.simulate.grid import Grid

if TYPE_CHECKING:
    import torch

_BLOCK = 2**25  # elements of the largest temporary: 256 MiB in double precision


def loss_on(device: torch.device, theta: FloatArray, grid: Grid) -> FloatArray:
    """Losses (N, M) of the parameter vectors `theta` (N, 7): `f7.loss`, to rounding.

    In double precision, but for mps, which has none: there within 2e-4.
    """
    block = max(1, _BLOCK // (len(grid.points) * len(grid.n)))
    parts = [_block(device, theta[start : start + block], grid) for start in range(0, len(theta), block)]
    return np.concatenate(parts)


def _block(device: torch.device, theta: FloatArray, grid: Grid) -> FloatArray:
    torch_ = import_torch()
    precision = torch_.float32 if device.type == "mps" else torch_.float64

    def put(values: object) -> torch.Tensor:
        tensor: torch.Tensor = torch_.as_tensor(np.asarray(values), dtype=precision, device=device)
        return tensor

    floor, ln_a, alpha, ln_b, ln_c, delta, zeta = (put(column)[:, None] for column in theta.T)
    each = put(np.diff(grid.n) / 1000.0) * put(grid.mean_u) ** zeta
    points = torch_.as_tensor(grid.points, device=device)
    progress = torch_.nn.functional.pad(torch_.cumsum(each, dim=1), (1, 0))[:, points]
    height = put(grid.u) ** delta
    change = torch_.diff(torch_.nn.functional.pad(height, (1, 0)), dim=1)
    # S and its onsets are subtracted in double precision first: the difference of the last updates would drown
    since = put(np.maximum(grid.S[grid.points][:, None] - grid.onset[None, :], 0.0))
    counts = put(grid.points[:, None] >= np.arange(len(grid.n))[None, :])
    rate = torch_.exp(ln_c)[:, :, None]
    scaled = rate * since
    rest = 1.0 / (1.0 + scaled)
    relaxed = (scaled * rest - rate**2 * put(grid.spread) * rest**3) * counts
    noise = torch_.einsum("nmj,nj->nm", relaxed, change)
    value = floor + torch_.exp(ln_a) * progress**-alpha + torch_.exp(ln_b) * noise
    return np.asarray(value.cpu().numpy(), dtype=np.float64)
