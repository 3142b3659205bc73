"""Where the loss law may speak. Outside the models it was learned from it is wrong by a lot, so each test comes first.

A refusal is a sentence with what to try; every test returns one or None. A doubt is a test that failed by a little:
then the direction of the change may be told, and no number.
"""

from __future__ import annotations

import re

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.identification import Identification
from lrdoctor.model.run import Run
from lrdoctor.model.schedule import Schedule
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.simulate.executed import TRUSTED_FIT_ERROR
from lrdoctor.simulate.library import Library
from lrdoctor.simulate.losses import MIN_POINTS, RunLosses
from lrdoctor.simulate.tokens import foreign_to_tokens

FIRST_UPDATE = 800
"""The law is not fitted to earlier updates: it misses the first transient (residuals of 1 % before, .1 % after)."""

PAST_WARMUP = 1.15
"""... nor before this many warmup lengths."""

MAX_RESIDUAL, DOUBTFUL_RESIDUAL = 0.006, 0.010
"""Largest root mean square residual of ln loss, noise taken out, that counts as a fit; and for a direction."""

MAX_UNNAMED_RESIDUAL = 0.004
"""The same where neither a name nor the beginning of the losses says that this is a language model."""

MAX_CONFLICT = 30.0
"""Largest chi-square (5 degrees of freedom) between a run's law and what the library leads to expect: left-out models
have 9 at most."""

MAX_PEAK_RATIO, DOUBTFUL_PEAK_RATIO = 2.5, 4.0
"""The library holds pairs of runs whose peaks differ twofold; a fix that moves the peak much further is not covered."""

PEAK_MARGIN, DOUBTFUL_PEAK_MARGIN = 1.5, 3.0
"""How far a peak may lie outside the library's, as a factor."""

LOSS_MARGIN = (0.6, 0.8)
"""Nats that a final loss may lie below and above the library's: room for other tokenizers and lengths."""

SPAN = (3_000, 216_000)
"""Updates of a run a number is given for: the library's have 3,000 to 72,000, and the law was seen to hold three times
longer than it was fitted to (24,000 to 72,000)."""

LONGEST = 10_000_000
"""Updates beyond which a run is not looked at: its LR is held update by update."""

MIN_PART = 0.5
"""Part of the updates that must lie before a divergence: the rest is extrapolated."""

MIN_FALL = 0.25
"""Nats. A run that falls less after its warmup did not learn from scratch."""

SETTLE = "train a branch of 5 to 10 % of the run's updates from the last checkpoint, its lr falling to zero"

def first_update(warmup: float) -> float:
    """The first update whose loss is fitted, for a warmup of that many updates."""
    return max(float(FIRST_UPDATE), PAST_WARMUP * warmup)


def refuse_unfit_run(run: Run, trajectory: Trajectory, identification: Identification) -> str | None:
    """What can be told before any loss is looked at: units, learning rate, kind of model, optimizer."""
    return (
        _refuse_unit(trajectory)
        or _refuse_length(trajectory)
        or _refuse_lr(trajectory, identification)
        or _refuse_kind(run, trajectory)
        or _refuse_optimizer(run)
    )


def _refuse_unit(trajectory: Trajectory) -> str | None:
    if trajectory.step_unit == "update":
        return None
    units = {"unknown": "a unit that cannot be told", "epoch": "epochs", "row": "rows"}
    return (
        f"the log counts in {units.get(trajectory.step_unit, trajectory.step_unit + 's')}, and the loss law needs "
        "optimizer updates; log the global step, or give the run's config, so that updates per epoch are known"
    )


def _refuse_length(trajectory: Trajectory) -> str | None:
    if trajectory.steps > LONGEST:
        return (
            f"the log counts {trajectory.steps:,} updates, and the loss law is tested on {SPAN[1]:,} at most; check "
            "what its step column counts"
        )
    if trajectory.steps > FIRST_UPDATE:
        return None
    return (
        f"the run has {trajectory.steps} updates, and the loss law holds from update {FIRST_UPDATE} on; a run this "
        "short is best repeated with the fix"
    )


