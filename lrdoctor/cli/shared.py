"""What the commands that audit and check have in common: their options, and where an answer goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from lrdoctor.auditing import Progress

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
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
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
