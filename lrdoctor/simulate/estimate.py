"""What the loss would have been under the fixed schedule: a number with its interval, or a refusal with the reason."""

from __future__ import annotations

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
from lrdoctor.simulate.executed import executed_lr, warmup_updates
from lrdoctor.simulate.f7 import loss
from lrdoctor.simulate.fit import Observed
from lrdoctor.simulate.grid import compress
from lrdoctor.simulate.library import Library, load_library
from lrdoctor.simulate.losses import RunLosses, losses_of
from lrdoctor.simulate.predict import (
    STRUCTURAL_SD,
    STRUCTURAL_SD_OUTSIDE,
    Evaluate,
    Prediction,
    fit_both,
    predict,
)

NUMPY = "cpu (numpy)"
BAND_POINTS = 400
_BAND_KNOTS = 100  # the band is computed at these and drawn through BAND_POINTS; the law is smooth between them


def estimate(
    run: Run,
    trajectory: Trajectory,
    identification: Identification,
    remedy_schedule: Schedule,
    *,
    device: str = "auto",
) -> Counterfactual:
    """The loss at the end of the run had `remedy_schedule` (over trajectory steps) been executed instead.

    Refused, with the reason and what would settle it, wherever a test of `gate` fails. Raises `UsageError` for a device
    that is absent; without torch, "auto" and "cpu" compute in numpy.
    """
    began = perf_counter()
    evaluate, where = _evaluator(device)
    outcome = _estimate(run, trajectory, identification, remedy_schedule, evaluate)
    if isinstance(outcome, str):
        return Counterfactual("refused", reason=outcome)
    return replace(outcome, device=where, seconds=perf_counter() - began)


def _estimate(
    run: Run, trajectory: Trajectory, identification: Identification, remedy: Schedule, evaluate: Evaluate
) -> Counterfactual | str:
    library = load_library()
    refusal = gate.refuse_unfit_run(run, trajectory, identification, library)
    if refusal:
        return refusal
    lr = executed_lr(trajectory, identification)
    peak = float(lr.max())
    remedy_lr = remedy.lr_at(np.arange(trajectory.steps))
    first = gate.first_update(warmup_updates(lr, identification))
    losses = losses_of(trajectory, first)
    refusal = gate.refuse_remedy(remedy, remedy_lr, peak, library) or gate.refuse_losses(losses, trajectory, first)
    if refusal or losses is None:
        return refusal or ""
    structural = STRUCTURAL_SD if gate.speaks_of_tokens(run, trajectory) else STRUCTURAL_SD_OUTSIDE
    n, prediction = _predict(losses, lr / peak, remedy_lr / peak, peak, library, structural, evaluate)
    refusal = gate.refuse_fit(prediction.residual_rms)
    return refusal or _counterfactual(losses, n, prediction)


def _predict(
    losses: RunLosses,
    u: FloatArray,
    u_fixed: FloatArray,
    peak: float,
    library: Library,
    structural_sd: float,
    evaluate: Evaluate,
) -> tuple[FloatArray, Prediction]:
    """(update counts, losses there) under the fixed schedule, up to the run's last loss."""
    observed = Observed(compress(u, losses.n), losses.loss, losses.sigma)
    n = np.unique(np.round(np.linspace(losses.n[0], losses.n[-1], _BAND_KNOTS))).astype(np.float64)
    prediction = predict(
        fit_both([observed], peak, library),
        observed,
        compress(u_fixed, n),
        library,
        peak_ratio=float(u_fixed.max()),
        structural_sd=structural_sd,
        evaluate=evaluate,
    )
    return n, prediction


def _counterfactual(losses: RunLosses, n: FloatArray, prediction: Prediction) -> Counterfactual:
    steps = np.linspace(n[0], n[-1], BAND_POINTS)
    curves = (np.interp(steps, n, values) for values in (prediction.loss, prediction.low, prediction.high))
    low, high = float(prediction.low[-1]), float(prediction.high[-1])
    observed = float(losses.loss[-1])
    return Counterfactual(
        "estimated",
        method="f7",
        observed_final_loss=observed,
        estimated_final_loss=float(prediction.loss[-1]),
        interval_90=(low, high),
        prior_share=prediction.prior_share,
        direction=_direction(observed, low, high),
        band=LossBand(steps - 1.0, *curves),  # the loss after n updates is drawn where update n - 1 is
    )


def _direction(observed: float, low: float, high: float) -> Literal["lower", "higher", "unclear"]:
    if high < observed:
        return "lower"
    return "higher" if low > observed else "unclear"


def _evaluator(device: str) -> tuple[Evaluate, str]:
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
