"""What is known from other models: the fitted law of each, and the prior for a new run that follows from them.

`library.json` is a table with one entry a group of runs (one model at one peak lr), each fitted by itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.f7 import NAMES
from lrdoctor.simulate.population import Measured, Population, learn, of_features, without_prior
from lrdoctor.simulate.prior import Form, Prior, vague

SHIPPED = Path(__file__).with_name("library.json")

_LEANED_ON = 0.15  # share of the prior from which on a model is named


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """The joint fit of all runs of one model at one peak under a vague prior: mode (7,) and covariance (7, 7)."""

    model: str
    peak_lr: float
    theta: FloatArray
    covariance: FloatArray
    final_loss: float
    runs: int
    source: str
    commit: str

    @property
    def seen(self) -> tuple[FloatArray, FloatArray]:
        """Precision (7, 7) and pull (7,) of the parameters by what the runs showed, the vague prior taken out."""
        return without_prior(self.theta, self.covariance, vague())


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """All entries, and the ranges of peak lr and loss inside which they may speak."""

    entries: tuple[Entry, ...]

    @property
    def peaks(self) -> tuple[float, float]:
        peaks = [entry.peak_lr for entry in self.entries]
        return min(peaks), max(peaks)

    @property
    def losses(self) -> tuple[float, float]:
        finals = [entry.final_loss for entry in self.entries]
        return min(finals), max(finals)

    def leaned_on(self, peak_lr: float) -> tuple[str, ...]:
        """The models that make up most of the prior at this peak, heaviest first."""
        weights: dict[str, float] = {}
        for entry, weight in zip(self.entries, self.population().weights(peak_lr), strict=True):
            weights[entry.model] = weights.get(entry.model, 0.0) + float(weight)
        ranked = sorted(weights, key=lambda model: -weights[model])
        return tuple(model for model in ranked if weights[model] >= _LEANED_ON)

    def without(self, model: str) -> Library:
        return Library(tuple(entry for entry in self.entries if entry.model != model))

    def prior(self, peak_lr: float, form: Form = "ln B") -> Prior:
        """The prior for a run of another model with this peak."""
        return self.population(form).prior(peak_lr)

    def population(self, form: Form = "ln B") -> Population:
        return _population(self, form)


@cache
def _population(library: Library, form: Form) -> Population:
    entries = library.entries
    known = [of_features(*entry.seen, form) for entry in entries]
    fits = Measured(
        np.array([entry.peak_lr for entry in entries]),
        np.stack([precision for precision, _ in known]),
        np.stack([pull for _, pull in known]),
        np.array([1.0 / sum(other.model == entry.model for other in entries) for entry in entries]),
    )
    return learn(fits, form)


def load_library(path: Path = SHIPPED) -> Library:
    """The library of a JSON file as `dump` writes it; the shipped one by default."""
    table = json.loads(path.read_text(encoding="utf-8"))
    return Library(tuple(_entry(row) for row in table["entries"]))


def _entry(row: dict[str, object]) -> Entry:
    values = dict(row)
    theta = np.asarray(values.pop("theta"), dtype=np.float64)
    covariance = np.asarray(values.pop("covariance"), dtype=np.float64)
    return Entry(theta=theta, covariance=covariance, **values)  # type: ignore[arg-type]  # the file's own keys


def dump(entries: Sequence[Entry], note: str) -> str:
    """The JSON text of a library."""
    rows = [
        {
            "model": entry.model,
            "peak_lr": entry.peak_lr,
            "runs": entry.runs,
            "final_loss": round(entry.final_loss, 4),
            "theta": [float(f"{value:.6g}") for value in entry.theta],
            "covariance": [[float(f"{value:.4g}") for value in row] for row in entry.covariance],
            "source": entry.source,
            "commit": entry.commit,
        }
        for entry in entries
    ]
    return json.dumps({"note": note, "parameters": list(NAMES), "entries": rows}, indent=1) + "\n"
