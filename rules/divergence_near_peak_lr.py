"""The loss broke down when the learning rate came near its peak, and did not recover.

## What it does
Looks for the step from which on the training loss is not finite, or lies far above its lowest value to the end of the
log. It reports it if the learning rate was then rising through the upper half of its warmup, or had just reached its
top.

## Why is this bad?
Above a certain learning rate each step overshoots along the sharpest direction of the loss, and training diverges. That
it broke down there, and not before, says that the peak is above what this model can take at this point.

## How to fix it
Lower the peak to 0.3 to 0.5 of the learning rate at which it broke down. Or make it bearable: a warmup two to four
times as long, clipping gradients at norm 1, beta2 = 0.95 for Adam. An LR range test finds the limit in a few hundred
updates.

Not reported: range tests, single outliers, bumps that recover, a loss that a warm restart has lifted to what it was at
this learning rate before, a loss that rises slowly (overfitting, reinforcement
learning, adversarial training), breakdowns long after the peak or at a low learning rate, and evaluation losses.

## Options
- `share`: the learning rate must be at least this fraction of the peak.
- `rise`: how far above its lowest value the loss must stay, as a fraction of that value.
- `noise`: and how many times its scatter (median absolute deviation).
- `lasting`: the breakdown must last for at least this fraction of the log.

## References
- Cohen et al. 2021, "Gradient descent on neural networks typically occurs at the edge of stability"
- Gilmer et al. 2021, "A loss curvature perspective on training instability in deep learning": warmup lowers curvature
- Smith 2015, "Cyclical learning rates", section 3.3: the LR range test
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lrdoctor import (
    Case,
    Constant,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    Finding,
    Fit,
    Identification,
    LinearLR,
    LossCurve,
    OneCycleLR,
    Remedy,
    Schedule,
    Trajectory,
    Warmup,
    rule,
    scaled,
    synth,
)

Array = npt.NDArray[np.float64]

SAFE = 0.4
"""The proposed peak, as a fraction of the learning rate at the breakdown: the middle of 0.3 to 0.5 (chosen by us)."""
TOP = 0.98
"""From this fraction of the peak on the learning rate is at its top (chosen by us)."""
AFTER = 0.3
"""A breakdown is laid to the peak until this fraction of the warmup's length after it (chosen by us)."""
AFTER_SHARE = 0.1
"""Or this share of the training (chosen by us)."""
MIN_POINTS = 20
"""A shorter loss curve shows no breakdown (chosen by us)."""
SUDDEN = 0.05
"""It must come about within this share of the log; what rises slowly has another cause (chosen by us)."""
EARLY = 0.2
"""Of the rise of a breakdown so much may have come about before it (chosen by us)."""
EXPLODED, EXPLODES_FROM = 1000.0, 0.1
"""Times the first loss, if that is not next to nothing, as losses of values in reinforcement learning are (by us)."""
NEARLY_ALL = 0.9
"""Quantile of the losses before that the median of those after must exceed (chosen by us)."""
LOW, HIGH = 0.5, 0.9
"""Of the learning rate at the breakdown: between two times above HIGH it was below LOW (chosen by us)."""
SMOOTHED = 5  # points of the running median in which single outliers vanish
AT_ONCE = 2**16  # points whose windows are in memory together
SMOOTHED_MOST = 25  # and of a long log's, with a fifth of the noise of a point

WARM = Warmup(CosineAnnealingLR(0.01, T_max=800), 200, 0.01)


def _breaks(schedule: Schedule, at: int, **settings: object) -> synth.RunSpec:
    settings = {"steps": 1000, "loss": synth.Loss(breaks_at=at), **settings}
    return synth.run(schedule, **settings)  # type: ignore[arg-type]  # keywords of synth.run


