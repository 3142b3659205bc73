"""The peak learning rate lies above what the range test beside it found.

## What it does
Compares the peak of a run with a learning-rate range test of the same training that was audited with it: a sweep whose
loss falls, is lowest at some learning rate, and rises or breaks after it. It reports a peak above the highest learning
rate at which the loss was not yet clearly (by three standard errors of its noise) above its lowest.

## Why is this bad?
Where the loss of a range test is lowest the learning rate is already as high as the model bears: beyond it the updates
undo more than they gain. The peak to train with lies below, by a factor of three to ten. A schedule with a warmup may
bear somewhat more than a cold sweep shows, so this is a warning and no proof.

## How to fix it
Take a third of the learning rate of the lowest loss as peak, or the learning rate at which the loss fell fastest. A new
batch size, optimizer or model needs a new range test.

Not reported: range tests in another folder, of another loss, another first loss, another optimizer (or one that nothing
names) or another batch size, and tests that were stopped before the loss came back.

## Options
- `factor`: accepted peak, as a multiple of that learning rate.

## References
- Smith 2017, "Cyclical learning rates for training neural networks", section 3.3
- Smith 2018, "A disciplined approach to neural network hyper-parameters: part 1", section 4.1
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lrdoctor import (
    Case,
    CosineAnnealingLR,
    Finding,
    Fit,
    RangeTest,
    Remedy,
    Sibling,
    Trajectory,
    Warmup,
    contrast,
    rule,
    scaled,
    synth,
)

SAFE = 1.0 / 3.0
"""Part of the learning rate of the lowest loss that is proposed as peak (Smith 2018 takes a third to a tenth)."""

NOISY = 3.0
"""Standard errors by which the first losses may differ (chosen by us)."""

TEST = synth.run(
    RangeTest(1e-4, 10.0, num_iter=200), steps=200, optimizer="SGD", spikes=(synth.Spike(160, 6.0),), path="synth/test"
)
COSINE = CosineAnnealingLR(2.0, T_max=950)


def _run(peak: float, **settings: object) -> synth.RunSpec:
    settings = {"steps": 1000, "optimizer": "SGD", **settings}
    return synth.run(Warmup(replace(COSINE, lr=peak), 50), **settings)  # type: ignore[arg-type]  # keywords of synth.run


CASES = (
    Case("2.0, where the loss of the test is lowest at 0.79", _run(2.0), fires=True, siblings=(TEST,)),
    Case("1.2", _run(1.2), fires=True, siblings=(TEST,)),
    Case("0.78", _run(0.78), siblings=(TEST,)),
    Case("0.3", _run(0.3), siblings=(TEST,)),
    Case("a test of another optimizer", _run(2.0, optimizer="AdamW"), siblings=(TEST,)),
    Case("a test of another training", _run(2.0, loss=synth.Loss(floor=0.1, fall=0.5)), siblings=(TEST,)),
    Case("a test whose loss never came back", _run(2.0), siblings=(replace(TEST, spikes=()),)),
    Case("no test", _run(2.0), siblings=(_run(1.0),)),
)


def exceeded_test(own: Sibling, others: Sequence[Sibling], *, factor: float = 1.0) -> tuple[Sibling, ...]:
    """The first range test of the same training whose limit the run's peak exceeds."""
    for test in others:
        limit = test.range_limit
        if limit is not None and own.peak_lr and own.peak_lr > factor * limit and _same_training(own, test):
            return (test,)
    return ()


def _place_and_optimizer(run: Sibling) -> tuple[str, str] | None:
    """A test is of the same training where it lies in the same folder and has the same optimizer."""
    return None if run.optimizer is None else (run.folder, run.optimizer)


@rule("LR505", compares=exceeded_test, within=_place_and_optimizer)
def peak_above_range_test(
    own: Sibling, trajectory: Trajectory, fit: Fit, siblings: tuple[Sibling, ...], *, factor: float = 1.0
) -> Iterator[Finding]:
    if not fit.sure or fit.family == "RangeTest":
        return
    for test in exceeded_test(own, siblings, factor=factor):
        if test.range_limit is not None:
            yield _finding(trajectory, fit, test, fit.peak_lr, test.range_limit)


def _same_training(own: Sibling, test: Sibling) -> bool:
    """The same loss from the same start, and nothing known to differ; a loss alone does not tell.

    Whatever sorts into ten classes starts at 2.3: hence `_place_and_optimizer`.
    """
    other_batch = own.batch_size is not None and test.batch_size is not None and own.batch_size != test.batch_size
    return own.started_as(test, errors=NOISY) and not other_batch


def _finding(trajectory: Trajectory, fit: Fit, test: Sibling, peak: float, limit: float) -> Finding:
    schedule = scaled(fit.whole, SAFE * limit / peak)
    seen = contrast(trajectory, fit.whole, schedule)
    return Finding(
        measured=(
            f"The peak learning rate {peak:.3g} is {peak / limit:.2g} times {limit:.3g}, the highest at which the loss "
            f"of the range test {test.path} was at its lowest, as far as its noise tells."
        ),
        expected=(
            f"A peak of about a third of that, {SAFE * limit:.3g}: {seen.expected:.3g} at step {seen.worst_step:.0f}, "
            f"where {seen.observed:.3g} was used (different from step {seen.first_step:.0f} on)."
        ),
        consequence="Beyond the lowest loss of the test the updates undo more than they gain.",
        first_step=seen.first_step,
        last_step=fit.last_step,
        evidence={
            "peak_lr": peak,
            "range_test": test.path,
            "range_test_limit": limit,
            "proposed_peak_lr": SAFE * limit,
            **seen.evidence(),
        },
        remedy=Remedy(f"Lower the peak to {SAFE * limit:.3g}.", schedule),
    )
