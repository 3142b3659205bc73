"""A rule's case as a small picture (SVG): the learning rate that was executed, and that of the remedy.

The colours stand out on a light page and on a dark one, since the picture does not know on which it lies.
"""

from __future__ import annotations

import html

import numpy as np

from lrdoctor.model.arrays import FloatArray, IntArray
from lrdoctor.model.schedule import Schedule
from lrdoctor.report import numbers as fmt
from lrdoctor.report.spark_path import polyline

WIDTH, HEIGHT = 640, 210
LEFT, TOP, RIGHT, BOTTOM = 64, 30, 12, 40
EXECUTED, FIXED, INK = "#d9480f", "#1c7ed6", "#868e96"
_POINTS = 200
_JUMP = 0.01  # of the peak
_SAME = 1e-3  # curves closer than this share of the peak are one line


def figure(executed: Schedule, fixed: Schedule | None, steps: int, title: str, *, logged: bool = True) -> str:
    """Both curves over `steps` updates, from 0 to the larger peak. `fixed` is left out where it is the same."""
    grid = np.arange(max(steps, 2), dtype=np.float64)
    lr = _finite(executed.lr_at(grid))
    due = None if fixed is None else _finite(fixed.lr_at(grid))
    top = max(float(lr.max()), 0.0 if due is None else float(due.max()))
    if due is not None and np.abs(due - lr).max() <= _SAME * top:
        due = None
    lines = [_line(grid, lr, top, EXECUTED, "")]
    if due is not None:
        lines.append(_line(grid, due, top, FIXED, ' stroke-dasharray="6 4"'))
    return "\n".join([*_frame(title, top, steps, due is not None, logged), *lines, "</svg>", ""])


def _finite(values: FloatArray) -> FloatArray:
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


def _line(steps: FloatArray, lr: FloatArray, top: float, colour: str, dashes: str) -> str:
    index = _thinned(lr, top)
    box = (LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM)
    points = polyline(steps[index], lr[index], (float(steps[0]), float(steps[-1])), top, box)
    return f'<polyline fill="none" stroke="{colour}" stroke-width="2"{dashes} points="{points}"/>'


def _thinned(lr: FloatArray, top: float) -> IntArray:
    """Evenly spaced points, and both sides of every jump; no library decides which, so the file stays the same."""
    even = np.linspace(0, len(lr) - 1, min(_POINTS, len(lr))).round().astype(np.int64)
    jumps = np.flatnonzero(np.abs(np.diff(lr)) > _JUMP * top)
    return np.unique(np.concatenate([even, jumps, jumps + 1]))


def _frame(title: str, top: float, steps: int, two: bool, logged: bool) -> list[str]:
    """Title, axes with their ends, legend."""
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    legend = [_text(LEFT, 18, "executed" if logged else "executed, not logged", EXECUTED, weight="600")]
    if two:
        legend.append(_text(LEFT + (84 if logged else 160), 18, "with the remedy", FIXED, weight="600"))
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="13">',
        f"<title>{html.escape(title)}</title>",
        *legend,
        f'<path fill="none" stroke="{INK}" d="M{LEFT} {TOP}V{floor}H{right}"/>',
        _text(LEFT - 8, TOP + 5, fmt.lr(top), INK, anchor="end"),
        _text(LEFT - 8, floor + 4, "0", INK, anchor="end"),
        _text(LEFT, floor + 18, "0", INK),
        _text(right, floor + 18, fmt.plural(steps, "update"), INK, anchor="end"),
        _text((LEFT + right) // 2, floor + 34, title, INK, anchor="middle"),
    ]


def _text(x: int, y: int, text: str, colour: str, *, anchor: str = "start", weight: str = "400") -> str:
    style = f'fill="{colour}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x}" y="{y}" {style}>{html.escape(text)}</text>'
