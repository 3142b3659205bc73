"""The range test as JSON, text and a page with its chart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lrdoctor.identify.range_test import RangeReading, Spread
from lrdoctor.report import numbers
from lrdoctor.report.chart_layout import LR_HEIGHT, MARGIN, Panels, layout
from lrdoctor.report.html import write_single_page
from lrdoctor.report.printable import printable
from lrdoctor.report.strict import strict
from lrdoctor.report.trace import LR_AXES, Json, Style, line

FORMAT_VERSION = 1
POINTS = 3000


def as_json(readings: list[RangeReading], version: str) -> str:
    """Every sweep with what it says."""
    head = {"format_version": FORMAT_VERSION, "lrdoctor_version": version}
    plain, notes = strict({**head, "range_tests": [_entry(one) for one in readings]})
    return json.dumps({**plain, "notes": notes}, indent=2, sort_keys=True, allow_nan=False) + "\n"


def _entry(reading: RangeReading) -> dict[str, Any]:
    steepest, lowest = reading.steepest, reading.lowest
    return {
        "path": reading.path,
        "schedule": {"family": reading.fit.family, "params": reading.fit.schedule.params()},
        "confidence": reading.fit.confidence,
        "loss": reading.tag,
        "points": len(reading.lr),
        "loss_noise": reading.noise,
        "steepest_lr": None if steepest is None else steepest.lr,
        "steepest_interval_90": None if steepest is None else [steepest.low, steepest.high],
        "minimum_lr": None if lowest is None else lowest.lr,
        "minimum_interval_90": None if lowest is None else [lowest.low, lowest.high],
        "minimum_over_ten": reading.tenth,
        "divergence_lr": reading.diverged,
        "notes": list(reading.notes),
    }


def as_text(readings: list[RangeReading]) -> str:
    """A paragraph a sweep."""
    return "\n".join(_paragraph(one) for one in readings)


def _paragraph(reading: RangeReading) -> str:
    facts = "".join(f"  {label:<22}{text}\n" for label, text in rows(reading))
    notes = "".join(f"  note: {printable(note)}\n" for note in reading.notes)
    return f"{printable(reading.path)}: {sweep_words(reading)}\n{facts}{notes}"


def sweep_words(reading: RangeReading) -> str:
    """What was swept, over how many losses."""
    span = f"{numbers.lr(float(reading.lr[0]))} to {numbers.lr(float(reading.lr[-1]))}"
    return f"learning rate {span} over {len(reading.lr)} losses ({printable(reading.tag)})"


def rows(reading: RangeReading) -> list[tuple[str, str]]:
    """(what, the LR with its uncertainty)."""
    found = [("steepest fall", _words(reading.steepest)), ("lowest loss", _words(reading.lowest))]
    tenth, diverged = reading.tenth, reading.diverged
    found.append(("lowest loss over 10", "not known" if tenth is None else numbers.lr(tenth)))
    found.append(("divergence", "not seen" if diverged is None else f"from {numbers.lr(diverged)} on"))
    return found


def _words(spread: Spread | None) -> str:
    if spread is None:
        return "not known"
    return f"{numbers.lr(spread.lr)} (90 % interval {numbers.lr(spread.low)} to {numbers.lr(spread.high)})"


def write_page(reading: RangeReading, folder: Path, version: str) -> Path:
    """The page of one sweep; UsageError where `folder` holds another page."""
    page = {
        "path": printable(reading.path),
        "sweep": sweep_words(reading),
        "rows": rows(reading),
        "notes": [printable(note) for note in reading.notes],
        "figure": figure(reading),
    }
    return write_single_page(folder, "range_test.html", page, version)


def figure(reading: RangeReading) -> Json:
    """The loss over the LR on a logarithmic axis, smoothed and raw, and the LRs found as upright lines."""
    data = [
        line("loss", reading.lr, reading.loss, Style("executed", width=1.2, opacity=0.45), LR_AXES, POINTS),
        line("smoothed", reading.lr, reading.smooth, Style("identified", width=2.5), LR_AXES, POINTS),
    ]
    frame = layout(Panels(0, has_lr=True, has_loss=False), "learning rate", 1, [])
    low, high = np.log10(reading.lr[[0, -1]]).tolist()
    shown = reading.smooth[np.isfinite(reading.smooth)]
    top, bottom = float(shown.max()), float(shown.min())
    margin = 0.06 * (top - bottom or 1.0)
    x_axis, y_axis = dict(frame["xaxis"]), dict(frame["yaxis"])  # type: ignore[call-overload]
    frame["xaxis"] = x_axis | {"type": "log", "range": [low, high], "tickformat": ".0e"}
    frame["yaxis"] = y_axis | {"range": [bottom - margin, top + margin], "title": {"text": "loss", "standoff": 6}}
    frame["height"] = LR_HEIGHT + MARGIN["t"] + MARGIN["b"]
    marks = [(reading.steepest, "steepest"), (reading.lowest, "lowest")]
    found = [(spread.lr, name) for spread, name in marks if spread is not None]
    found += [(reading.diverged, "divergence")] if reading.diverged is not None else []
    frame["shapes"] = [_mark(lr) for lr, _ in found]
    frame["annotations"] = [_label(lr, name) for lr, name in found]
    return {"data": data, "layout": frame}


def _mark(lr: float) -> Json:
    style = {"color": "@muted", "width": 1, "dash": "dot"}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": lr, "x1": lr, "y0": 0, "y1": 1, "line": style}


def _label(lr: float, name: str) -> Json:
    place = {"x": float(np.log10(lr)), "y": 1.0, "xref": "x", "yref": "paper", "yanchor": "bottom", "showarrow": False}
    return {**place, "text": name, "font": {"size": 11, "color": "@muted"}}
