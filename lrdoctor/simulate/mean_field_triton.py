"""The moments stepped by one CUDA kernel: a program holds a block of modes under one schedule in registers.

Imported only where Triton is installed; runs interpreted on the CPU as modes_triton.py does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import triton
import triton.language as tl

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.device import import_torch
from lrdoctor.simulate.mean_field import Drive, Optimizer, Quadratic, course

if TYPE_CHECKING:
    import torch

_BLOCK = 128
_COLUMNS = 6  # of a Course


@triton.jit  # type: ignore[untyped-decorator]
def _kernel(  # type: ignore[no-untyped-def]  # compiled
    columns, curvature, noise, start, ends, steps, modes, beta2, eps,
    width: tl.constexpr, adam: tl.constexpr, nesterov: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    schedule = tl.program_id(0)
    index = tl.program_id(1) * block + tl.arange(0, block)
    there = index < modes
    h = tl.load(curvature + index, mask=there, other=0.0)
    s2 = tl.load(noise + index, mask=there, other=0.0)
    xx = tl.load(start + index, mask=there, other=0.0)
    xv = tl.zeros((block,), dtype=tl.float32)
    vv = tl.zeros((block,), dtype=tl.float32)
    second = tl.zeros((block,), dtype=tl.float32)
    cut = tl.zeros((block,), dtype=tl.float32)
    here = columns + schedule.to(tl.int64) * steps * width
    for _ in range(steps):
        lr, quiet, beta = tl.load(here), tl.load(here + 1), tl.load(here + 2)
        fresh, decay, correction = tl.load(here + 3), tl.load(here + 4), tl.load(here + 5)
        here += width
        kept = 1.0 - decay
        grad = h * h * xx + s2 * quiet
        cross = beta * h * xv + fresh * grad
        vv = beta * beta * vv + fresh * (2.0 * beta * h * xv + fresh * grad)
        xv = beta * xv + fresh * h * xx
        direction, power, along, rate = xv, vv, vv, lr
        if nesterov:
            direction = h * xx + beta * xv
            power = grad + 2.0 * beta * cross + beta * beta * vv
            along = cross + beta * vv
        if adam:
            second = beta2 * second + (1.0 - beta2) * grad
            rate = lr / (tl.sqrt(second * correction) + eps)
        step = rate * (rate * power - 2.0 * kept * direction) - decay * (1.0 + kept) * xx - cut
        reached = xx + step
        cut = (reached - xx) - step
        xx = reached
        xv = kept * xv - rate * along
    tl.store(ends + schedule * modes + index, xx, mask=there)


def step_moments_triton(device: torch.device, quadratic: Quadratic, optimizer: Optimizer, drive: Drive) -> FloatArray:
    """`StepMoments` on a CUDA device (or interpreted on the CPU), equal to the reference to 2e-4."""
    torch_: Any = import_torch()

    def put(values: FloatArray) -> Any:
        return torch_.tensor(np.ascontiguousarray(values), dtype=torch_.float32, device=device)

    h = np.atleast_2d(quadratic.h)
    noise, start = (np.broadcast_to(each, h.shape) for each in (quadratic.noise, quadratic.start))
    schedules, steps = np.shape(drive.lr)
    ends = torch_.empty((schedules, *h.shape), dtype=torch_.float32, device=device)
    _kernel[(schedules, triton.cdiv(h.size, _BLOCK))](
        put(np.stack(course(optimizer, drive).columns, axis=2)), put(h), put(noise), put(start), ends,
        steps, h.size, optimizer.beta2, optimizer.eps,
        width=_COLUMNS, adam=optimizer.kind == "adam", nesterov=optimizer.kind == "nesterov", block=_BLOCK,
        num_warps=4,
    )  # fmt: skip
    return np.asarray(0.5 * np.sum(h * ends.cpu().numpy(), axis=2), dtype=np.float64)
