"""How well executed schedules are recognised: each is logged in a form drawn at random, then audited from disk."""

from __future__ import annotations

import math
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from logs import LOGGERS, Rows
from schedules import Labelled, draws

from lrdoctor.auditing import Options, audit
from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.model.identification import Fit

TICKS = frozenset({"T_max", "total_iters", "total_steps", "step_size", "T_0", "step_size_up", "num_decay_steps"})
CADENCES = (1, 1, 5, 10, 50)
SPARSE = 40  # a log with fewer points than this is not thinned further


@dataclass(frozen=True, slots=True)
class Outcome:
    """One trajectory's reading; `errors` maps each recovered number to its relative error."""

    truth: Labelled
    logger: str
    cadence: int
    family: str
    sure: bool
    exact: bool
    errors: Mapping[str, float]
    alarms: tuple[str, ...]


def outcomes(count: int, seed: int, jobs: int) -> Iterator[Outcome]:
    rng = np.random.default_rng(seed + 1)
    with tempfile.TemporaryDirectory() as folder:
        planted: dict[str, tuple[Labelled, str, int]] = {}
        for index, truth in enumerate(draws(count, seed)):
            path = Path(folder) / f"{index:05d}"
            path.mkdir()
            planted[path.as_posix()] = truth, *_write(path, truth, rng)
        options = Options(simulate=False, jobs=jobs)
        for diagnosis in audit([folder], options).diagnoses:
            yield _outcome(diagnosis, *planted[diagnosis.run.path])


def _write(folder: Path, truth: Labelled, rng: np.random.Generator) -> tuple[str, int]:
    logger = str(rng.choice(list(LOGGERS)))
    cadence = int(rng.choice(CADENCES))
    while len(truth.lrs) / cadence < SPARSE and cadence > 1:
        cadence //= 2
    steps = np.arange(len(truth.lrs))
    per_epoch = truth.per_tick if truth.per_tick > 1 else None
    loss = truth.loss if truth.loss is not None else 2.0 + 3.0 * (1.0 + steps / 50.0) ** -0.5
    rows = Rows(steps, {"lr": truth.lrs}, loss, per_epoch, accuracy=truth.accuracy).every(cadence)
    LOGGERS[logger](folder, rows)
    return logger, cadence


def _outcome(diagnosis: Diagnosis, truth: Labelled, logger: str, cadence: int) -> Outcome:
    lead = diagnosis.identification.lead
    fit = lead.fit if lead is not None and len(lead.fits) == 1 else None
    alarms = tuple(one.code for one in diagnosis.active if one.severity in ("error", "warning"))
    if fit is None:
        family = "several" if lead is not None else "Unknown"
        return Outcome(truth, logger, cadence, family, False, False, {}, alarms)
    errors = _errors(fit, truth, cadence) if fit.family == truth.family else {}
    return Outcome(truth, logger, cadence, fit.family, fit.sure, fit.exact, errors, alarms)


def _errors(fit: Fit, truth: Labelled, cadence: int) -> dict[str, float]:
    found = _numbers(fit)
    errors = {name: _relative(found.get(name), name, value, truth, cadence) for name, value in truth.numbers.items()}
    for name, marks in truth.marks.items():
        given = fit.schedule.params().get(name)
        read = [float(mark) * fit.steps_per_tick for mark in given] if isinstance(given, list) else []
        same = len(read) == len(marks)
        open_ = max(cadence, truth.per_tick if truth.per_tick > 1 else 1)
        off = [max(abs(a - b) - open_, 0.0) / b for a, b in zip(read, marks, strict=True)] if same else [math.inf]
        errors[name] = max(off)
    return errors


def _numbers(fit: Fit) -> dict[str, float]:
    params = {name: float(value) for name, value in fit.schedule.params().items() if isinstance(value, int | float)}
    numbers = {name: value * (fit.steps_per_tick if name in TICKS else 1.0) for name, value in params.items()}
    numbers["peak_lr"] = fit.peak_lr
    numbers["warmup_steps"] = fit.warmup_span
    if "gamma" in params and fit.family == "ExponentialLR":
        numbers["rate"] = math.log(params["gamma"]) / fit.steps_per_tick
    return numbers


def _relative(found: float | None, name: str, value: float, truth: Labelled, cadence: int) -> float:
    """Relative error; of an LR floor or a factor in units of the peak.

    A drop lies somewhere between two logged points, and a log does not say whether it was written before or after the
    scheduler's step: so much of a step count is left open by the log and not counted.
    """
    if found is None or not math.isfinite(found):
        return math.inf
    if name in ("eta_min", "end_factor"):
        return abs(found - value) / (truth.numbers["peak_lr"] if name == "eta_min" else 1.0)
    left_open = max(cadence, truth.per_tick) if name in ("step_size", "warmup_steps") else 0.0
    return max(abs(found - value) - left_open, 0.0) / abs(value)


def confusion(found: Iterable[Outcome]) -> dict[str, Counter[str]]:
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found:
        table[one.truth.family][one.family] += 1
    return table
