"""The counterfactual: what the fix would have done to the loss, with its interval, or why that was not estimated."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lrdoctor.model.diagnosis import Counterfactual, Diagnosis
from lrdoctor.report import numbers as fmt
from lrdoctor.report.printable import printable
from lrdoctor.report.words import counterfactual_words


@dataclass(frozen=True, slots=True)
class LossView:
    """`status` as in Counterfactual; `figures` are (label, value) pairs, empty unless estimated."""

    status: str
    sentence: str
    figures: tuple[tuple[str, str], ...]
    basis: str


def loss_view(diagnosis: Diagnosis) -> LossView:
    counterfactual = diagnosis.counterfactual
    sentence = printable(counterfactual_words(counterfactual))
    sentence = sentence[:1].upper() + sentence[1:]
    if sentence and not sentence.endswith("."):
        sentence += "."
    estimated = counterfactual.status == "estimated"
    return LossView(
        status=counterfactual.status,
        sentence=sentence,
        figures=_figures(counterfactual) if estimated else (),
        basis=_basis(counterfactual) if estimated else "",
    )


def _figures(counterfactual: Counterfactual) -> tuple[tuple[str, str], ...]:
    interval = counterfactual.interval_90
    figures = [("Observed final loss", fmt.loss(counterfactual.observed_final_loss))]
    if interval is not None and all(map(math.isfinite, interval)):  # never an estimate without its interval
        figures.append(("Estimated with the fix", fmt.loss(counterfactual.estimated_final_loss)))
        figures.append(("90\N{NO-BREAK SPACE}% interval", f"{fmt.loss(interval[0])} to {fmt.loss(interval[1])}"))
    gain = counterfactual.gain_90
    if gain is not None and all(map(math.isfinite, gain)):
        figures.append(("Gain", f"{fmt.loss(counterfactual.gain)} ({fmt.loss(gain[0])} to {fmt.loss(gain[1])})"))
    if counterfactual.direction is not None:
        figures.append(("Direction", counterfactual.direction))
    return tuple(figures)


def _basis(counterfactual: Counterfactual) -> str:
    method = f"Method: {printable(counterfactual.method)}" if counterfactual.method else ""
    device = f"computed on {printable(counterfactual.device)}" if counterfactual.device else ""
    prior = (
        f"{fmt.share(counterfactual.prior_share)} of it rests on the prior"
        if counterfactual.prior_share is not None
        else ""
    )
    models = (
        f"the prior leans on {', '.join(map(printable, counterfactual.leaned_on))}" if counterfactual.leaned_on else ""
    )
    notes = [printable(note) for note in counterfactual.notes]
    said = "; ".join(part for part in (method, device, prior, models, *notes) if part)
    settle = f" To settle it: {printable(counterfactual.settle)}." if counterfactual.settle else ""
    return f"{said}.{settle}" if said else ""
