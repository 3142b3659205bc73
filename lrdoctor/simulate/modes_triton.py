"""The modes stepped by one CUDA kernel: a program holds the modes of one draw under one schedule in registers.

Imported only where Triton is installed. With TRITON_INTERPRET=1 in the environment the same kernel runs, slowly, on the
CPU, which is how it is tested where no GPU is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import triton
import triton.language as tl

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.device import import_torch
from lrdoctor.simulate.modes import Modes

if TYPE_CHECKING:
    import torch

_LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit  # type: ignore[untyped-decorator]
def _kernel(  # type: ignore[no-untyped-def]  # compiled
    lr, rate, weight, exponents, start, losses, steps, draws, modes, signal, block: tl.constexpr, unroll: tl.constexpr
):
    schedule, draw = tl.program_id(0), tl.program_id(1)
    index = tl.arange(0, block)
    there = index < modes
    is_signal = index < signal
    pace = -_LOG2_E * tl.load(rate + draw * modes + index, mask=there, other=0.0)
    share = tl.load(weight + draw * modes + index, mask=there, other=0.0)
    zeta, delta = tl.load(exponents + 2 * draw), tl.load(exponents + 2 * draw + 1)
    state = tl.zeros((block,), dtype=tl.float32)
    for first in range(0, steps, unroll):
        for i in tl.static_range(unroll):
            # updates beyond the last have lr 0: they move nothing, as every clock is 0
            now = tl.load(lr + schedule * steps + first + i, mask=first + i < steps, other=0.0)
            ln = tl.log2(tl.maximum(now, 1e-30))
            progress = tl.where(now > 0.0, tl.exp2(zeta * ln), 0.0)
            height = tl.where(now > 0.0, tl.exp2(delta * ln), 0.0)
            x = pace * tl.where(is_signal, progress, now)
            target = tl.where(is_signal, 1.0, height)
            # 1 - exp2(x) loses the slowest modes to rounding; their series does not
            part = tl.where(
                x > -0.02, -0.6931471805599453 * x * (1.0 + 0.34657359 * x * (1.0 + 0.23104906 * x)), 1.0 - tl.exp2(x)
            )
            state += (target - state) * part
    sign = tl.where(is_signal, -1.0, 1.0)
    tl.store(losses + schedule * draws + draw, tl.load(start + draw) + tl.sum(sign * share * state, axis=0))


def step_triton(device: torch.device, modes: Modes, u: FloatArray) -> FloatArray:
    """`Step` on a CUDA device (or interpreted on the CPU), equal to the reference to 2e-4."""
    torch_: Any = import_torch()

    def put(values: FloatArray) -> Any:
        return torch_.as_tensor(np.ascontiguousarray(values), dtype=torch_.float32, device=device)

    schedules, steps = u.shape
    draws, count = modes.rate.shape
    losses = torch_.empty((schedules, draws), dtype=torch_.float32, device=device)
    exponents = np.stack([modes.zeta, modes.delta], axis=1)
    _kernel[(schedules, draws)](
        put(u), put(modes.rate), put(modes.weight), put(exponents), put(modes.end), losses,
        steps, draws, count, modes.signal,
        block=2 ** math.ceil(math.log2(count)), unroll=4, num_warps=1,
    )  # fmt: skip
    return np.asarray(losses.cpu().numpy(), dtype=np.float64)