def _refuse_lr(trajectory: Trajectory, identification: Identification) -> str | None:
    lead = trajectory.lead
    if lead is None or not np.isfinite(lead.lr).any():
        return "no learning rate was logged, so nothing is known of what the run executed; log it at every step"
    if not trajectory.peak_lr > 0.0 or float(np.nanmin(lead.lr)) < 0.0:
        return "the logged learning rate is zero or negative; check what the tag holds"
    if any(not segment.resumed for segment in trajectory.segments[1:]):
        return "the run starts over from scratch inside one log; audit the attempts separately"
    gap = float(np.max(np.diff(lead.steps, prepend=0.0, append=float(trajectory.steps)), initial=0.0))
    identified = identification.lead is not None and all(
        fit.family != "Unknown" and fit.fit_error <= TRUSTED_FIT_ERROR for fit in identification.lead.fits
    )
    if not identified and gap > 0.05 * trajectory.steps:
        return f"the learning rate has a gap of {gap:.0f} updates and no schedule that fills it; log it more often"
    return _refuse_groups(trajectory)


def _refuse_groups(trajectory: Trajectory) -> str | None:
    """All parameter groups must follow one shape: the law knows a single lr."""
    lead, *others = trajectory.groups
    for other in others:
        shape = np.interp(lead.steps, other.steps, other.lr) / max(float(np.nanmax(other.lr)), 1e-300)
        off = float(np.nanmax(np.abs(shape - lead.lr / trajectory.peak_lr)))
        if off > 0.05:
            return (
                f"the parameter groups {lead.name!r} and {other.name!r} follow different schedules, the law knows one"
            )
    return None


def _refuse_kind(run: Run, trajectory: Trajectory) -> str | None:
    foreign = foreign_to_tokens(run, trajectory)
    if foreign is not None:
        return (
            f"the loss law holds for language-model pre-training, and {foreign!r} says this run is something else; to "
            f"see what the fix gains, {SETTLE}"
        )
    if run.declared("finetune") is True:
        return f"the loss law holds for training from scratch, and this run is a fine-tuning; {SETTLE}"
    return None


def refuse_beginning(begins: tuple[float, float] | bool | None) -> str | None:
    """What the first losses say where nothing names the kind of model; `begins` as in `tokens.beginning`."""
    if not isinstance(begins, tuple):
        return None
    update, loss = begins
    return (
        f"nothing in the log names a language model, and none has a loss of {loss:.3g} near update {update:.0f}; log a "
        f"perplexity or the model's name if this is one; else, to see what the fix gains, {SETTLE}"
    )


def _refuse_optimizer(run: Run) -> str | None:
    """Adam and its kin, or an optimizer nobody names (the loss and the peak then have to speak for themselves)."""
    name = run.declared("optimizer")
    if not isinstance(name, str) or re.search(r"adam|lamb", name, re.IGNORECASE):
        return None
    return f"the loss law was learned on Adam, and this run used {name}; to see what the fix gains, {SETTLE}"


def refuse_peak(peak_lr: float, library: Library, whose: str, margin: float = DOUBTFUL_PEAK_MARGIN) -> str | None:
    low, high = library.peaks[0] / margin, library.peaks[1] * margin
    if low <= peak_lr <= high:
        return None
    return (
        f"{whose} peak lr {peak_lr:.3g} is outside the {low:.1g} to {high:.1g} the loss law was learned on; to see "
        f"what the fix gains, {SETTLE}"
    )


