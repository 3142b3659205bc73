"""The end of the line: all that is known about one run, ready for the reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import lrdoctor
from lrdoctor.model.arrays import FloatArray
from lrdoctor.model.finding import Finding, Remedy
from lrdoctor.model.identification import Identification
from lrdoctor.model.run import Run
from lrdoctor.model.trajectory import Trajectory

Verdict = Literal["lr-faulty", "lr-healthy", "lr-unknown"]


@dataclass(frozen=True, slots=True, eq=False)
class TorchReplay:
    """The remedy stepped through torch's own scheduler and optimizer: the ground truth for its LR.

    All arrays (T,) over the optimizer updates `steps` (thinned for long runs). `closed_form_error` is
    max |closed form - torch| / peak. `momentum` is SGD's momentum or Adam's beta1, None where not scheduled.
    """

    steps: FloatArray
    lr: FloatArray
    momentum: FloatArray | None
    closed_form_error: float
    torch_version: str
    optimizer: str


@dataclass(frozen=True, slots=True, eq=False)
class LossBand:
    """The counterfactual loss curve: median and 90 % band, (T,) over `steps`."""

    steps: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Counterfactual:
    """What the fixed schedule would have done to the loss: estimated, refused (with the reason) or not needed.

    Estimated is a number with its interval, or a `direction` alone: then there is no number and `reason` says why.
    `observed_final_loss` is None where the run diverged. `leaned_on` names the models the prior comes from, `settle`
    the one experiment that would narrow the answer, `notes` what else was done to get it.
    """

    status: Literal["estimated", "refused", "not-needed"]
    reason: str | None = None
    method: str | None = None
    observed_final_loss: float | None = None
    estimated_final_loss: float | None = None
    interval_90: tuple[float, float] | None = None
    prior_share: float | None = None
    direction: Literal["lower", "higher", "unclear"] | None = None
    band: LossBand | None = None
    device: str | None = None
    seconds: float | None = None
    leaned_on: tuple[str, ...] = ()
    settle: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def gain(self) -> float | None:
        """Observed less estimated final loss; None where either is missing."""
        if self.observed_final_loss is None or self.estimated_final_loss is None:
            return None
        return self.observed_final_loss - self.estimated_final_loss

    @property
    def gain_90(self) -> tuple[float, float] | None:
        """The interval of the gain."""
        if self.observed_final_loss is None or self.interval_90 is None:
            return None
        return self.observed_final_loss - self.interval_90[1], self.observed_final_loss - self.interval_90[0]


@dataclass(frozen=True, slots=True)
class SeedEnds:
    """The last losses of one seed's two trainings; NaN where that training broke."""

    seed: int
    executed: float
    fixed: float


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A model (`factory`) trained for `updates` under the executed and under the fixed schedule, seed by seed.

    `gain` is the mean of executed less fixed, not finite where a training broke; `gain_95` is None there, and for a
    single seed. `direction` is the fix's. `steps` (M,) are updates done, `executed` and `fixed` (M,) the mean losses
    there over the seeds that did not break; empty where all did.
    """

    factory: str
    updates: int
    seeds: tuple[SeedEnds, ...]
    gain: float
    gain_95: tuple[float, float] | None
    direction: Literal["lower", "higher", "undecided"]
    steps: FloatArray
    executed: FloatArray
    fixed: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Diagnosis:
    """One run, from files to verdict. `findings` holds suppressed ones too (see Finding.suppressed_by).

    `remedy` is the one that was re-simulated: the first active finding's that has a schedule. `left_out` says which
    stations were skipped and how to get them ("torch replay: pip install 'lrdoctor[sim]'"). `trained` is what
    `lrdoctor replay` found.
    """

    run: Run
    trajectory: Trajectory
    identification: Identification
    findings: tuple[Finding, ...]
    verdict: Verdict
    remedy: Remedy | None = None
    replay: TorchReplay | None = None
    counterfactual: Counterfactual = Counterfactual("not-needed")
    left_out: tuple[str, ...] = ()
    trained: Trained | None = None

    @property
    def active(self) -> tuple[Finding, ...]:
        """The findings no other finding explains."""
        return tuple(finding for finding in self.findings if finding.suppressed_by is None)

    def _repr_html_(self) -> str:
        """How notebooks show it."""
        return lrdoctor.to_html(self)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A path that was looked at and not audited, with the reason."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """Everything one `lrdoctor audit` found, sorted by path."""

    diagnoses: tuple[Diagnosis, ...]
    skipped: tuple[Skipped, ...]
    version: str

    def _repr_html_(self) -> str:
        """How notebooks show it."""
        return lrdoctor.to_html(self)
