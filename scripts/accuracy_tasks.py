"""What the loss estimate is judged by: every prediction of one public run from others, as `lrdoctor` would make it.

The library never knows the model it is judged on: whole models are left out, not single runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from public_curves import PublicCurve

from lrdoctor.model.arrays import FloatArray, ints
from lrdoctor.model.trajectory import Curve, Trajectory
from lrdoctor.simulate import gate
from lrdoctor.simulate.fit import SIGMA, Observed, fit, thin
from lrdoctor.simulate.grid import compress
from lrdoctor.simulate.law import F7, MOMENTUM, MULTI_POWER, Law
from lrdoctor.simulate.library import Library
from lrdoctor.simulate.losses import RunLosses, losses_of
from lrdoctor.simulate.pool import Pool, fit_both
from lrdoctor.simulate.predict import Prediction, predict

BASELINES = (MULTI_POWER, MOMENTUM)
CONSTANT, DECAYED, PEAK = "constant to decayed", "decayed to another", "to another peak lr"
SAME = 1e-3  # schedules closer than this in lr / peak everywhere are replicates, not another schedule
FITTED = ("constant_24000", "cosine_24000", "wsdcon_9")  # the three runs of the Multi-Power Law's protocol


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One prediction of a last loss, in nats. `prediction` is None for a baseline, which has no interval."""

    law: str
    model: str
    task: str
    observed: float
    truth: float
    estimate: float
    prediction: Prediction | None = None

    @property
    def error(self) -> float:
        return abs(self.estimate - self.truth)

    @property
    def gain(self) -> float:
        return self.observed - self.truth

    @property
    def gain_error(self) -> float:
        return self.error / abs(self.gain)

    @property
    def sign_right(self) -> bool:
        return (self.observed - self.estimate) * self.gain > 0.0

    @property
    def refused(self) -> bool:
        """Whether no number would have been given."""
        return self.prediction is not None and self.prediction.residual_rms > gate.MAX_RESIDUAL

    def half_width(self, level: float = 0.9) -> float:
        return float("nan") if self.prediction is None else float(self.prediction.half_width(level)[-1])

    def covered(self, level: float = 0.9) -> bool:
        return self.error <= self.half_width(level)


@dataclass(frozen=True, slots=True, eq=False)
class Audited:
    """A run cut at update `end`, as the estimate sees it, with its fits: F7's two posteriors, one mode a baseline."""

    curve: PublicCurve
    end: int
    losses: RunLosses
    observed: Observed
    pool: Pool
    baselines: tuple[FloatArray, ...]


def judge(curves: Sequence[PublicCurve], library: Library) -> Iterator[Result]:
    """Every pair (audited run, run predicted from it) of one model, by all laws."""
    for source, end, targets in _pairs(curves):
        audited = _audit(source, end, source.n, source.loss, "eval-loss", library)
        for target in targets if audited else ():
            yield from _predicted(audited, target, library)


def judge_training_loss(curves: Sequence[PublicCurve], library: Library, every: int) -> Iterator[Result]:
    """The same from single batches' training losses alone, for runs at the same peak; truth moved by train - val."""
    for source, end, targets in list(_pairs(curves))[::every]:
        if not len(source.train_n):
            continue
        audited = _audit(source, end, source.train_n, source.train_loss, "train-loss", library, baselines=False)
        at = source.train_n[source.train_n <= end][-200:]
        if not len(at):
            continue
        gap = float(np.median(source.train_loss[source.train_n <= end][-200:] - np.interp(at, source.n, source.loss)))
        for target in targets if audited else ():
            if target.peak_lr == source.peak_lr:
                yield next(_predicted(audited, target, library, shift=gap))


def judge_cut(curves: Sequence[PublicCurve], library: Library, part: float, every: int) -> Iterator[Result]:
    """The same from a log that holds only the first `part` of the updates, to the end of the whole run."""
    for source, end, targets in list(_pairs(curves))[::every]:
        audited = _audit(source, int(part * end), source.n, source.loss, "eval-loss", library, baselines=False)
        for target in targets if audited else ():
            if target.peak_lr == source.peak_lr:
                yield next(_predicted(audited, target, library))


def _pairs(curves: Sequence[PublicCurve]) -> Iterator[tuple[PublicCurve, int, list[PublicCurve]]]:
    """(audited run, the update it is cut at, runs that end there under another schedule)."""
    for source in curves:
        ends = sorted({int(target.n[-1]) for target in curves if target.n[-1] <= source.n[-1]})
        for end in ends:
            yield source, end, [one for one in curves if int(one.n[-1]) == end and not _same(source, one, end)]


