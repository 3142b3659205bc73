"""How far the loss estimate is off on models it has not seen: every model of the public curves left out in turn.

    python scripts/accuracy_sim.py

The library is refitted without the model. Each of its runs is then taken as the audited one, cut at the last loss of
another run of the same model, and the loss of that other run is predicted from it: the same updates, another schedule.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from fit_library import build
from public_curves import PublicCurve, load_curves

from lrdoctor.model.arrays import ints
from lrdoctor.model.trajectory import Curve, Trajectory
from lrdoctor.simulate import gate
from lrdoctor.simulate.fit import Observed, Posterior
from lrdoctor.simulate.grid import compress
from lrdoctor.simulate.library import Library
from lrdoctor.simulate.losses import RunLosses, losses_of
from lrdoctor.simulate.predict import fit_both, predict

SAME = 1e-3  # schedules closer than this in lr / peak everywhere are replicates, not another schedule
CLEAR_GAIN = 0.03  # nats, from which on a relative error of the gain is taken
SIGN_GAIN = 0.01


@dataclass(frozen=True, slots=True)
class Result:
    """One prediction, in nats. `refused` where the gate would not have let it pass; then nothing else is counted."""

    model: str
    task: str
    observed: float
    truth: float
    estimate: float
    half_width: float
    prior_share: float
    refused: bool

    @property
    def error(self) -> float:
        return abs(self.estimate - self.truth)

    @property
    def covered(self) -> bool:
        return self.error <= self.half_width

    @property
    def gain(self) -> float:
        return self.observed - self.truth

    @property
    def gain_error(self) -> float:
        return self.error / abs(self.gain)

    @property
    def sign_right(self) -> bool:
        return (self.observed - self.estimate) * self.gain > 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="only these models (default: all)")
    chosen = parser.parse_args().model
    began = perf_counter()
    curves = load_curves()
    results = []
    for model in sorted({curve.model for curve in curves}):
        if chosen is None or model in chosen:
            library = build([curve for curve in curves if curve.model != model])
            results += list(judge([curve for curve in curves if curve.model == model], library))
    refused = sum(result.refused for result in results)
    passed = [result for result in results if not result.refused]
    print_table("task", passed, lambda result: result.task)
    print_table("model left out", passed, lambda result: result.model)
    print(f"\n{len(passed)} predictions, {refused} refused by the fit test; {perf_counter() - began:.0f} s")


def judge(curves: Sequence[PublicCurve], library: Library) -> Iterator[Result]:
    """Every pair (audited run, run predicted from it) of one model, from a library that does not know the model."""
    for source in curves:
        fitted: dict[int, tuple[RunLosses, Observed, tuple[Posterior, ...]] | None] = {}
        for target in curves:
            end = int(target.n[-1])
            if end > int(source.n[-1]) or _same(source, target, end):
                continue
            if end not in fitted:
                fitted[end] = _fit(source, end, library)
            found = fitted[end]
            if found is not None:
                yield _predicted(source, target, *found, library)


def _same(source: PublicCurve, target: PublicCurve, end: int) -> bool:
    ratio = target.peak_lr / source.peak_lr
    return bool(np.max(np.abs(source.u[:end] - ratio * target.u[:end])) < SAME)


def _fit(source: PublicCurve, end: int, library: Library) -> tuple[RunLosses, Observed, tuple[Posterior, ...]] | None:
    """The audited run up to update `end`, as the estimate sees it; None where too few losses are left to fit."""
    kept = source.n <= end
    n, loss = source.n[kept], source.loss[kept]
    curve = Curve("loss", "eval-loss", n - 1.0, loss, ints(np.zeros(len(n))))
    trajectory = Trajectory("", (), "update", end, (), curves=(curve,))
    first = gate.first_update(source.warmup)
    losses = losses_of(trajectory, first)
    if losses is None or gate.refuse_losses(losses, trajectory, first):
        return None
    observed = Observed(compress(source.u[:end], losses.n), losses.loss, losses.sigma)
    return losses, observed, fit_both(observed, source.peak_lr, library)


def _predicted(
    source: PublicCurve,
    target: PublicCurve,
    losses: RunLosses,
    observed: Observed,
    posteriors: tuple[Posterior, ...],
    library: Library,
) -> Result:
    ratio = target.peak_lr / source.peak_lr
    grid = compress(target.u * ratio, target.n[-1:])
    prediction = predict(posteriors, observed, grid, library, peak_ratio=ratio)
    return Result(
        model=source.model,
        task=_task(source, int(losses.n[-1]), ratio),
        observed=float(losses.loss[-1]),
        truth=float(target.loss[-1]),
        estimate=float(prediction.loss[-1]),
        half_width=float(prediction.high[-1] - prediction.loss[-1]),
        prior_share=prediction.prior_share,
        refused=gate.refuse_fit(prediction.residual_rms) is not None,
    )


def _task(source: PublicCurve, end: int, ratio: float) -> str:
    if ratio != 1.0:
        return "to another peak lr"
    settled = source.u[source.warmup : end]
    return "constant to decayed" if float(settled.min()) > 0.99 else "decayed to another"


def print_table(title: str, results: Sequence[Result], key: Callable[[Result], str]) -> None:
    """One row for each value of `key` and one for all: errors, interval and gain."""
    rows = [(name, [result for result in results if key(result) == name]) for name in sorted({*map(key, results)})]
    print(f"\n{title:22s}     n  |error| median  90 %   covered  half-width  gain off by (median, 90 %)  sign  prior")
    for name, chosen in [*rows, ("all", list(results))]:
        error = np.array([result.error for result in chosen])
        gains = np.array([result.gain_error for result in chosen if abs(result.gain) > CLEAR_GAIN])
        signs = [result.sign_right for result in chosen if abs(result.gain) > SIGN_GAIN]
        share = np.mean([result.prior_share for result in chosen])
        gain = f"{np.median(gains):9.0%} {np.quantile(gains, 0.9):9.0%}" if len(gains) else " " * 15 + "none"
        print(
            f"{name:22s} {len(chosen):5d}  {np.median(error):14.4f} {np.quantile(error, 0.9):7.4f}"
            f" {np.mean([result.covered for result in chosen]):7.0%}"
            f" {np.median([result.half_width for result in chosen]):11.4f}  {gain:>26s}"
            f" {np.mean(signs) if signs else float('nan'):6.0%} {share:6.0%}"
        )


if __name__ == "__main__":
    main()
