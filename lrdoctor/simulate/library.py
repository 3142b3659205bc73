"""What is known from other models: the fitted law of each, and the prior for a new run that follows from them.

`library.json` is a table with one entry a group of runs (one model at one peak lr). The prior of a new run is a linear
regression of the entries on ln(peak lr), with the scatter of the entries around it as covariance.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate.f7 import NAMES
from lrdoctor.simulate.prior import Form, Prior, features

SHIPPED = Path(__file__).with_name("library.json")
REFERENCE_PEAK = 1e-3  # the regression is on ln(peak / this)

_RIDGE_SD = 2.0  # of a slope per unit of ln(peak), in scatters: holds the slopes of few entries; chosen by us
_SCATTER_FLOOR = np.array([0.03, 0.10, 0.25, 0.05, 0.05])  # least sd of the prior for a model not in the library


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """The joint fit of all runs of one model at one peak: the mode (7,) and covariance (7, 7) of its law."""

    model: str
    peak_lr: float
    theta: FloatArray
    covariance: FloatArray
    final_loss: float
    runs: int
    source: str
    commit: str


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """All entries, and the ranges of peak lr and loss inside which they may speak."""

    entries: tuple[Entry, ...]

    @property
    def peaks(self) -> tuple[float, float]:
        peaks = [entry.peak_lr for entry in self.entries]
        return min(peaks), max(peaks)

    @property
    def quantile_90(self) -> float:
        """Half-width of a 90 % interval in standard deviations: Student's t, as few models tell the scatter."""
        from scipy.stats import t

        models = len({entry.model for entry in self.entries})
        return float(t.ppf(0.95, max(models - 2, 1)))

    def without(self, model: str) -> Library:
        return Library(tuple(entry for entry in self.entries if entry.model != model))

    def prior(self, peak_lr: float, form: Form = "ln B") -> Prior:
        """The prior for a run with this peak: regression of the entries' features on ln(peak), and their scatter."""
        rows = features(form)
        values = np.stack([rows @ entry.theta for entry in self.entries])
        x = np.log(np.array([entry.peak_lr for entry in self.entries]) / REFERENCE_PEAK)
        at = np.array([1.0, np.log(peak_lr / REFERENCE_PEAK)])
        coefficients, left, leverage = _regress(x, values, at)
        models = len({entry.model for entry in self.entries})
        # runs of one model at two peaks are not two witnesses, so models are counted, not entries; two go for the line
        scatter = left.T @ left / len(x) * models / max(models - 2, 1)
        covariance = scatter * (1.0 + leverage * len(x) / models) + np.diag(_SCATTER_FLOOR**2)
        return Prior(rows, at @ coefficients, covariance)


def _regress(x: FloatArray, values: FloatArray, at: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Level and slope (2, 5) of values (K, 5) on x (K,), residuals (K, 5), leverage of a new point `at` (2,)."""
    spread = np.maximum(values.std(axis=0), 1e-6)
    design = np.stack([np.ones_like(x), x], axis=1)
    inverse = np.linalg.inv(design.T @ design + np.diag([0.0, 1.0 / _RIDGE_SD**2]))
    coefficients = inverse @ design.T @ (values / spread) * spread
    return coefficients, values - design @ coefficients, float(at @ inverse @ at)


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
