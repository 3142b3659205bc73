"""A curve in a few characters."""

from __future__ import annotations

import numpy as np

from lrdoctor.model.arrays import FloatArray

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.:-=+*#"
WIDTH = 40


def sparkline(
    steps: FloatArray, values: FloatArray, *, width: int = WIDTH, blocks: str = BLOCKS, top: float | None = None
) -> str:
    """`values` (T,) over `steps` (T,) as `width` characters: lowest block 0 or below, highest `top` (their maximum).

    Each character is the largest value of its stretch of steps, so that a one-step spike is seen; a stretch without a
    point holds the value before it, as the learning rate does. Empty without a finite value.
    """
    finite = np.isfinite(values) & np.isfinite(steps)
    steps, values = steps[finite], values[finite]
    if not len(values):
        return ""
    cells = _cells(steps, values, width)
    top = float(np.max(cells)) if top is None else top
    level = np.clip(cells / top, 0.0, 1.0) if top > 0 else np.zeros(len(cells))
    index = np.maximum(np.ceil(level * len(blocks) - 1e-9).astype(int) - 1, 0)
    return "".join(blocks[i] for i in index)


def _cells(steps: FloatArray, values: FloatArray, width: int) -> FloatArray:
    span = float(steps[-1] - steps[0])
    place = np.zeros(len(steps), dtype=int) if span <= 0 else ((steps - steps[0]) / span * (width - 1e-9)).astype(int)
    cells = np.full(width, -np.inf)
    np.maximum.at(cells, np.clip(place, 0, width - 1), values)
    for i in range(1, width):
        if np.isneginf(cells[i]):
            cells[i] = values[np.searchsorted(place, i) - 1]
    return cells
