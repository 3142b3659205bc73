"""`lrdoctor recommend`: which schedule to train with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lrdoctor.recommend.facts import Facts, Task


@click.command("recommend")
@click.argument("paths", nargs=-1, required=True, metavar="RUN|CONFIG...")
@click.option("--batch-size", type=click.IntRange(min=1), help="Scale to this many examples per update.")
@click.option("--steps", type=click.IntRange(min=1), help="The length of the training in updates.")
@click.option("--optimizer", metavar="NAME", help="The optimizer, where the files do not say.")
@click.option("--model", metavar="NAME", help="The model, such as gpt2, vit_base or resnet50.")
@click.option("--task", type=click.Choice(("scratch", "finetune", "adapter")), help="What the training starts from.")
@click.option("--format", "format_", type=click.Choice(("text", "json", "markdown")), default="text", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the answer here, not to stdout.")
def command(
    paths: tuple[str, ...],
    batch_size: int | None,
    steps: int | None,
    optimizer: str | None,
    model: str | None,
    task: Task | None,
    format_: str,
    output: Path | None,
) -> None:
    """Recommend schedule, peak, warmup and length for each RUN (as `audit` takes it) or CONFIG (a settings file).

    The peak is a range with its reason: the run's own, or a published recipe's, scaled to the batch. Every part names
    its source. Options override what the files say.

    Exit status: 0, 2 usage error, 3 nothing readable.
    """
    from lrdoctor.recommend.advise import advise
    from lrdoctor.report.advice import as_json, as_markdown, as_text
    from lrdoctor.report.files import write_text

    given: dict[str, Any] = {"optimizer": optimizer, "model": model, "task": task, "steps": steps}
    known = {name: value for name, value in given.items() if value is not None}
    found = [replace(facts, **known) for path in paths for facts in _facts(path)]
    advices = [advise(facts, batch_size) for facts in found]
    render = {"text": as_text, "markdown": as_markdown}.get(format_)
    answer = as_json(advices) if render is None else "\n".join(render(advice) for advice in advices)
    if output is None:
        click.echo(answer, nl=False)
    else:
        write_text(output, answer)


def _facts(path: str) -> Iterator[Facts]:
    from lrdoctor.errors import UsageError
    from lrdoctor.readers.side_files import is_side_file

    if not Path(path).exists():
        raise UsageError("No such file or folder.", where=path, hint="check the spelling")
    if Path(path).is_file() and (is_side_file(path) or path.endswith("training_args.bin")):
        yield _facts_of_settings(path)
    else:
        yield from _facts_of_runs(path)


def _facts_of_runs(path: str) -> Iterator[Facts]:
    from lrdoctor.auditing import Options, audit
    from lrdoctor.errors import NothingReadableError
    from lrdoctor.recommend.facts import facts_of

    result = audit([path], Options(simulate=False))
    if not result.diagnoses:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in result.skipped[:3])
        raise NothingReadableError("No training run could be read.", where=path, why=reasons)
    for one in result.diagnoses:
        diverged = any(finding.code == "LR504" for finding in one.active)
        grave = dict.fromkeys(f"{found.code} {found.name}" for found in one.active if found.severity == "error")
        yield facts_of(one.run, one.trajectory, one.identification, diverged=diverged, faults=tuple(grave))


def _facts_of_settings(path: str) -> Facts:
    from lrdoctor.errors import ReadError
    from lrdoctor.model.identification import Identification
    from lrdoctor.model.run import Hint, Run
    from lrdoctor.readers.checkpoint_hints import training_arguments
    from lrdoctor.readers.framework_guess import guess_framework
    from lrdoctor.readers.side_files import read_hints
    from lrdoctor.recommend.facts import facts_of
    from lrdoctor.reconstruct import reconstruct

    items = list(training_arguments(path) if path.endswith(".bin") else read_hints(path))
    hints = tuple(item for item in items if isinstance(item, Hint))
    if not hints:
        notes = "; ".join(str(item) for item in items)
        raise ReadError("No settings could be read.", where=path, why=notes or "none of its keys is a known setting")
    run = Run(Path(path).as_posix(), hints=hints, framework=guess_framework([path], (), (), hints))
    return facts_of(run, reconstruct(run), Identification())
