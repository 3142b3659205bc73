"""`lrdoctor replay`: train a model under the executed and under the fixed schedule, side by side."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lrdoctor.cli.shared import progress_bar

if TYPE_CHECKING:
    from lrdoctor.model.diagnosis import Counterfactual, Diagnosis
    from lrdoctor.model.schedule import Schedule
    from lrdoctor.simulate.pair import Outcome


@click.command("replay", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("factory", metavar="FACTORY")
@click.option("--run", "path", required=True, metavar="RUN", help="The run whose schedule is replayed.")
@click.option("--schedule", "spec", metavar="SPEC", help="The other schedule; by default the fix the audit proposes.")
@click.option(
    "--steps", type=click.IntRange(min=2), help="Play the schedules in so many updates.  [default: the run's]"
)
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
    from lrdoctor.report.files import write_text
    from lrdoctor.simulate.device import import_torch
    from lrdoctor.simulate.estimate import estimate
    from lrdoctor.simulate.pair import compressed, train_pairs
    from lrdoctor.simulate.setting import load_factory

    import_torch()
    built = load_factory(factory)
    diagnosis, schedule = _audited(path, spec)
    lrs = _lrs(diagnosis, schedule, factory)
    if steps is not None:
        lrs = (compressed(lrs[0], steps), compressed(lrs[1], steps))
    with progress_bar(quiet) as progress:
        outcome = train_pairs(
            built, lrs, seeds=seeds, first=first_step, checkpoint=checkpoint, folder=out, progress=progress
        )
    predicted = estimate(diagnosis.run, diagnosis.trajectory, diagnosis.identification, schedule, device="cpu")
    answer = _answer(diagnosis.run.path, schedule, outcome, predicted)
    _report(diagnosis, predicted, _replayed(answer), out / "report")
    text = json.dumps(answer, sort_keys=True, indent=2, allow_nan=False) + "\n"
    write_text(out / "replay.json", text)
    click.echo(text if format_ == "json" else _text(answer, out), nl=False)


def _audited(path: str, spec: str | None) -> tuple[Diagnosis, Schedule]:
    from lrdoctor.auditing import Options, audit
    from lrdoctor.errors import NothingReadableError, UsageError
    from lrdoctor.simulate.answers import frame_of
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


def _report(diagnosis: Diagnosis, predicted: Counterfactual, replayed: str, folder: Path) -> None:
    """The audit's page of the run, with what was predicted and, beside it, how the replay came out."""
    from dataclasses import replace

    from lrdoctor import __version__
    from lrdoctor.auditing import Options, rules_of
    from lrdoctor.engine import pages_of
    from lrdoctor.model.diagnosis import Audit
    from lrdoctor.report.html import write_report

    told = replace(predicted, notes=(*predicted.notes, f"replayed: {replayed}"))
    left_out = tuple(text for text in diagnosis.left_out if not text.startswith("re-simulation"))
    audited = replace(diagnosis, counterfactual=told, left_out=left_out)
    write_report(Audit((audited,), (), __version__), folder, pages=pages_of(rules_of(Options())))


def _answer(path: str, schedule: Schedule, outcome: Outcome, predicted: Counterfactual) -> dict[str, Any]:
    from lrdoctor.report.json import counterfactual_fields, schedule_fields

    finite = math.isfinite(outcome.gain)
    return {
        "format_version": 1,
        "path": path,
        "schedule": schedule_fields(schedule),
        "updates": outcome.updates,
        "pairs": [
            {"seed": pair.seed, "executed": _number(pair.executed), "fixed": _number(pair.fixed)}
            for pair in outcome.pairs
        ],
        "gain": outcome.gain if finite else None,
        "gain_95": None if outcome.gain_95 is None else list(outcome.gain_95),
        "direction": outcome.decision,
        "predicted": counterfactual_fields(predicted),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _text(answer: dict[str, Any], out: Path) -> str:
    lines = [f"{answer['path']}: {answer['updates']:,} updates, {len(answer['pairs'])} seeds"]
    for pair in answer["pairs"]:
        ends = ", ".join(
            f"{name} {'diverged' if pair[name] is None else format(pair[name], '.4f')}"
            for name in ("executed", "fixed")
        )
        lines.append(f"  seed {pair['seed']}: {ends}")
    lines.append(f"  replayed: {_replayed(answer)}")
    predicted = answer["predicted"]
    if predicted["gain"] is None:
        lines.append(f"  predicted: {predicted['status']}: {predicted['reason']}")
    else:
        low, high = predicted["gain_90"]
        lines.append(f"  predicted for the run: a gain of {predicted['gain']:.3f} ({low:+.3f} to {high:+.3f})")
    lines.append(f"  logged below {out}; report: {out / 'report' / 'index.html'}")
    return "\n".join(lines) + "\n"


def _replayed(answer: dict[str, Any]) -> str:
    """How the replay came out, with the interval where there is one."""
    words = {"lower": "the fix ends lower", "higher": "the fix ends higher", "undecided": "nothing is decided"}
    text, gain, interval = words[answer["direction"]], answer["gain"], answer["gain_95"]
    if interval is None:
        return text
    size = f" by {abs(gain):.4f}" if answer["direction"] != "undecided" else f", the gain being {gain:+.4f}"
    return f"{text}{size} (95 % interval of the gain {interval[0]:+.4f} to {interval[1]:+.4f})"
