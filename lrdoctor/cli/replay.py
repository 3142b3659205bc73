"""`lrdoctor replay`: train a model under the executed and under the fixed schedule, side by side."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lrdoctor.cli.shared import progress_bar

if TYPE_CHECKING:
    from lrdoctor.model.diagnosis import Counterfactual, Diagnosis, Trained
    from lrdoctor.model.schedule import Schedule
    from lrdoctor.simulate.pair import Outcome


SHORT = 500
"""Updates a longer run is played in by the bundled trainings, which so end within minutes on two cores."""


@click.command("replay", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("factory", metavar="FACTORY")
@click.option("--run", "path", required=True, metavar="RUN", help="The run whose schedule is replayed.")
@click.option("--schedule", "spec", metavar="SPEC", help="The other schedule; by default the fix the audit proposes.")
@click.option(
    "--steps", type=click.IntRange(min=2),
    help="Play the schedules in so many updates.  [default: the run's, 500 at most for `gpt` and `digits`]",
)  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="Seeds at most.")
@click.option("--checkpoint", type=click.Path(exists=True), help="Start from this file, handed to the factory.")
@click.option("--first-step", type=click.IntRange(min=0), default=0, help="The update the checkpoint was saved after.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default="lrdoctor-replay", show_default=True,
    help="Folder of the TensorBoard runs and of replay.json.",
)  # fmt: skip
@click.option("--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def command(
    factory: str,
    path: str,
    spec: str | None,
    steps: int | None,
    seeds: int,
    checkpoint: str | None,
    first_step: int,
    out: Path,
    format_: str,
    quiet: bool,
) -> None:
    """Train a model under the schedule RUN executed and under another one, with paired seeds and data order.

    FACTORY is `package.module:function`, imported and called with a seed (and checkpoint=FILE where one is given); it
    returns a lrdoctor.simulate.setting.Setting. `gpt` and `digits` are bundled: a GPT of 120,000 parameters on Python's
    help texts and a small CNN on scikit-learn's digits, which take the run's schedule relative to its peak.

    The report below the output folder shows predicted against replayed. Seeds are added until the difference is
    decided. Exit status: 0 trained, 2 usage error, 3 nothing readable.
    """
    from lrdoctor.errors import UsageError
    from lrdoctor.report.files import write_text
    from lrdoctor.simulate.device import import_torch
    from lrdoctor.simulate.estimate import estimate
    from lrdoctor.simulate.pair import compressed, train_pairs
    from lrdoctor.simulate.setting import load_factory

    import_torch()
    built = load_factory(factory)
    diagnosis, schedule = _audited(path, spec)
    executed, fixed = _lrs(diagnosis, schedule, factory)
    updates = _played(len(executed), steps, factory)
    if first_step >= updates:
        raise UsageError(f"The replay has {updates:,} updates, so it cannot start after {first_step:,}.")
    lrs = compressed(executed, updates), compressed(fixed, updates)
    with progress_bar(quiet) as progress:
        outcome = train_pairs(
            built, lrs, seeds=seeds, first=first_step, checkpoint=checkpoint, folder=out, progress=progress
        )
    predicted = estimate(diagnosis.run, diagnosis.trajectory, diagnosis.identification, schedule, device="cpu")
    trained = _trained(factory, outcome)
    _report(replace(diagnosis, counterfactual=predicted, trained=trained), out / "report")
    answer = _answer(diagnosis, schedule, trained, predicted)
    text = json.dumps(answer, sort_keys=True, indent=2, allow_nan=False) + "\n"
    write_text(out / "replay.json", text)
    click.echo(text if format_ == "json" else _text(answer, trained, out), nl=False)


def _played(run_updates: int, steps: int | None, factory: str) -> int:
    """In how many updates the schedules are played."""
    from lrdoctor.simulate.setting import BUNDLED

    if steps is not None:
        return steps
    return min(run_updates, SHORT) if factory in BUNDLED else run_updates


def _audited(path: str, spec: str | None) -> tuple[Diagnosis, Schedule]:
    from lrdoctor.auditing import Options, audit
    from lrdoctor.errors import NothingReadableError, UsageError
    from lrdoctor.simulate.answers import frame_of
    from lrdoctor.simulate.gate import LONGEST
    from lrdoctor.simulate.spec import schedule_of

    if not Path(path).exists():
        raise UsageError("No such file or folder.", where=path, hint="check the spelling, or give its parent folder")
    found = audit([path], Options(simulate=False))
    if not found.diagnoses:
        reasons = "; ".join(item.reason for item in found.skipped[:5])
        raise NothingReadableError("No training run could be read.", where=path, why=reasons or None)
    if len(found.diagnoses) > 1:
        raise UsageError("There are several runs.", where=path, hint="give one of them")
    (diagnosis,) = found.diagnoses
    if diagnosis.trajectory.lead is None:
        raise UsageError("The run logged no learning rate, so there is nothing to replay.", where=path)
    if diagnosis.trajectory.steps > LONGEST:
        counted = f"its steps go to {diagnosis.trajectory.steps:,}"
        raise UsageError("The run is too long to be replayed.", where=path, why=counted)
    if spec is not None:
        return diagnosis, schedule_of(spec, frame_of(diagnosis))
    if diagnosis.remedy is None or diagnosis.remedy.schedule is None:
        raise UsageError("The audit proposes no other schedule.", where=path, hint="give one with --schedule SPEC")
    return diagnosis, diagnosis.remedy.schedule


def _lrs(diagnosis: Diagnosis, schedule: Schedule, factory: str) -> tuple[Any, Any]:
    """LRs of every update, executed and fixed; over the run's peak for the bundled factories."""
    import numpy as np

    from lrdoctor.simulate.executed import executed_lr
    from lrdoctor.simulate.setting import BUNDLED

    executed = executed_lr(diagnosis.trajectory, diagnosis.identification)
    fixed = schedule.lr_at(np.arange(len(executed)))
    scale = max(float(executed.max()), float(fixed.max())) if factory in BUNDLED else 1.0
    return executed / scale, fixed / scale


