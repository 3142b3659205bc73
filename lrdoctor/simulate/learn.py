"""Entries of the library from runs: one joint fit of all runs of one model at one peak."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lrdoctor.errors import UsageError
from lrdoctor.model.arrays import FloatArray
from lrdoctor.simulate import gate
from lrdoctor.simulate.f7 import loss_and_jacobian
from lrdoctor.simulate.fit import SIGMA, fit
from lrdoctor.simulate.fitted import SAME_PEAK, Read, Usable, usable
from lrdoctor.simulate.grid import compress
from lrdoctor.simulate.library import Entry, Library
from lrdoctor.simulate.prior import vague

MOST_DOUBT = 0.05
"""Nats of standard deviation that the gain of a decay may have for its runs to count as showing one. A constant run
leaves .13, a cosine .03, a decay from a constant LR less than .01. What is added weighs by what its runs show."""

_DIGITS = 3  # of a peak, as it is written down


def entries_of(reads: Sequence[Read], library: Library, model: str | None = None) -> list[Entry]:
    """One entry a peak from the runs of one model. Raises `UsageError` with the reason where runs say too little."""
    runs = []
    for read in reads:
        found = usable(read, library)
        if isinstance(found, str):
            raise _cannot(read.run.path, found)
        runs.append(found)
    return [_entry(group, float(f"{group[0].peak:.{_DIGITS}g}"), model) for group in _by_peak(runs)]


def _by_peak(runs: Sequence[Usable]) -> list[list[Usable]]:
    """Runs whose peaks are the same to SAME_PEAK, each group with its highest first, by rising peak."""
    groups: list[list[Usable]] = []
    for run in sorted(runs, key=lambda run: -run.peak):
        if groups and run.peak >= groups[-1][0].peak / (1.0 + SAME_PEAK):
            groups[-1].append(run)
        else:
            groups.append([run])
    return groups[::-1]


def _entry(runs: Sequence[Usable], peak: float, model: str | None) -> Entry:
    paths = sorted(run.read.run.path for run in runs)
    observed = [run.observed(peak) for run in runs]
    posterior = fit(observed, vague())
    misfit = gate.refuse_fit(posterior.residual_rms * SIGMA, gate.MAX_RESIDUAL)
    if misfit:
        raise _cannot(", ".join(paths), misfit)
    longest = max(runs, key=lambda run: run.steps)
    gradient = _gain_of_a_decay(posterior.mode, longest.steps)
    doubt = float(np.sqrt(gradient @ posterior.covariance @ gradient))
    if doubt > MOST_DOUBT:
        raise _cannot(
            ", ".join(paths),
            f"they do not show how the loss falls when the lr decays (its gain is known to ±{doubt:.2f} only)",
            "add a run of the same model and peak whose lr decays, or a decay branch from a checkpoint",
        )
    named = model or next((str(run.read.run.declared("model")) for run in runs if run.read.run.declared("model")), None)
    if named is None:
        raise UsageError("The runs name no model.", where=", ".join(paths), hint="give its name with --model NAME")
    final = min(float(run.losses.loss[-1]) for run in runs)
    return Entry(named, peak, posterior.mode, posterior.covariance, final, len(runs), "; ".join(paths), "")


def _gain_of_a_decay(theta: FloatArray, steps: int) -> FloatArray:
    """(7,) gradient of the loss a decay over the last fifth gains against a constant lr."""
    flat = np.ones(steps)
    decayed = np.minimum(flat, np.linspace(steps, 0.0, steps) / (0.2 * steps))
    one, two = (loss_and_jacobian(theta, compress(u, [steps]))[1][-1] for u in (flat, decayed))
    return np.asarray(one - two)


def _cannot(where: str, why: str, hint: str | None = None) -> UsageError:
    return UsageError("These runs cannot be added to the library.", where=where, why=why, hint=hint)
