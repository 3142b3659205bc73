"""`lrdoctor simulate`: the loss of a run under other schedules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lrdoctor.cli.shared import write_answer

if TYPE_CHECKING:
    from lrdoctor.engine import Evidence
    from lrdoctor.model.diagnosis import Skipped
    from lrdoctor.simulate.answers import Answer

FORMAT_VERSION = 1


@click.command("simulate", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", metavar="RUN")
@click.option("--schedule", "specs", multiple=True, metavar="SPEC", help="The other schedule (repeatable), see below.")
@click.option("--optimize", is_flag=True, help="Search for the best schedule of the same number of updates.")
@click.option(
    "--family", "families", multiple=True, type=click.Choice(("wsd", "cosine", "linear")), help="Search only these."
)
@click.option("--keep-peak", is_flag=True, help="Search at the run's own peak LR only.")
@click.option(
    "--with", "siblings", multiple=True, metavar="RUN", help="A further run of the same model and peak, fitted jointly."
)
@click.option("--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the answer here, not to stdout.")
@click.option("--device", type=click.Choice(("auto", "cpu", "cuda", "mps")), default="auto", show_default=True)
@click.option("--lr-tag", metavar="TAG", help="The tag or column that is the learning rate.")
@click.option("--loss-tag", metavar="TAG", help="The tag or column that is the loss.")
@click.option("--step-tag", metavar="TAG", help="The column that counts optimizer steps.")
def command(
    path: str,
    specs: tuple[str, ...],
    optimize: bool,
    families: tuple[str, ...],
    keep_peak: bool,
    siblings: tuple[str, ...],
    format_: str,
    output: Path | None,
    device: str,
    lr_tag: str | None,
    loss_tag: str | None,
    step_tag: str | None,
) -> None:
    """Estimate the loss RUN would have ended at under another schedule, or say why that cannot be told.

    \b
    SPEC is FAMILY[:KEY=VALUE,...] or a YAML or JSON file:
      cosine:T_max=9500,warmup=500,lr=3e-4     wsd:decay=0.2,shape=sqrt
      linear:end=0.1    constant:lr=5e-4    onecycle:pct_start=0.3    fixed.yaml
    What is left out is the run's own: peak, warmup, length. Without --schedule and --optimize: cosine, linear, wsd.

    Exit status: 0 answered (a refusal with its reason is an answer), 2 usage error, 3 nothing readable.
    """
    from lrdoctor.auditing import Options
    from lrdoctor.simulate.answers import Question, answer

    options = Options(device=device, lr_tag=lr_tag, loss_tag=loss_tag, step_tag=step_tag)
    examined, skipped = _examined((path,), options)
    beside, _ = _examined(siblings, options) if siblings else ([], ())
    chosen = specs or (() if optimize else ("cosine", "linear", "wsd"))
    question = Question(chosen, optimize, families, keep_peak, device)
    answers = [answer(one, question, beside) for one in examined]
    text = _json(answers, skipped) if format_ == "json" else "\n".join(_text(one) for one in answers)
    write_answer(text, output)


def _examined(paths: tuple[str, ...], options: Any) -> tuple[list[Evidence], tuple[Skipped, ...]]:
    from lrdoctor.auditing import examine
    from lrdoctor.errors import NothingReadableError, UsageError

    for path in paths:
        if not Path(path).exists():
            raise UsageError(
                "No such file or folder.", where=path, hint="check the spelling, or give its parent folder"
            )
    examined, skipped = examine(list(paths), options)
    if not examined:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in skipped[:5])
        raise NothingReadableError(
            "No training run could be read.",
            where=", ".join(paths),
            why=reasons or "no file there looks like a training log",
            hint="give the folder that holds the logs",
        )
    return examined, skipped


def _json(answers: list[Answer], skipped: tuple[Skipped, ...]) -> str:
    from lrdoctor import __version__
    from lrdoctor.report.strict import strict

    plain, notes = strict(
        {
            "format_version": FORMAT_VERSION,
            "lrdoctor_version": __version__,
            "runs": [_run(one) for one in answers],
            "skipped": [{"path": item.path, "reason": item.reason} for item in skipped],
        }
    )
    return json.dumps({**plain, "notes": notes}, sort_keys=True, indent=2, allow_nan=False) + "\n"


def _run(answer: Answer) -> dict[str, Any]:
    from lrdoctor.report.json import counterfactual_fields, schedule_fields

    fields: dict[str, Any] = {
        "path": answer.path,
        "steps": answer.steps,
        "estimates": [
            {"spec": one.spec, "schedule": schedule_fields(one.schedule), **counterfactual_fields(one.counterfactual)}
            for one in answer.estimates
        ],
        "search": None,
    }
    if answer.refused is not None:
        fields["search"] = {"status": "refused", "reason": answer.refused}
    elif answer.search is not None:
        fields["search"] = {
            "status": "searched",
            "schedules": answer.search.tried,
            "draws": answer.search.draws,
            "device": answer.device,
            "seconds": answer.seconds,
            "best": [
                {
                    "name": one.name,
                    "schedule": schedule_fields(one.schedule),
                    "torch_code": one.schedule.torch_code(),
                    "peak_lr": one.schedule.peak_lr,
                    "estimated_final_loss": one.loss,
                    "gain": one.gain,
                    "gain_90": list(one.gain_90),
                    "best_probability": one.best_probability,
                    "regret": one.regret,
                }
                for one in answer.search.ranked[:_SHOWN]
            ],
        }
    return fields


_SHOWN = 10


def _text(answer: Answer) -> str:
    from lrdoctor.simulate.words import basis, describe

    lines = [f"{answer.path}: {answer.steps:,} updates"]
    lines += [f"  {one.spec}: {describe(one.counterfactual)}" for one in answer.estimates]
    told = next((one.counterfactual for one in answer.estimates if one.counterfactual.status == "estimated"), None)
    if told is not None:
        lines += [f"  {line}" for line in basis(told)]
    if answer.refused is not None:
        lines.append(f"  search refused: {answer.refused}")
    elif answer.search is not None:
        lines += _search_lines(answer)
    return "\n".join(lines) + "\n"


def _search_lines(answer: Answer) -> list[str]:
    found = answer.search
    assert found is not None
    lines = [
        f"  searched {found.tried} schedules x {found.draws} draws on {answer.device} in {answer.seconds:.1f} s:",
        f"  {'schedule':52s} {'loss':>6s} {'gain':>7s} {'90 % interval':>18s} {'P(best)':>8s} {'regret':>7s}",
    ]
    for one in found.ranked[:_SHOWN]:
        low, high = one.gain_90
        lines.append(
            f"  {one.name:52s} {one.loss:6.3f} {one.gain:+7.3f} {low:+8.3f} to {high:+.3f} {one.best_probability:8.0%}"
            f" {one.regret:7.4f}"
        )
    return lines
