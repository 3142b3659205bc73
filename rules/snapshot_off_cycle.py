"""The checkpoints of a run with cycles were saved in the middle of cycles, at high learning rates.

## What it does
Works out at which part of its cycle each checkpoint was saved (warm restarts, CyclicLR). It notes two or more
checkpoints of which none was taken near the end of a cycle, though the run went through at least one.

## Why is this bad?
At the end of a cycle the learning rate has come down and the model stands at its best; the next restart shakes it up.
The models to keep, to compare or to average (snapshot ensembles, fast geometric ensembles) are those of the cycle ends.
A checkpoint from the middle of a cycle is good to resume from, and no more.

## How to fix it
Save at the ends of cycles besides: every `T_0` steps, with growing cycles at `T_0 * (m ** n - 1) / (m - 1)`, with
CyclicLR every `step_size_up + step_size_down`. Save before the restart: after the last update of the cycle.

Not reported: a single checkpoint, runs before their first cycle's end, and checkpoints in the last tenth of a cycle or
within a step or two after it.

## Options
- `position`: part of the cycle from which a checkpoint counts as taken at its end.

## References
- Huang et al. 2017, "Snapshot ensembles: train 1, get M for free"
- Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts"
"""

from __future__ import annotations

from collections.abc import Iterator

from lrdoctor import (
    Case,
    Checkpoint,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    Course,
    CyclicLR,
    Finding,
    Identification,
    Remedy,
    Trajectory,
    Warmup,
    course_of,
    rule,
    synth,
    updates_of,
)

JUST_AFTER = 0.02
"""A checkpoint this early in a cycle, or within a step of its start, is one of the end before (chosen by us)."""
LISTED = 6
"""So many cycle ends are named."""

RESTARTS = CosineAnnealingWarmRestarts(0.1, T_0=200)
GROWING = CosineAnnealingWarmRestarts(0.1, T_0=100, T_mult=2)
ENDS = synth.run(RESTARTS, steps=1000, checkpoints=(200, 400, 1000))
CASES = (
    Case("every 150 updates, in cycles of 200",
         synth.run(RESTARTS, steps=1000, checkpoints=(150, 300, 450, 900)), fires=True, cured=ENDS),
    Case("growing cycles", synth.run(GROWING, steps=700, checkpoints=(200, 400, 600)), fires=True, cured=ENDS),
    Case("behind a warmup",
         synth.run(Warmup(RESTARTS, 50), steps=850, checkpoints=(200, 400, 600)), fires=True, cured=ENDS),
    Case("seen from the checkpoints alone",
         synth.run(RESTARTS, steps=1000, log_lr=False, optimizer="Adam", checkpoints=(150, 300, 450)), fires=True,
         cured=ENDS),
    Case("at the ends of cycles", ENDS),
    Case("one of them is", synth.run(RESTARTS, steps=1000, checkpoints=(150, 300, 400))),
    Case("at 91 % of a cycle", synth.run(RESTARTS, steps=1000, checkpoints=(182, 382, 582))),
    Case("at 89 %", synth.run(RESTARTS, steps=1000, checkpoints=(178, 378, 578)), fires=True, cured=ENDS),
    Case("a single one", synth.run(RESTARTS, steps=1000, checkpoints=(150,))),
    Case("before the first end", synth.run(RESTARTS, steps=180, complete=None, checkpoints=(50, 100))),
    Case("no cycles", synth.run(CosineAnnealingLR(0.1, T_max=1000), steps=1000, checkpoints=(150, 300, 450))),
)  # fmt: skip


@rule("LR309")
def snapshot_off_cycle(
    trajectory: Trajectory,
    identification: Identification,
    checkpoints: tuple[Checkpoint, ...],
    *,
    position: float = 0.9,
) -> Iterator[Finding]:
    course = course_of(trajectory, identification, checkpoints)
    if course is None or not isinstance(course.main, CosineAnnealingWarmRestarts | CyclicLR):
        return
    ends = _ends(course, max(course.last_step + 1.0, float(trajectory.steps)))
    saved = [(point, updates) for point in checkpoints if (updates := updates_of(point, trajectory)) is not None]
    placed = [(point, updates, _position(course, updates)) for point, updates in saved]
    placed = [item for item in placed if item[2] is not None]
    if len(placed) < 2 or not ends or max(updates for _, updates in saved) < ends[0]:
        return
    if all(part is not None and part < position for _, _, part in placed):
        yield _finding(course, trajectory, ends, [(point, step, float(part or 0.0)) for point, step, part in placed])


def _position(course: Course, updates: float) -> float | None:
    """Which part of its cycle was over after so many updates: 1 at its end; None in the warmup."""
    made = (updates - course.begun) / course.per_tick - course.warmup
    if made < 1.0:
        return None
    current, length = _within(course, made - 1.0)
    current += 1.0
    just_after = current <= max(1.0, JUST_AFTER * length) and made > length
    return 1.0 if just_after else current / length


def _within(course: Course, tick: float) -> tuple[float, float]:
    """(ticks since the cycle began, its length)."""
    main = course.main
    if isinstance(main, CyclicLR):
        return tick % main.cycle_length, main.cycle_length
    assert isinstance(main, CosineAnnealingWarmRestarts)
    current, length = main.position([tick])
    return float(current[0]), float(length[0])


def _ends(course: Course, last: float) -> list[float]:
    """The updates after which cycles were over, up to `last`."""
    ends: list[float] = []
    tick = 0.0
    while len(ends) < 10_000:
        tick += _within(course, tick)[1]
        update = course.step_of(tick)
        if update > last:
            break
        ends.append(update)
    return ends


def _finding(
    course: Course, trajectory: Trajectory, ends: list[float], placed: list[tuple[Checkpoint, float, float]]
) -> Finding:
    point, updates, part = max(placed, key=lambda item: item[2])
    lr = float(course.whole.lr_at([updates - 1.0])[0])
    low = float(course.whole.lr_at([ends[-1] - course.per_tick])[0])
    named = ", ".join(f"{end:.0f}" for end in ends[-LISTED:])
    return Finding(
        measured=(
            f"None of {len(placed)} checkpoints was saved at the end of a cycle; the nearest, {point.path}, at "
            f"{part:.0%} of its cycle, at a learning rate of {lr:.3g}."
        ),
        expected=f"Cycles end after {named} updates, at {low:.3g}.",
        consequence="They are good to resume from; the models to keep or to average are those of the cycle ends.",
        first_step=min(step for _, step, _ in placed),
        last_step=max(step for _, step, _ in placed),
        evidence={
            "checkpoints": len(placed),
            "nearest_position": round(part, 4),
            "observed_lr": lr,
            "expected_lr": low,
            "cycles_ended": len(ends),
            "last_cycle_end": ends[-1],
        },
        remedy=Remedy(
            "Save at the ends of cycles too, before the restart.",
            None,
            f"CYCLE_ENDS = {{{named}}}  # in updates\n"
            "if step + 1 in CYCLE_ENDS:\n    save(model, optimizer, scheduler)",
        ),
    )
