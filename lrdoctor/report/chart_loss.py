"""The layers of the loss chart: the logged losses and what the fix is estimated to do to them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lrdoctor.model.arrays import FloatArray, floats
from lrdoctor.model.diagnosis import Diagnosis, LossBand
from lrdoctor.model.trajectory import Curve
from lrdoctor.report.downsample import keep
from lrdoctor.report.printable import printable
from lrdoctor.report.trace import LOSS_AXES, Json, Layer, Style, line, numbers

RAW_POINTS = 5000
MEAN_POINTS = 1500
EXTRA_POINTS = 1500
BAND_POINTS = 800
MAX_EXTRA = 4
MAX_BROKEN = 50
_SMOOTH_FROM = 400  # logged points; below it the raw curve is legible by itself
_MAX_WINDOW = 101
_LOSSES = ("train-loss", "eval-loss")


def loss_layers(diagnosis: Diagnosis) -> tuple[Layer, ...]:
    """The layers, bottom first. Empty where no loss was logged."""
    curves = [curve for curve in diagnosis.trajectory.curves if curve.role in _LOSSES and len(curve)]
    main = next((curve for curve in curves if curve.role == "train-loss"), curves[0] if curves else None)
    if main is None:
        return ()
    extra = [curve for curve in curves if curve is not main][:MAX_EXTRA]
    band = diagnosis.counterfactual.band
    return (*_band(band), *_main(main), *_extra(extra), *_median(band))


def _main(curve: Curve) -> Iterator[Layer]:
    window = _window(curve)
    raw = Style("loss", width=1.2 if window else 1.8, opacity=0.45 if window else 1.0, dots=True)
    label = printable(curve.tag)
    yield Layer(
        label,
        raw,
        (line(curve.tag, curve.steps, curve.values, raw, LOSS_AXES, RAW_POINTS),),
        "faded" if window else "line",
    )
    if window:
        style = Style("loss", width=2)
        steps, mean = _mean(curve, window)
        name = f"mean of {window} points"
        yield Layer(name, style, (line(name, steps, mean, style, LOSS_AXES, MEAN_POINTS),), rank=1)
    broken = np.flatnonzero(~np.isfinite(curve.values))
    if len(broken):
        yield Layer(f"not finite ({len(broken):,})", Style("error"), (_broken(curve),), "cross", 2)


def _extra(curves: list[Curve]) -> Iterator[Layer]:
    shown = True
    for i, curve in enumerate(curves):
        style = Style(f"group{i + 1}", width=1.8, dots=True, shown=shown and curve.role == "eval-loss")
        shown = shown and not style.shown
        yield Layer(
            printable(curve.tag),
            style,
            (line(curve.tag, curve.steps, curve.values, style, LOSS_AXES, EXTRA_POINTS),),
            rank=3,
        )


def _band(band: LossBand | None) -> Iterator[Layer]:
    if band is None:
        return
    edge = Style("fix", width=0)
    index = keep(band.steps, band.median, BAND_POINTS)  # the same points on either edge
    low = line("5 %", band.steps[index], band.low[index], edge, LOSS_AXES, len(index))
    high = line("95 %", band.steps[index], band.high[index], edge, LOSS_AXES, len(index))
    yield Layer("90 % band with the fix", edge, (low, {**high, "fill": "tonexty", "fillcolor": "@fixband"}), "band", 5)


def _median(band: LossBand | None) -> Iterator[Layer]:
    if band is not None:
        style = Style("fix", dash="dash")
        yield Layer(
            "estimated with the fix",
            style,
            (line("with the fix", band.steps, band.median, style, LOSS_AXES, BAND_POINTS),),
            "dash",
            4,
        )


def _broken(curve: Curve) -> Json:
    """Crosses at the last finite value before each NaN or infinity."""
    broken = np.flatnonzero(~np.isfinite(curve.values))[:MAX_BROKEN]
    finite = np.flatnonzero(np.isfinite(curve.values))
    before = np.clip(np.searchsorted(finite, broken) - 1, 0, None)
    height = curve.values[finite[before]] if len(finite) else np.zeros(len(broken))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "NaN or infinite",
        "x": numbers(curve.steps[broken]),
        "y": numbers(height),
        "xaxis": LOSS_AXES.x,
        "yaxis": LOSS_AXES.y,
        "marker": {"color": "@error", "size": 8, "symbol": "x-thin-open"},
        "hovertemplate": "not finite",
        "visible": True,
        "showlegend": False,
    }


def _window(curve: Curve) -> int:
    """Length of the moving mean in points (odd), 0 where the curve is short."""
    if len(curve) < _SMOOTH_FROM:
        return 0
    return min(len(curve) // 50, _MAX_WINDOW - 1) // 2 * 2 + 1


def _mean(curve: Curve, window: int) -> tuple[FloatArray, FloatArray]:
    """The centred moving mean over the finite points, shorter at the ends."""
    finite = np.isfinite(curve.values)
    values = curve.values[finite]
    kernel = np.ones(window)
    with np.errstate(all="ignore"):
        mean = np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")
    return curve.steps[finite], floats(mean)