def _same(source: PublicCurve, target: PublicCurve, end: int) -> bool:
    ratio = target.peak_lr / source.peak_lr
    return bool(np.max(np.abs(source.u[:end] - ratio * target.u[:end])) < SAME)


def _audit(
    source: PublicCurve,
    end: int,
    n: FloatArray,
    loss: FloatArray,
    role: str,
    library: Library,
    *,
    baselines: bool = True,
) -> Audited | None:
    """None where the gate finds too few losses, or none it may speak of."""
    kept = n <= end
    curve = Curve("loss", role, n[kept] - 1.0, loss[kept], ints(np.zeros(int(kept.sum()))))
    trajectory = Trajectory("", (), "update", end, (), curves=(curve,))
    first = gate.first_update(source.warmup)
    losses = losses_of(trajectory, first)
    if losses is None or gate.refuse_losses(losses, end, first, library):
        return None
    observed = Observed(compress(source.u[:end], losses.n), losses.loss, losses.sigma)
    rivals = tuple(fit([observed], None, law).mode for law in BASELINES) if baselines else ()
    return Audited(source, end, losses, observed, fit_both([observed], source.peak_lr, library), rivals)


def _predicted(audited: Audited, target: PublicCurve, library: Library, shift: float = 0.0) -> Iterator[Result]:
    source = audited.curve
    ratio = target.peak_lr / source.peak_lr
    grid = compress(target.u * ratio, target.n[-1:])
    prediction = predict(audited.pool, audited.observed, grid, library, peak_ratio=ratio)
    known = source.model, _task(source, audited.end, ratio), _last(audited, target), float(target.loss[-1]) + shift
    yield Result(F7.name, *known, float(prediction.loss[-1]), prediction)
    for law, mode in zip(BASELINES, audited.baselines, strict=False):
        yield Result(law.name, *known, float(law.evaluate(mode, grid)[0][-1]))


def _last(audited: Audited, target: PublicCurve) -> float:
    """The audited run's own loss at the end of the target."""
    end = target.n[-1]
    if audited.losses.role == "train-loss" or audited.losses.n[-1] >= end:
        return float(audited.losses.loss[-1])
    return float(np.interp(end, audited.curve.n, audited.curve.loss))


def _task(source: PublicCurve, end: int, ratio: float) -> str:
    if ratio != 1.0:
        return PEAK
    settled = source.u[source.warmup : end]
    return CONSTANT if float(settled.min()) > 0.99 else DECAYED


@dataclass(frozen=True, slots=True)
class Protocol:
    """Three runs of a model fitted jointly, its six others predicted: means over the six.

    `worst` is the largest relative error of a run; `worst_point` that of all six.
    """

    law: str
    model: str
    r2: float
    rmse: float
    worst: float
    worst_point: float


def judge_protocol(curves: Sequence[PublicCurve], library: Library) -> Iterator[Protocol]:
    """The Multi-Power Law's protocol, for a model of its public curves; the worst error is relative, as it is there."""
    fitted = [curve for curve in curves if any(name in curve.file for name in FITTED)]
    others = [curve for curve in curves if curve not in fitted]
    if len(fitted) != len(FITTED):
        return
    observed = [_whole(curve) for curve in fitted]
    peak = fitted[0].peak_lr
    yield _protocol(F7, fit_both(observed, peak, library), others)
    for law in BASELINES:
        yield _protocol(law, Pool((fit(observed, None, law),), (1.0,)), others)


def _whole(curve: PublicCurve) -> Observed:
    n, loss = _after_transient(curve)
    chosen = thin(n)
    return Observed(compress(curve.u, n[chosen]), loss[chosen], np.full(len(chosen), SIGMA))


def _after_transient(curve: PublicCurve) -> tuple[FloatArray, FloatArray]:
    keep = curve.n >= gate.first_update(curve.warmup)
    return curve.n[keep], curve.loss[keep]


def _protocol(law: Law, pool: Pool, others: Sequence[PublicCurve]) -> Protocol:
    r2, rmse, worst = [], [], []
    for curve in others:
        n, loss = _after_transient(curve)
        grid = compress(curve.u, n)
        off = pool.mean(lambda posterior, grid=grid: law.evaluate(posterior.mode, grid)[0]) - loss  # type: ignore[misc]
        r2.append(1.0 - float(np.sum(off**2) / np.sum((loss - loss.mean()) ** 2)))
        rmse.append(float(np.sqrt(np.mean(off**2))))
        worst.append(float(np.max(np.abs(off) / loss)))
    return Protocol(
        law.name, others[0].model, float(np.mean(r2)), float(np.mean(rmse)), float(np.mean(worst)), max(worst)
    )