def _trained(factory: str, outcome: Outcome) -> Trained:
    from lrdoctor.model.diagnosis import SeedEnds, Trained

    seeds = tuple(SeedEnds(pair.seed, pair.executed, pair.fixed) for pair in outcome.pairs)
    return Trained(factory, outcome.updates, seeds, outcome.gain, outcome.gain_95, outcome.decision, *outcome.curves)


def _report(diagnosis: Diagnosis, folder: Path) -> None:
    """The audit's page of the run, with what was predicted and, beside it, how the replay came out."""
    from lrdoctor import __version__
    from lrdoctor.auditing import Options, rules_of
    from lrdoctor.engine import pages_of
    from lrdoctor.model.diagnosis import Audit
    from lrdoctor.report.html import write_report

    left_out = tuple(text for text in diagnosis.left_out if not text.startswith("re-simulation"))
    audited = replace(diagnosis, left_out=left_out)
    write_report(Audit((audited,), (), __version__), folder, pages=pages_of(rules_of(Options())))


def _answer(diagnosis: Diagnosis, schedule: Schedule, trained: Trained, predicted: Counterfactual) -> dict[str, Any]:
    from lrdoctor.report.json import counterfactual_fields, schedule_fields

    return {
        "format_version": 1,
        "path": diagnosis.run.path,
        "factory": trained.factory,
        "schedule": schedule_fields(schedule),
        "updates": trained.updates,
        "run_updates": diagnosis.trajectory.steps,
        "pairs": [
            {"seed": one.seed, "executed": _number(one.executed), "fixed": _number(one.fixed)} for one in trained.seeds
        ],
        "gain": _number(trained.gain),
        "gain_95": None if trained.gain_95 is None else list(trained.gain_95),
        "direction": trained.direction,
        "predicted": counterfactual_fields(predicted),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _text(answer: dict[str, Any], trained: Trained, out: Path) -> str:
    from lrdoctor.report.words import trained_caveat, trained_words

    played = "" if answer["updates"] == answer["run_updates"] else f" played in {answer['updates']:,}"
    lines = [f"{answer['path']}: {answer['run_updates']:,} updates{played}, {len(trained.seeds)} seeds"]
    for one in trained.seeds:
        ends = ", ".join(
            f"{name} {format(loss, '.4f') if math.isfinite(loss) else 'diverged'}"
            for name, loss in (("executed", one.executed), ("fixed", one.fixed))
        )
        lines.append(f"  seed {one.seed}: {ends}")
    lines.append(f"  replayed: {trained_words(trained)}")
    if played:
        lines.append(f"  note: {trained_caveat(trained, answer['run_updates'])}")
    predicted = answer["predicted"]
    if predicted["gain"] is None:
        lines.append(f"  predicted: {predicted['status']}: {predicted['reason']}")
    else:
        low, high = predicted["gain_90"]
        lines.append(f"  predicted for the run: a gain of {predicted['gain']:.3f} ({low:+.3f} to {high:+.3f})")
    lines.append(f"  logged below {out}; report: {out / 'report' / 'index.html'}")
    return "\n".join(lines) + "\n"
