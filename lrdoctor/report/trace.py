"""One line of a chart as a plain plotly dict. Colours are names ("@executed") that the page's theme fills in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrdoctor.model.arrays import FloatArray, IntArray
from lrdoctor.report.clean import chart_text
from lrdoctor.report.downsample import keep

Json = dict[str, object]
_FEW = 60  # up to so many points, each gets a dot


@dataclass(frozen=True, slots=True)
class Axes:
    """The pair of plotly axes a panel draws on; all panels share the x-axis, so that zooming one moves the others."""

    x: str
    y: str


LR_AXES = Axes("x", "y")
LOSS_AXES = Axes("x", "y2")
LANE_AXES = Axes("x", "y3")


@dataclass(frozen=True, slots=True)
class Style:
    """How a line looks: `colour` a theme name; `shown` False leaves it to the reader to switch on."""

    colour: str
    dash: str = "solid"
    width: float = 2.0
    opacity: float = 1.0
    dots: bool = False
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of a chart's legend: a button that shows and hides `traces` (indices into the figure's data)."""

    label: str
    colour: str
    style: str
    traces: tuple[int, ...]
    shown: bool


@dataclass(frozen=True, slots=True)
class Layer:
    """What goes on a chart under one legend entry; `rank` is its place in the legend."""

    label: str
    style: Style
    traces: tuple[Json, ...]
    swatch: str = "line"
    rank: int = 0


def line(name: str, steps: FloatArray, values: FloatArray, style: Style, axes: Axes, budget: int) -> Json:
    """A scatter trace of at most 2 * budget points; values that are not finite leave a gap."""
    index = keep(steps, values, budget)
    dots = style.dots and len(index) <= _FEW
    return {
        "type": "scatter",
        "mode": "lines+markers" if dots or len(index) == 1 else "lines",
        "name": chart_text(name),
        "x": numbers(steps, index),
        "y": numbers(values, index),
        "xaxis": axes.x,
        "yaxis": axes.y,
        "line": {"color": f"@{style.colour}", "width": style.width, "dash": style.dash},
        "marker": {"color": f"@{style.colour}", "size": 5},
        "opacity": style.opacity,
        "visible": style.shown,
        "hovertemplate": "%{y:.4~g}",
        "showlegend": False,
    }


def numbers(values: FloatArray, index: IntArray | None = None) -> list[float | int | None]:
    """Strict-JSON numbers with seven significant digits (what a float32 holds), None where not finite."""
    chosen = values if index is None else values[index]
    return [_number(float(value)) for value in chosen]


def _number(value: float) -> float | int | None:
    if not np.isfinite(value):
        return None
    if value.is_integer() and abs(value) < 1e15:
        return int(value)
    return float(f"{value:.7g}")
