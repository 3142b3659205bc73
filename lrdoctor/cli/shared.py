"""What the commands that audit and check have in common: their options, and where an answer goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from lrdoctor.auditing import Options, Progress
    from lrdoctor.model.diagnosis import Skipped
    from lrdoctor.report.tally import Tally
    from lrdoctor.settings import Settings

FORMATS = ("text", "json", "sarif", "junit", "github", "markdown")
FAIL_ON = ("error", "warning", "info", "never")
Decorated = TypeVar("Decorated", bound=Callable[..., None])


def answer_options(command: Decorated) -> Decorated:
    """--format and --output."""
    for option in (
        click.option(
            "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the answer to this file instead."
        ),
        click.option(
            "--format", "format_", type=click.Choice(FORMATS), help="What to print on stdout.  [default: text]"
        ),
    ):
        command = option(command)
    return command


def rule_options(command: Decorated) -> Decorated:
    """--select, --ignore, --fail-on and --rules."""
    for option in (
        click.option(
            "--rules",
            "rule_dirs",
            multiple=True,
            type=click.Path(path_type=Path),
            help="A folder of further rules (repeatable).",
        ),
        click.option(
            "--fail-on", type=click.Choice(FAIL_ON), help="Exit with 1 at a finding this grave.  [default: error]"
        ),
        click.option("--ignore", multiple=True, metavar="CODES", help="Leave these rules out."),
        click.option(
            "--select",
            multiple=True,
            metavar="CODES",
            help="Run only these rules (codes, prefixes, names; comma-separated).",
        ),
    ):
        command = option(command)
    return command


def tag_options(command: Decorated) -> Decorated:
    """--lr-tag, --loss-tag and --step-tag."""
    for name, what in (
        ("--step-tag", "The column that counts optimizer steps."),
        ("--loss-tag", "The tag or column that is the loss."),
        ("--lr-tag", "The tag or column that is the learning rate, where the guess is wrong."),
    ):
        command = click.option(name, metavar="TAG", help=what)(command)
    return command


def asked_of_runs(
    settings: Settings,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    rule_dirs: tuple[Path, ...],
    tags: tuple[str | None, str | None, str | None],
) -> Options:
    """The audit's options from `rule_options` and `tag_options` (LR, loss, step); the command line wins."""
    from lrdoctor.auditing import Options

    lr_tag, loss_tag, step_tag = tags
    return Options(
        select=codes(select) or settings.select,
        ignore=codes(ignore) or settings.ignore,
        rules=rule_dirs or tuple(beside(settings.origin, folder) for folder in settings.rules),
        rule_options=settings.rule_options,
        lr_tag=lr_tag,
        loss_tag=loss_tag,
        step_tag=step_tag,
    )


def codes(values: tuple[str, ...]) -> tuple[str, ...]:
    """The codes of a repeatable option whose values may be lists."""
    return tuple(code.strip() for value in values for code in value.split(",") if code.strip())


def beside(origin: str | None, folder: str) -> Path:
    """A folder named in a settings file is relative to that file."""
    return (Path(origin).parent if origin else Path()) / folder


def present(paths: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Paths that exist and paths that do not; the missing ones are told on stderr, and are fatal only when alone."""
    from lrdoctor.errors import UsageError
    from lrdoctor.readers.storage import exists

    missing = [path for path in paths if not exists(path)]
    errors = [
        UsageError("No such file or folder.", where=path, hint="check the spelling, or give its parent folder")
        for path in missing
    ]
    if len(missing) == len(paths):
        raise errors[0]
    for error in errors:
        click.echo(f"lrdoctor: {error}", err=True)
    return [path for path in paths if path not in missing], missing


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress]:
    """A progress bar on stderr for long work on a terminal; silent otherwise."""
    if quiet:
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("finding runs", total=None)

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield progress


def write_answer(answer: str | Iterable[str], file: Path | None) -> None:
    """Text, or its pieces, to a file or to stdout."""
    from lrdoctor.report.files import write_pieces

    pieces = (answer,) if isinstance(answer, str) else answer
    if file is not None:
        write_pieces(file, pieces)
        return
    last = ""
    for piece in pieces:
        click.echo(piece, nl=False)
        last = piece or last
    if last and not last.endswith("\n"):
        click.echo()


def audit_status(tally: Tally, skipped: Sequence[Skipped], fail_on: str, missing: bool) -> int:
    """The exit status of an audit; `missing`: a given path was not there. NothingReadableError where no run is."""
    from lrdoctor.errors import NothingReadableError

    if not tally.runs:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in skipped[:5])
        raise NothingReadableError(
            "No training run could be read.",
            why=reasons or "no file below the given paths looks like a training log or checkpoint",
            hint="give the folder that holds the logs (events.out.tfevents.*, metrics.csv, trainer_state.json, *.ckpt)",
        )
    if missing:
        return 2
    if fail_on == "never":
        return 0
    return int(any(tally.severities[severity] for severity in FAIL_ON[: FAIL_ON.index(fail_on) + 1]))