CALM = _breaks(WARM, 0, loss=synth.Loss())
CASES = (
    Case("not finite from 80 % of the warmup on", _breaks(WARM, 160), fires=True, cured=CALM),
    Case("three times its lowest value, just after the warmup",
         _breaks(WARM, 0, loss=synth.Loss(), spikes=(synth.Spike(230, 9.0),)), fires=True, cured=CALM),
    Case("OneCycleLR, at its top", _breaks(OneCycleLR(0.1, total_steps=1000), 300), fires=True, cured=CALM),
    Case("from the first updates on, without a warmup",
         _breaks(CosineAnnealingLR(0.3, T_max=1000), 0, loss=synth.Loss(), spikes=(synth.Spike(12, 1e5),)),
         fires=True, cured=CALM),
    Case("the loss is calm", CALM),
    Case("a bump that recovers",
         _breaks(WARM, 0, loss=synth.Loss(), spikes=(synth.Spike(190, 9.0, lasts=60),))),
    Case("it breaks down half way down the cosine", _breaks(WARM, 600)),
    Case("at a tenth of the peak", _breaks(WARM, 20)),
    Case("at 49 % of the peak", _breaks(WARM, 96)),
    Case("at 51 %", _breaks(WARM, 102), fires=True, cured=CALM),
    Case("a loss as noisy as it is high, whose last values are above its lowest",
         _breaks(Warmup(CosineAnnealingLR(0.01, T_max=800), 190, 0.01), 0, steps=200,
                 loss=synth.Loss(floor=1.5, fall=1.0, noise=0.6))),
    Case("a warm restart lifts the loss to half of what the first cycle began with",
         _breaks(CosineAnnealingWarmRestarts(0.05, 400, 2), 0, loss=synth.Loss(floor=0.2, fall=3.0),
                 spikes=(synth.Spike(402, 1.2),), steps=700)),
    Case("and to more than that", _breaks(CosineAnnealingWarmRestarts(0.05, 400, 2), 0,
         loss=synth.Loss(floor=0.2, fall=3.0), spikes=(synth.Spike(402, 9.0),), steps=700), fires=True, cured=CALM),
    Case("a constant learning rate, in the middle of the training", _breaks(Constant(0.01), 500)),
    Case("a range test", _breaks(ExponentialLR(1e-5, 1.01), 700)),
    Case("one value that is no number",
         _breaks(WARM, 0, loss=synth.Loss(), spikes=(synth.Spike(200, float("nan"), lasts=1),))),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Breakdown:
    """From `step` on the loss is `after` (NaN: not finite) where its lowest was `before`; `lr` was in force."""

    step: float
    before: float
    after: float
    lr: float
    peak: float


@rule("LR504")
def divergence_near_peak_lr(
    trajectory: Trajectory,
    identification: Identification,
    loss: LossCurve,
    *,
    share: float = 0.5,
    rise: float = 0.5,
    noise: float = 3.0,
    lasting: float = 0.02,
) -> Iterator[Finding]:
    lead = identification.lead
    if lead is None or loss.role != "train-loss" or trajectory.step_unit == "env-step" or len(loss) < MIN_POINTS:
        return
    at = _breaks_at(loss.values, rise, noise, lasting)
    if at is None:
        return
    step = float(loss.steps[at])
    fit = next((fit for fit in reversed(lead.fits) if fit.first_step <= step), lead.fits[0])
    if _range_test(fit, trajectory):
        return
    found = _breakdown(loss, at, trajectory, fit)
    if found is None or _is_usual_there(found, loss, trajectory):
        return
    if found.lr >= share * found.peak and _just_arrived(found, trajectory, fit):
        yield _finding(found, trajectory, fit)


def _range_test(fit: Fit, trajectory: Trajectory) -> bool:
    """Whether the learning rate rises to the end of the log, and nothing says that more was to come."""
    line = fit.schedule
    rising = isinstance(line, LinearLR) and line.end_factor > line.start_factor
    growing = isinstance(line, ExponentialLR) and line.gamma > 1.0
    return (fit.family == "RangeTest" or rising or growing) and trajectory.complete is not False


def _breaks_at(values: Array, rise: float, noise: float, lasting: float) -> int | None:
    """Index of the first point after which the loss never comes near its lowest value again; None without one."""
    width = max(SMOOTHED, int(SUDDEN * len(values)))
    smooth = _running_median(values, min(width | 1, SMOOTHED_MOST))
    finite = np.isfinite(smooth)
    if (exploded := _explodes_at(values)) is not None:
        return exploded
    if not finite[:SMOOTHED].all():
        return None
    low = np.minimum.accumulate(np.where(finite, smooth, np.inf))
    first = smooth[finite][: len(smooth) // 2]
    scatter = float(np.median(np.abs(np.diff(first)))) if len(first) > 1 else 0.0
    high = ~finite | (smooth > low + np.maximum(noise * scatter, rise * np.abs(low)))
    if not high[-1]:
        return None
    calm = np.flatnonzero(~high)
    start = int(calm[-1]) + 1 if len(calm) else 0
    if len(values) - start < max(lasting * len(values), SMOOTHED) or start < SMOOTHED:
        return None
    if not finite[start] or (_sudden(values, start, width) and _above_noise(values, start)):
        return start
    return None


def _explodes_at(values: Array) -> int | None:
    """Where a loss that was never low left its beginning behind by orders of magnitude, and stayed there."""
    begin = float(values[0])
    if not begin >= EXPLODES_FROM:
        return None
    gone = ~(np.abs(values) < EXPLODED * begin)  # not finite ones too
    at = int(np.argmax(gone)) if gone.any() else 0
    tenth = max(len(values) // 10, SMOOTHED)
    return at if 0 < at <= tenth and gone[at:].mean() > NEARLY_ALL else None


def _running_median(values: Array, width: int) -> Array:
    """(T,) the median of each point and its neighbours, `width` in all; NaN where most of them are not finite."""
    padded = np.pad(values, width // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    middles = []
    for some in np.array_split(windows, len(windows) // AT_ONCE + 1):
        ordered = np.sort(np.where(np.isfinite(some), some, np.inf), axis=1)
        middles.append(ordered[:, width // 2].copy())
    middle = np.concatenate(middles)
    return np.where(np.isfinite(middle), middle, np.nan)


def _sudden(values: Array, start: int, width: int) -> bool:
    """Whether the loss was still calm shortly before: most of the rise comes about between two windows side by side.

    Calm is the lowest of the windows before. Medians of whole windows, for the lowest of many noisy points is too low.
    """
    known = np.where(np.isfinite(values), values, np.inf)
    count = max(start // width, 1)
    before = np.median(known[max(start - count * width, 0) : start].reshape(count, -1), axis=1)
    ramp = min(width, len(values) - start) // 2  # the running median leaves the calm half a window early
    after = float(np.median(known[start + ramp : start + ramp + width]))
    return bool(before[-1] - before.min() <= EARLY * (after - before.min()))


def _above_noise(values: Array, start: int) -> bool:
    """Whether half of what follows is higher than nearly all of what came just before."""
    width = max(5 * SMOOTHED, len(values) // 5)
    before, after = values[max(start - width, 0) : start], values[start:]
    usual = float(np.quantile(before[np.isfinite(before)], NEARLY_ALL)) if np.isfinite(before).any() else np.inf
    return float(np.median(np.where(np.isfinite(after), after, np.inf))) > usual


def _breakdown(loss: LossCurve, at: int, trajectory: Trajectory, fit: Fit) -> Breakdown | None:
    """The breakdown with the learning rate in force and the peak, planned or seen."""
    group, step = trajectory.lead, float(loss.steps[at])
    if group is None:
        return None
    known = np.isfinite(group.lr)
    index = int(np.searchsorted(group.steps[known], step, side="right")) - 1
    if index < 0:
        return None
    planned = fit.peak_lr if fit.sure and fit.family != "RangeTest" else 0.0
    peak = max(trajectory.peak_lr, planned)
    earlier = loss.values[:at][np.isfinite(loss.values[:at])]
    later = loss.values[at:]
    after = float(np.median(later)) if np.isfinite(later).all() else float("nan")
    return Breakdown(step, float(earlier.min()), after, float(group.lr[known][index]), peak)


def _is_usual_there(found: Breakdown, loss: LossCurve, trajectory: Trajectory) -> bool:
    """Whether the loss is no higher than when the learning rate was as high in an earlier cycle."""
    group = trajectory.lead
    assert group is not None
    lr = np.interp(loss.steps, group.steps, group.lr)
    fallen = np.flatnonzero((loss.steps < found.step) & (lr < LOW * found.lr))
    if not len(fallen) or not np.isfinite(found.after):
        return False
    earlier = loss.values[: fallen[-1]][lr[: fallen[-1]] >= HIGH * found.lr]
    usual = earlier[np.isfinite(earlier)]
    return len(usual) >= SMOOTHED and found.after <= float(np.quantile(usual, NEARLY_ALL))


def _just_arrived(found: Breakdown, trajectory: Trajectory, fit: Fit) -> bool:
    """Whether the learning rate was rising to its top, or had arrived there not long ago."""
    group = trajectory.lead
    assert group is not None
    before = group.steps <= found.step
    at_top = group.lr[before] >= TOP * found.peak
    if not at_top.any():
        return bool(found.lr >= group.lr[before].max() * TOP)  # still on its way up
    arrivals = np.flatnonzero(at_top & ~np.concatenate([[False], at_top[:-1]]))
    arrived = float(group.steps[before][arrivals[-1]])
    length = trajectory.planned_steps or max(float(trajectory.steps), fit.horizon_steps or 0.0)
    return found.step - arrived <= max(AFTER * arrived, AFTER_SHARE * length)


def _finding(found: Breakdown, trajectory: Trajectory, fit: Fit) -> Finding:
    peak = SAFE * found.lr
    unit = "epoch" if trajectory.step_unit == "epoch" else "step"
    now = f"at {found.after:.4g}" if np.isfinite(found.after) else "not finite"
    schedule = scaled(fit.whole, peak / found.peak)
    return Finding(
        measured=(
            f"From {unit} {found.step:.0f} on the loss is {now}, at a learning rate of {found.lr:.4g}, "
            f"{found.lr / found.peak:.0%} of the peak {found.peak:.4g}."
        ),
        expected=f"It had come down to {found.before:.4g} and would stay near or below that.",
        consequence=f"The peak is too high for this model here; about {peak:.2g} ({SAFE} of where it broke) should do.",
        first_step=found.step,
        last_step=float(max(trajectory.steps - 1, found.step)),
        evidence={
            "breakdown_step": found.step,
            "lr_at_breakdown": found.lr,
            "peak_lr": found.peak,
            "lowest_loss_before": found.before,
            "loss_after": found.after if np.isfinite(found.after) else None,
            "suggested_peak_lr": peak,
        },
        remedy=Remedy(
            f"The same schedule with a peak of {peak:.2g}, and gradients clipped at norm 1.",
            schedule,
            f"scheduler = {schedule.torch_code()}  # with lr={peak:.2g}\n"
            "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # before optimizer.step()",
        ),
    )
