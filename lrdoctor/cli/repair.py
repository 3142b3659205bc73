"""`lrdoctor repair`: a copy of a checkpoint with the scheduler's state that it lacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from lrdoctor.auditing import Options
    from lrdoctor.model.diagnosis import Diagnosis
    from lrdoctor.model.run import Checkpoint
    from lrdoctor.model.schedule import Unit
    from lrdoctor.resume.repair import Repaired

FORMAT_VERSION = 1


@click.command("repair")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--run", "run_path", required=True, metavar="PATH", help="The run's folder: its log says the schedule.")
@click.option("-o", "--output", "target", required=True, metavar="NEW", type=click.Path(path_type=Path),
              help="Where to write the copy; must not exist.")  # fmt: skip
@click.option("--key", metavar="KEY", help="The key of the scheduler's state, such as lr_schedulers[0] or state.sched.")
@click.option("--step", type=click.FloatRange(min=0), help="After how many updates the checkpoint was written.")
@click.option("--stepped", type=click.Choice(("update", "epoch")),
              help="How often the script steps its scheduler, where the log does not tell.")  # fmt: skip
@click.option("--scheduler", type=click.Choice(("torch", "lambda")),
              help="What the script builds: torch's own classes, or a LambdaLR as Hugging Face's are.")  # fmt: skip
@click.option("--lr-tag", metavar="TAG", help="The tag or column that is the learning rate, where the guess is wrong.")
@click.option("--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True)
def command(
    checkpoint: Path,
    run_path: str,
    target: Path,
    key: str | None,
    step: float | None,
    stepped: Unit | None,
    scheduler: str | None,
    lr_tag: str | None,
    format_: str,
) -> None:
    """Write a copy of CHECKPOINT that carries the reconstructed scheduler state.

    CHECKPOINT is a zip file of torch.save, or a folder of Hugging Face or accelerate. The schedule comes from the run's
    log, or from its other checkpoints; the state is filed where those keep it, and the learning rates in the optimizer
    are put right. Tensors are copied untouched, nothing in the checkpoint is executed, and CHECKPOINT stays as it is.

    Exit status: 0 written, 2 usage error, 3 not repairable or no schedule identified.
    """
    from lrdoctor.auditing import Options
    from lrdoctor.errors import UsageError
    from lrdoctor.readers.checkpoint import read_checkpoint
    from lrdoctor.resume.plan import planned, position, steps_of
    from lrdoctor.resume.repair import repair
    from lrdoctor.resume.torch_state import NoTorchStateError

    if not checkpoint.exists():
        raise UsageError("No such file or folder.", where=str(checkpoint), hint="check the spelling")
    found = read_checkpoint(checkpoint.as_posix())
    if found.recomputes_schedule is not None:
        raise UsageError(
            "There is nothing to repair.",
            where=str(checkpoint),
            why=f"{found.recomputes_schedule} saves no scheduler: it computes the schedule from the step",
        )
    diagnosis = _diagnosed(run_path, found, Options(simulate=False, lr_tag=lr_tag))
    run, trajectory = diagnosis.run, diagnosis.trajectory
    at = step if step is not None else steps_of(found, trajectory)[0]
    whole, source = planned(run, trajectory, diagnosis.identification, diagnosis.findings, at)
    try:
        where = position(found, run, trajectory, whole, step=step, stepped=stepped, as_lambda=_as_lambda(scheduler))
        others = tuple(point.path for point in run.checkpoints if point.scheduler is not None)
        done = repair(found, where, target, key=key, siblings=others)
    except NoTorchStateError as error:
        raise _no_state(checkpoint, error) from error
    click.echo(_as_json(done, source) if format_ == "json" else _as_text(done, source), nl=False)


def _as_lambda(scheduler: str | None) -> bool | None:
    return None if scheduler is None else scheduler == "lambda"


def _diagnosed(path: str, found: Checkpoint, options: Options) -> Diagnosis:
    """The run at `path`: the only one there, or the one that the checkpoint lies in."""
    from lrdoctor.auditing import audit
    from lrdoctor.errors import ReadError, UsageError

    result = audit([path], options)
    if not result.diagnoses:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in result.skipped[:3])
        raise ReadError("No training run could be read.", where=path, why=reasons or "nothing there looks like one")
    if len(result.diagnoses) == 1:
        return result.diagnoses[0]
    place = Path(found.path).resolve()
    holding = [one for one in result.diagnoses if place.is_relative_to(Path(one.run.path).resolve())]
    if len(holding) == 1:
        return holding[0]
    names = ", ".join(one.run.path for one in result.diagnoses[:4])
    raise UsageError("There are several runs: the checkpoint may be of any.", where=path, why=names, hint="name one")


def _no_state(checkpoint: Path, error: Exception) -> Exception:
    from lrdoctor.errors import ReadError

    return ReadError(
        "The scheduler's state cannot be reconstructed.",
        where=str(checkpoint),
        why=str(error),
        hint=None if "ReduceLROnPlateau" in str(error) else "if the script builds a LambdaLR, say --scheduler lambda",
    )


def _as_json(done: Repaired, source: str) -> str:
    from lrdoctor.report.strict import strict
    from lrdoctor.resume.torch_state import jsonable

    document: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "written": done.path,
        "file": done.file,
        "key": done.key or None,
        "schedule_from": source,
        "state": jsonable(done.state),
        "changes": [{"what": one.what, "before": one.before, "after": one.after} for one in done.changes],
    }
    plain, notes = strict(document)
    return json.dumps({**plain, "notes": [*done.why, *notes]}, indent=2, sort_keys=True, allow_nan=False) + "\n"


def _as_text(done: Repaired, source: str) -> str:
    from lrdoctor.report.printable import printable
    from lrdoctor.resume.torch_state import python_text

    lines = [f"{done.path} written."]
    lines.append(f"  schedule: from {source}")
    lines.append(f"  state, under {done.key} of {done.file}:" if done.key else f"  state, in {done.file}:")
    lines += [f"    {line}" for line in python_text(done.state).splitlines()]
    lines += [f"  {one.what}: {one.before} -> {one.after!r}" for one in done.changes]
    lines += [f"  note: {text}" for text in done.why]
    return "\n".join(line[: len(line) - len(line.lstrip())] + printable(line.lstrip()) for line in lines) + "\n"
