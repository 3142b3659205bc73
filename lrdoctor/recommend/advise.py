"""Facts and guide -> the recommendation: a schedule, its peak as a range, and why each part is as it is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lrdoctor.model.schedule import Schedule
from lrdoctor.recommend.facts import BETA2, Facts
from lrdoctor.recommend.guide import (
    GOYAL,
    HAGELE,
    HOFFMANN,
    MA_YARATS,
    MALLADI,
    SHALLUE,
    Guideline,
    Reason,
    guideline_for,
)
from lrdoctor.recommend.scaling import LARGEST_LINEAR, Range, scaled_to
from lrdoctor.schedules import CosineAnnealingLR, LinearLR, MultiStepLR, Warmup

LONGEST_WARMUP = 0.05
"""The share of the run a warmup may take by Adam's rule (chosen by us, as in LR501)."""
LONGEST_EPOCHS = 0.1
"""The same for a warmup of epochs."""
SMALL_BATCH = 1024
"""Below this SGD needs no warmup (Goyal et al. scale from 256; chosen by us, as in LR501)."""
START_FACTOR = 0.01
STEPS_AT = (0.62, 0.85)
"""Milestones as shares of the run: 16 and 22 of torchvision's 26 epochs."""
SAFE = (0.3, 0.5)
"""After a divergence near the peak: between these shares of it (chosen by us; see LR504)."""
ON_TIME = "plan the schedule for the updates that will be made: a cosine 25 % too long is measurably worse"
LARGE_BATCH_EPOCHS = 5.0
"""Goyal et al. 2017, section 2.2."""
OWN_SPREAD = 2.0
"""A peak that worked is good to about this factor either way, where nothing else is known (chosen by us)."""


@dataclass(frozen=True, slots=True)
class Advice:
    """`schedule` starts at `peak.start`, over optimizer updates; None where length or peak are not known.

    `warmup_steps` and `horizon_steps` are in updates; `missing` says what would have to be known, and how to give it.
    """

    facts: Facts
    about: str
    shape: str
    peak: Range | None
    warmup_steps: int | None
    horizon_steps: int | None
    batch_size: int | None
    floor: float
    schedule: Schedule | None
    reasons: tuple[Reason, ...]
    missing: tuple[str, ...]


def advise(facts: Facts, batch_size: int | None = None) -> Advice:
    """What to train with; `batch_size` asks for another batch than the run's, over the same number of examples."""
    guide = guideline_for(facts)
    batch = batch_size or facts.batch_size
    steps, length_reasons = _length(facts, batch)
    peak, peak_reasons = _peak(facts, guide, batch)
    warmup, warmup_reasons = _warmup(facts, guide, batch, steps)
    reasons = (*guide.reasons, *peak_reasons, *warmup_reasons, *length_reasons)
    return Advice(
        facts=replace(facts),
        about=guide.name,
        shape=guide.shape,
        peak=peak,
        warmup_steps=warmup,
        horizon_steps=steps,
        batch_size=batch,
        floor=guide.floor,
        schedule=_schedule(guide, peak, warmup, steps),
        reasons=reasons,
        missing=tuple(_missing(facts, peak, steps, batch_size)),
    )


def _length(facts: Facts, batch: int | None) -> tuple[int | None, tuple[Reason, ...]]:
    """As many updates as see the same examples."""
    if facts.steps is None:
        why = (
            "while the length is open, hold the learning rate after the warmup and end with a straight decay to 0 over "
            "the last 10 to 20 %, whenever that is"
        )
        return None, (Reason(why, HAGELE),)
    steps = facts.steps
    if batch and facts.batch_size and batch != facts.batch_size:
        steps = max(1, round(steps * facts.batch_size / batch))
        same = Reason(f"{steps} updates of {batch} see the examples that {facts.steps} of {facts.batch_size} did")
        return steps, (same, Reason(ON_TIME, HOFFMANN))
    return steps, (Reason(ON_TIME, HOFFMANN),)


def _peak(facts: Facts, guide: Guideline, batch: int | None) -> tuple[Range | None, tuple[Reason, ...]]:
    """The run's own peak where it has one, the recipe's otherwise; at the batch asked for."""
    known, at, reasons = _known_peak(facts, guide)
    if known is None:
        return None, ()
    if not batch or not at or batch == at:
        return known, tuple(reasons)
    found = scaled_to(known, facts.optimizer_kind, at, batch)
    source = {"sgd": GOYAL, "adam": MALLADI}.get(facts.optimizer_kind or "", SHALLUE)
    reasons += [Reason(found.why, f"{source}; {SHALLUE}" if source != SHALLUE else SHALLUE)]
    if found.saturated:
        reasons.append(Reason(f"beyond a batch of {LARGEST_LINEAR} proportional scaling was not shown to hold", GOYAL))
    return found.peak, tuple(reasons)


