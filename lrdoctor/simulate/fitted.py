"""A run the law was fitted to: any number of other schedules can then be asked for their loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.identification import Identification
from lrdoctor.model.run import Run
from lrdoctor.model.trajectory import Trajectory
from lrdoctor.simulate import gate
from lrdoctor.simulate.executed import executed_lr, warmup_updates
from lrdoctor.simulate.f7 import loss
from lrdoctor.simulate.fit import Observed
from lrdoctor.simulate.grid import compress
from lrdoctor.simulate.library import Library
from lrdoctor.simulate.losses import RunLosses, losses_of
from lrdoctor.simulate.pool import Pool, fit_both
from lrdoctor.simulate.predict import STRUCTURAL_SD, STRUCTURAL_SD_OUTSIDE, Evaluate, Prediction, predict
from lrdoctor.simulate.tokens import beginning, named_tokens

SAME_PEAK = 0.02
"""Peaks that differ by no more, as a part, are one peak: a decay that starts in the warmup lowers what is reached."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """One run as it was read: what the command line and the audit hand over."""

    run: Run
    trajectory: Trajectory
    identification: Identification


@dataclass(frozen=True, slots=True, eq=False)
class Usable:
    """A run that passed the gate as far as the run itself goes. `lr` (T,) is the executed one of every update."""

    read: Read
    lr: FloatArray
    warmup: int
    losses: RunLosses

    @property
    def peak(self) -> float:
        return float(self.lr.max())

    @property
    def steps(self) -> int:
        return len(self.lr)

    def observed(self, peak: float) -> Observed:
        """Its losses, over its LR in units of `peak`."""
        grid = compress(self.lr / peak, self.losses.n)
        return Observed(grid, self.losses.loss, self.losses.sigma)


def usable(read: Read, library: Library) -> Usable | str:
    """The run ready to be fitted to, or why its log does not allow that. Peak and level of the loss are not tested."""
    refusal = gate.refuse_unfit_run(read.run, read.trajectory, read.identification)
    if refusal:
        return refusal
    lr = executed_lr(read.trajectory, read.identification)
    warmup = warmup_updates(lr, read.identification)
    first = gate.first_update(warmup)
    losses = losses_of(read.trajectory, first)
    refusal = gate.refuse_too_few(losses, len(lr), first)
    if refusal or losses is None:
        return refusal or ""
    return Usable(read, lr, warmup, losses)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The audited run with its posteriors; `together` counts the runs they were fitted to."""

    usable: Usable
    pool: Pool
    observed: Observed
    library: Library
    structural_sd: float
    together: int = 1

    @property
    def doubt(self) -> str | None:
        """Why no number may be told of the run, whichever schedule is asked for."""
        usable, pool = self.usable, self.pool
        return gate.doubt_run(usable.steps, usable.peak, self.library, pool.residual_rms, pool.conflict)

    def predict(self, lr: FloatArray, n: FloatArray, evaluate: Evaluate = loss) -> Prediction:
        """The losses after `n` (M,) updates of a run with this LR (T,)."""
        u = lr / self.usable.peak
        return predict(
            self.pool,
            self.observed,
            compress(u, n),
            self.library,
            peak_ratio=float(u.max()),
            structural_sd=self.structural_sd,
            evaluate=evaluate,
        )


def fit_run(read: Read, library: Library, siblings: Sequence[Read] = ()) -> Fitted | str:
    """Fit the law to a run, jointly with `siblings` of the same model, or say why it may not speak of it."""
    found = usable(read, library)
    if isinstance(found, str):
        return found
    refusal = gate.refuse_losses(found.losses, found.steps, gate.first_update(found.warmup), library)
    refusal = refusal or gate.refuse_peak(found.peak, library, "the run's")
    named, begins = named_tokens(read.run, read.trajectory), beginning(read.trajectory, found.lr)
    if not named:
        refusal = refusal or gate.refuse_beginning(begins)
    if refusal:
        return refusal
    others = [usable(sibling, library) for sibling in siblings]
    for sibling, other in zip(siblings, others, strict=True):
        if isinstance(other, str):
            return f"the sibling {sibling.run.path} cannot be fitted to: {other}"
        if not np.isclose(other.peak, found.peak, rtol=SAME_PEAK):
            return (
                f"the sibling {sibling.run.path} has peak lr {other.peak:.3g}, the run {found.peak:.3g}; the law is "
                "fitted to one peak at a time, so leave it out"
            )
    observed = [one.observed(found.peak) for one in (found, *others) if isinstance(one, Usable)]
    pool = fit_both(observed, found.peak, library)
    known = named or begins is True
    limit = gate.DOUBTFUL_RESIDUAL if known else gate.MAX_UNNAMED_RESIDUAL
    structural = STRUCTURAL_SD if known else STRUCTURAL_SD_OUTSIDE
    return gate.refuse_fit(pool.residual_rms, limit) or Fitted(
        found, pool, observed[0], library, structural, len(observed)
    )
