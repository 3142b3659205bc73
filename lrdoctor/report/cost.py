"""What a fault cost the run, in one figure to rank runs by."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lrdoctor.model.diagnosis import Diagnosis
from lrdoctor.report import numbers as fmt
from lrdoctor.report.words import FACTOR_WORTH_SAYING, total_lr_factor

_DIVERGED, _ESTIMATED, _SUMMED, _FAULTY = 4000.0, 3000.0, 2000.0, 1000.0  # what is known ranks before what is not


@dataclass(frozen=True, slots=True)
class Cost:
    """`text` as shown, empty where no fault was found; `key` to rank by, the larger the dearer.

    `share` is the part of the final loss that the fix would have saved, None where that was not estimated.
    """

    text: str = ""
    key: float = 0.0
    share: float | None = None


def cost_of(diagnosis: Diagnosis) -> Cost:
    """The loss the fix would have saved; failing that, how far the summed learning rate is from that of the fix.

    A run that diverged ranks first, then estimates by their share of the loss, then summed learning rates by their
    factor, then faults of which neither is known.
    """
    if diagnosis.verdict != "lr-faulty":
        return Cost()
    found = diagnosis.counterfactual
    observed, gain = found.observed_final_loss, found.gain
    if found.status == "estimated" and observed is None:
        return Cost("diverged", _DIVERGED)
    if gain is not None and observed is not None and observed > 0 and math.isfinite(gain):
        share = gain / observed
        text = f"{fmt.loss(gain)} of the loss ({100 * share:.0f} %)" if gain > 0 else "no loss"
        return Cost(text, _ESTIMATED + 100 * share if gain > 0 else _FAULTY - 1, max(share, 0.0))
    return _by_factor(diagnosis)


def _by_factor(diagnosis: Diagnosis) -> Cost:
    factor = total_lr_factor(diagnosis)
    if factor is None or 1 / FACTOR_WORTH_SAYING < factor < FACTOR_WORTH_SAYING:
        return Cost("not estimated", _FAULTY)
    times, side = (factor, "more") if factor > 1 else (1 / factor, "less")
    return Cost(f"{times:.3g} \N{MULTIPLICATION SIGN} {side} LR", _SUMMED + min(100 * math.log(times), 999.0))
