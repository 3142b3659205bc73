"""A scheduler that waits for a plateau cannot act before the run is over.

## What it does
Looks at training configs with ReduceLROnPlateau: a `patience` of as many evaluations as the run has epochs, an early
stop that comes first, or one that leaves room for a single cut, which is a note.

## Why is this bad?
The learning rate is cut after `patience` + 1 evaluations without improvement. Where the run has no more of them, or
stops first, the scheduler is there and does nothing: the run trains at one learning rate to its end.

## How to fix it
Choose a patience of an eighth of the run or less, and let an early stop wait for at least two cuts.

## References
- PyTorch documentation of ReduceLROnPlateau: `patience` counts the evaluations that are allowed to be bad
- mir-group/nequip issue 326, huggingface/pytorch-image-models discussions of `patience_epochs`
"""

from __future__ import annotations

from collections.abc import Iterator

from lrdoctor import Case, Finding, Plan, Setting, config_finding, rule, synth

PART = 8
"""So many times the patience fits into a run that leaves the scheduler room to act (chosen by us)."""
CUTS = 2
"""An early stop that waits for so many cuts leaves it room as well (chosen by us)."""


def _config(patience: int, epochs: int = 10, stop: int | None = None) -> synth.ConfigSpec:
    callback = f"[{{class_path: EarlyStopping, init_args: {{patience: {stop}}}}}]" if stop is not None else "[]"
    return synth.config(f"""
        optimizer: {{class_path: torch.optim.Adam, init_args: {{lr: 0.001}}}}
        lr_scheduler:
          class_path: torch.optim.lr_scheduler.ReduceLROnPlateau
          init_args: {{patience: {patience}, monitor: val/loss}}
        trainer: {{max_epochs: {epochs}, callbacks: {callback}}}
    """)


CASES = (
    Case("a patience of 10 in 10 epochs", _config(10), fires=True, cured=_config(1)),
    Case("an early stop before the first cut", _config(10, 200, 10), fires=True, cured=_config(5, 200, 20)),
    Case("an early stop after one cut at most", _config(10, 200, 20), fires=True, cured=_config(5, 200, 20)),
    Case("a patience of 9 in 10 epochs: the last one could act", _config(8)),
    Case("room for several cuts", _config(5, 200)),
)  # fmt: skip


@rule("LR602")
def plateau_ineffective(config: Plan) -> Iterator[Finding]:
    patience, total, stop = config.facts.get("patience"), config.total.value, config.facts.get("early_stop")
    if config.family != "ReduceLROnPlateau" or patience is None:
        return
    waits = patience.value + 1
    if total is not None and config.unit == "epoch" and waits >= total:
        yield _never(config, patience, total)
    elif stop is not None and stop.value <= patience.value:
        yield _stopped_first(config, patience, stop, 0)
    elif stop is not None and stop.value < CUTS * waits:
        yield _stopped_first(config, patience, stop, 1)


def _never(config: Plan, patience: Setting[float], total: float) -> Finding:
    return config_finding(
        config,
        config.whereabouts(patience, config.scheduler),
        f"The scheduler waits for {patience.value + 1:g} evaluations without improvement, and the run has {total:g} "
        "epochs.",
        "It is meant to act within the run.",
        "The learning rate never changes.",
        f"Set patience to {max(1, int(total / PART))}, or train longer.",
        evidence={"patience": patience.value, "epochs": total},
        code=f"patience: {max(1, int(total / PART))}",
    )


def _stopped_first(config: Plan, patience: Setting[float], stop: Setting[float], cuts: int) -> Finding:
    room = "before the first cut" if cuts == 0 else "after one cut at most"
    return config_finding(
        config,
        config.whereabouts(patience, config.scheduler),
        f"The scheduler cuts after {patience.value + 1:g} evaluations without improvement, and the run stops after "
        f"{stop.value:g} of them: {room}.",
        f"An early stop that waits for {CUTS} cuts leaves the scheduler room.",
        "The learning rate is not annealed.",
        f"Set the patience to {max(1, int(stop.value / (CUTS + 1)))}, or let the early stop wait longer.",
        evidence={"patience": patience.value, "early_stop": stop.value},
        severity="info" if cuts else None,
    )