def refuse_remedy(
    remedy: Schedule,
    lr: FloatArray,
    executed_peak: float,
    library: Library,
    ratio_limit: float = DOUBTFUL_PEAK_RATIO,
    margin: float = DOUBTFUL_PEAK_MARGIN,
) -> str | None:
    """What the fix asks of the law. `lr` (T,) is the remedy's, update by update."""
    peak = float(lr.max(initial=0.0))
    if not np.isfinite(lr).all() or float(lr.min(initial=0.0)) < 0.0 or peak <= 0.0:
        return f"the fixed {remedy.family} has no positive learning rate over this run"
    ratio = peak / executed_peak
    if max(ratio, 1.0 / ratio) > ratio_limit:
        return (
            f"the fix changes the peak lr {ratio:.3g}-fold ({executed_peak:.3g} to {peak:.3g}), and the law is tested "
            f"up to {MAX_PEAK_RATIO:g}-fold; a short run at the fixed peak would settle it"
        )
    return refuse_peak(peak, library, "the fix's", margin)


def refuse_conflict(conflict: float) -> str | None:
    if conflict <= MAX_CONFLICT:
        return None
    return (
        f"the run's losses fall as those of no model of the library do (chi-square {conflict:.0f} on 5 degrees of "
        f"freedom, at most {MAX_CONFLICT:.0f} is a relative); to see what the fix gains, {SETTLE}"
    )


def doubt_run(steps: int, peak_lr: float, library: Library, residual_rms: float, conflict: float) -> str | None:
    """Why of this run the direction alone may be told, under whichever fix: a test that failed by a little."""
    return (
        refuse_peak(peak_lr, library, "the run's", PEAK_MARGIN)
        or refuse_fit(residual_rms, MAX_RESIDUAL)
        or refuse_conflict(conflict)
        or _refuse_span(steps)
    )


def doubt_remedy(remedy: Schedule, lr: FloatArray, executed_peak: float, library: Library) -> str | None:
    """The same of this fix."""
    return refuse_remedy(remedy, lr, executed_peak, library, MAX_PEAK_RATIO, PEAK_MARGIN)


def _refuse_span(steps: int) -> str | None:
    if SPAN[0] <= steps <= SPAN[1]:
        return None
    return (
        f"the run has {steps:,} updates, and the loss law is tested on runs of {SPAN[0]:,} to {SPAN[1]:,}; to see what "
        f"the fix gains, {SETTLE}"
    )


def refuse_losses(losses: RunLosses | None, steps: int, first: float, library: Library) -> str | None:
    """What the losses themselves say of a run of so many updates."""
    return refuse_too_few(losses, steps, first) or (_refuse_level(losses, library) if losses else None)


def refuse_too_few(losses: RunLosses | None, steps: int, first: float) -> str | None:
    if losses is None:
        return "no loss was logged beside the learning rate; log one"
    broken = losses.broken_at
    if broken is not None and (broken < MIN_PART * steps or len(losses.n) < MIN_POINTS):
        return (
            f"the loss diverges near update {broken:.0f}, and what comes before says too little of how the run would "
            "have ended; train the fix from a checkpoint before it"
        )
    if len(losses.n) < MIN_POINTS:
        return (
            f"only {len(losses.n)} losses lie after update {first:.0f} (warmup and first transient left out), "
            f"{MIN_POINTS} are needed; log the loss more often"
        )
    return None


def _refuse_level(losses: RunLosses, library: Library) -> str | None:
    last = float(losses.loss[-1])
    low, high = library.losses[0] - LOSS_MARGIN[0], library.losses[1] + LOSS_MARGIN[1]
    if not low <= last <= high:
        return (
            f"the loss ends at {last:.3g}, and the loss law was learned on language models that end between {low:.1f} "
            f"and {high:.1f} nats per token; to see what the fix gains, {SETTLE}"
        )
    if float(losses.loss[0]) - last < MIN_FALL:
        return (
            f"the loss falls by only {losses.loss[0] - last:.2g} after the warmup, so this is no training from "
            f"scratch; to see what the fix gains, {SETTLE}"
        )
    return None


def refuse_fit(residual_rms: float, limit: float = DOUBTFUL_RESIDUAL) -> str | None:
    if residual_rms <= limit:
        return None
    return (
        f"the loss law misses this run's own losses by {residual_rms:.1%} (at most {min(limit, MAX_RESIDUAL):.1%} is a "
        f"fit); to see what the fix gains, {SETTLE}"
    )
