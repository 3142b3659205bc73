"""What the loss would have been under the fixed schedule: a number with its interval, a direction, or a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Literal

import numpy as np

from lrdoctor.errors import MissingExtraError
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.diagnosis import Counterfactual, LossBand
from lrdoctor.model.identification import Identification
from lrdoctor.model.run import Run
from lrdoctor.model.schedule import Schedule
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.simulate import gate
from lrdoctor.simulate.f7 import loss
from lrdoctor.simulate.fitted import Fitted, Read, fit_run
from lrdoctor.simulate.library import Library
from lrdoctor.simulate.predict import Evaluate, Prediction
from lrdoctor.simulate.settle import branch_words
from lrdoctor.simulate.user_library import known_models

NUMPY = "cpu (numpy)"
BAND_POINTS = 400
_BAND_KNOTS = 100  # the band is computed at these and drawn through BAND_POINTS; the law is smooth between them
_DOUBTFUL = 2.0  # a direction is told where the observed loss lies outside the interval widened by this

Direction = Literal["lower", "higher", "unclear"]


def estimate(
    run: Run,
    trajectory: Trajectory,
    identification: Identification,
    remedy_schedule: Schedule,
    *,
    device: str = "auto",
    siblings: Sequence[Read] = (),
    library: Library | None = None,
) -> Counterfactual:
    """The loss at the end of the run had `remedy_schedule` (over trajectory steps) been executed instead.

    `siblings` are further runs of the same model at the same peak, fitted jointly. Refused, with the reason and what
    would settle it, wherever a test of `gate` fails. Raises `UsageError` for a device that is absent; without torch,
    "auto" and "cpu" compute in numpy.
    """
    evaluate, where = evaluator(device)
    began = perf_counter()
    fitted = fit_run(Read(run, trajectory, identification), library or known_models(), siblings)
    outcome = fitted if isinstance(fitted, str) else ask(fitted, remedy_schedule, evaluate)
    if isinstance(outcome, str):
        return Counterfactual("refused", reason=outcome)
    return replace(outcome, device=where, seconds=perf_counter() - began)


def ask(fitted: Fitted, schedule: Schedule, evaluate: Evaluate = loss) -> Counterfactual | str:
    """The loss at the end of a fitted run under another schedule, or why that is refused."""
    usable, library = fitted.usable, fitted.library
    lr = schedule.lr_at(np.arange(usable.steps))
    refusal = gate.refuse_remedy(schedule, lr, usable.peak, library)
    if refusal:
        return refusal
    n = np.unique(np.round(np.linspace(usable.losses.n[0], _end(fitted), _BAND_KNOTS))).astype(np.float64)
    prediction = fitted.predict(lr, n, evaluate)
    doubt = fitted.doubt or gate.doubt_remedy(schedule, lr, usable.peak, library)
    if doubt:
        return _direction_only(fitted, prediction, doubt)
    return _number(fitted, n, prediction, lr)


def _end(fitted: Fitted) -> float:
    """The update at which the two schedules are compared: the run's last loss, or its last update where it diverged."""
    usable = fitted.usable
    return float(usable.steps if usable.losses.broken_at is not None else usable.losses.n[-1])


def _number(fitted: Fitted, n: FloatArray, prediction: Prediction, lr: FloatArray) -> Counterfactual:
    steps = np.linspace(n[0], n[-1], BAND_POINTS)
    curves = (np.interp(steps, n, values) for values in (prediction.loss, prediction.low, prediction.high))
    low, high = float(prediction.low[-1]), float(prediction.high[-1])
    observed = _observed(fitted)
    return Counterfactual(
        "estimated",
        method="f7",
        observed_final_loss=observed,
        estimated_final_loss=float(prediction.loss[-1]),
        interval_90=(low, high),
        prior_share=prediction.prior_share,
        direction=_direction(observed, low, high),
        band=LossBand(steps - 1.0, *curves),  # the loss after n updates is drawn where update n - 1 is
        leaned_on=fitted.library.leaned_on(fitted.usable.peak),
        settle=branch_words(fitted, prediction, lr, n[-1]),
        notes=_notes(fitted),
    )


def _direction_only(fitted: Fitted, prediction: Prediction, doubt: str) -> Counterfactual | str:
    """The direction, where it is clear by a wide margin; the doubt as a refusal where it is not."""
    observed = _observed(fitted)
    centre, half = float(prediction.loss[-1]), _DOUBTFUL * float(prediction.half_width()[-1])
    direction = _direction(observed, centre - half, centre + half)
    if direction == "unclear" or observed is None:
        return doubt
    return Counterfactual(
        "estimated",
        reason=doubt,
        method="f7",
        observed_final_loss=observed,
        prior_share=prediction.prior_share,
        direction=direction,
        leaned_on=fitted.library.leaned_on(fitted.usable.peak),
        notes=_notes(fitted),
    )


def _observed(fitted: Fitted) -> float | None:
    losses = fitted.usable.losses
    return None if losses.broken_at is not None else float(losses.loss[-1])


def _notes(fitted: Fitted) -> tuple[str, ...]:
    notes = []
    broken = fitted.usable.losses.broken_at
    if broken is not None:
        notes.append(f"the run diverged after update {broken:.0f}; only what came before was fitted")
    if fitted.together > 1:
        notes.append(f"fitted jointly to {fitted.together} runs")
    return tuple(notes)


def _direction(observed: float | None, low: float, high: float) -> Direction:
    if observed is None or high < observed:  # any end is lower than that of a run that diverged
        return "lower"
    return "higher" if low > observed else "unclear"


def evaluator(device: str) -> tuple[Evaluate, str]:
    """The law on that device, and the device's name. An accelerator gets torch, everything else numpy."""
    if device == "cpu":
        return loss, NUMPY
    from lrdoctor.simulate.device import resolve_device

    try:
        found = resolve_device(device)
    except MissingExtraError:
        if device != "auto":
            raise
        return loss, NUMPY
    if found.type == "cpu":
        return loss, NUMPY
    from lrdoctor.simulate.f7_torch import loss_on

    return partial(loss_on, found), str(found)