def _known_peak(facts: Facts, guide: Guideline) -> tuple[Range | None, int | None, list[Reason]]:
    """(the range, the batch it is for, why)."""
    own = facts.peak_lr
    if own is None:
        return guide.peak, guide.batch_size, []
    if facts.diverged:
        low, high = (share * own for share in SAFE)
        why = f"the loss broke near the peak of {own:.3g}: start at 0.3 to 0.5 of it"
        return Range(low, high, 0.5 * (low + high)), facts.batch_size, [Reason(why)]
    known = Range(own / OWN_SPREAD, own * OWN_SPREAD, own)
    why = f"the run's own peak is {own:.3g} (from {facts.peak_from}); a search around it spans a factor of 2 either way"
    doubts = [
        Reason(f"an audit finds {fault} in this run: how well its peak worked is in doubt") for fault in facts.faults
    ]
    return known, facts.batch_size, [Reason(why), *doubts, *_recipe_check(facts, guide, own)]


def _recipe_check(facts: Facts, guide: Guideline, own: float) -> Iterator[Reason]:
    """Where the run's own peak lies outside of what the recipe gives at its batch."""
    if guide.peak is None:
        return
    recipe = guide.peak
    if guide.batch_size and facts.batch_size:
        recipe = scaled_to(recipe, facts.optimizer_kind, guide.batch_size, facts.batch_size).peak
    if own > 1.5 * recipe.high or own < recipe.low / 1.5:
        side = "above" if own > recipe.high else "below"
        told = f"{recipe.low:.2g} to {recipe.high:.2g}" if recipe.low != recipe.high else f"{recipe.low:.2g}"
        yield Reason(f"it lies {side} what recipes for {guide.name} use at this batch: {told}")


def _warmup(
    facts: Facts, guide: Guideline, batch: int | None, steps: int | None
) -> tuple[int | None, tuple[Reason, ...]]:
    if guide.warmup_share is not None:
        return (None if steps is None else max(1, math.ceil(guide.warmup_share * steps))), ()
    if facts.optimizer_kind == "sgd" and batch is not None and batch < SMALL_BATCH:
        return 0, (Reason(f"SGD with fewer than {SMALL_BATCH} examples an update starts well without a warmup"),)
    large = facts.optimizer_kind == "sgd" and batch is not None and batch >= SMALL_BATCH
    epochs = guide.warmup_epochs or (LARGE_BATCH_EPOCHS if large else None)
    if epochs is not None and facts.steps_per_epoch:
        per_epoch = facts.steps_per_epoch * (facts.batch_size / batch if batch and facts.batch_size else 1.0)
        wanted = round(epochs * per_epoch)
        most = wanted if steps is None else math.ceil(LONGEST_EPOCHS * steps)
        cut = f", cut to {100 * LONGEST_EPOCHS:.0f} % of the run" if most < wanted else ""
        return min(wanted, most), (Reason(f"{epochs:g} epochs of linear warmup are {wanted} updates{cut}", GOYAL),)
    if facts.optimizer_kind == "adam":
        beta2 = facts.beta2 if facts.beta2 is not None and 0 < facts.beta2 < 1 else BETA2
        wanted = round(2.0 / (1.0 - beta2))
        most = wanted if steps is None else max(1, math.ceil(LONGEST_WARMUP * steps))
        why = f"2 / (1 - beta2) = {wanted} updates of linear warmup at beta2 = {beta2:g}"
        if most < wanted:
            why += f", cut to {100 * LONGEST_WARMUP:.0f} % of the run"
        return min(wanted, most), (Reason(why, MA_YARATS),)
    return None, ()


def _schedule(guide: Guideline, peak: Range | None, warmup: int | None, steps: int | None) -> Schedule | None:
    if peak is None or steps is None:
        return None
    ramp = warmup or 0
    rest = max(1, steps - ramp)
    main: Schedule
    if guide.shape == "linear":
        main = LinearLR(peak.start, rest, end_factor=guide.floor)
    elif guide.shape == "steps":
        main = MultiStepLR(peak.start, tuple(round(share * steps) - ramp for share in STEPS_AT))
    else:
        main = CosineAnnealingLR(peak.start, rest, guide.floor * peak.start)
    return Warmup(main, ramp, START_FACTOR) if ramp else main


def _missing(facts: Facts, peak: Range | None, steps: int | None, wanted: int | None) -> Iterator[str]:
    if facts.optimizer is None:
        yield "the optimizer is not known: --optimizer NAME"
    if facts.model_kind is None:
        yield "the kind of model is not known: --model NAME, such as gpt2, vit_base or resnet50"
    if facts.task is None:
        yield "whether it starts from scratch or from pretrained weights is not known: --task scratch|finetune|adapter"
    if steps is None:
        yield "the length of the run is not known: --steps N"
    if peak is None:
        yield "no peak learning rate is known, neither of the run nor of a recipe"
    if wanted and facts.batch_size is None and facts.peak_lr is not None:
        yield "the batch size of the run is not known, so its peak cannot be scaled to another"
