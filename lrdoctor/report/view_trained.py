"""A real training under both schedules beside what was predicted for the run: a table, and the two loss curves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.diagnosis import Counterfactual, Diagnosis, Trained
from lrdoctor.report import numbers as fmt
from lrdoctor.report.printable import printable
from lrdoctor.report.spark_path import polyline
from lrdoctor.report.words import trained_caveat, trained_words

BOX = (56.0, 10.0, 572.0, 150.0)
"""Left, top, width and height of the curves, in the picture's own units."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Points of two SVG polylines, and the ends of their axes in words."""

    executed: str
    fixed: str
    low: str
    high: str
    updates: str


@dataclass(frozen=True, slots=True)
class TrainedView:
    """`rows` are (what, predicted for the run, trained); `seeds` (seed, executed, fixed, gain)."""

    model: str
    sentence: str
    rows: tuple[tuple[str, str, str], ...]
    seeds: tuple[tuple[str, str, str, str], ...]
    curves: Curves | None
    caveat: str


def trained_view(diagnosis: Diagnosis) -> TrainedView | None:
    trained = diagnosis.trained
    if trained is None:
        return None
    return TrainedView(
        model=printable(trained.factory),
        sentence=_sentence(trained_words(trained)),
        rows=_rows(diagnosis.counterfactual, trained),
        seeds=tuple(
            (str(one.seed), _end(one.executed), _end(one.fixed), fmt.loss(one.executed - one.fixed))
            for one in trained.seeds
        ),
        curves=_curves(trained),
        caveat=_sentence(trained_caveat(trained, diagnosis.trajectory.steps)),
    )


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _rows(predicted: Counterfactual, trained: Trained) -> tuple[tuple[str, str, str], ...]:
    return (
        ("Ends as executed", fmt.loss(predicted.observed_final_loss), _mean([one.executed for one in trained.seeds])),
        ("Ends with the fix", fmt.loss(predicted.estimated_final_loss), _mean([one.fixed for one in trained.seeds])),
        (
            "Gain",
            _gain(predicted.gain, predicted.gain_90, "90"),
            _gain(trained.gain, trained.gain_95, "95"),
        ),
        ("The fix ends", predicted.direction or predicted.status, trained.direction),
    )


def _gain(gain: float | None, interval: tuple[float, float] | None, level: str) -> str:
    if interval is None:
        return fmt.loss(gain)
    return f"{fmt.loss(gain)} ({level}\N{NO-BREAK SPACE}%: {fmt.loss(interval[0])} to {fmt.loss(interval[1])})"


def _end(loss: float) -> str:
    return fmt.loss(loss) if math.isfinite(loss) else "diverged"


def _mean(losses: list[float]) -> str:
    return _end(float(np.mean(losses)))


def _curves(trained: Trained) -> Curves | None:
    if len(trained.steps) < 2:
        return None
    both = np.concatenate([trained.executed, trained.fixed])
    low, high = float(both.min()), float(both.max())

    def points(losses: FloatArray) -> str:
        span = (float(trained.steps[0]), float(trained.steps[-1]))
        return polyline(trained.steps, losses - low, span, high - low, BOX)

    updates = f"{fmt.count(trained.steps[0])} to {fmt.plural(trained.updates, 'update')}"
    return Curves(points(trained.executed), points(trained.fixed), fmt.loss(low), fmt.loss(high), updates)
