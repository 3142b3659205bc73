"""`lrdoctor audit`."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from lrdoctor.audit import Options, Progress
    from lrdoctor.model.diagnosis import Audit

FORMATS = ("text", "json", "sarif", "junit", "github", "markdown")
FAIL_ON = ("error", "warning", "info", "never")


@dataclass(frozen=True, slots=True)
class _Output:
    """Where the answer goes and what it looks like."""

    format: str
    file: Path | None
    report: Path | None
    single_file: bool
    show_sources: bool
    quiet: bool
    verbose: bool


@click.command("audit")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="What to print on stdout.  [default: text]")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the answer to this file instead."
)
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the HTML report.  [default: lrdoctor-report]",
)
@click.option("--no-report", is_flag=True, help="Write no HTML report.")
@click.option("--single-file", is_flag=True, help="Inline the chart library into each page: pages that can be mailed.")
@click.option(
    "--select", multiple=True, metavar="CODES", help="Run only these rules (codes, prefixes, names; comma-separated)."
)
@click.option("--ignore", multiple=True, metavar="CODES", help="Leave these rules out.")
@click.option("--fail-on", type=click.Choice(FAIL_ON), help="Exit with 1 at a finding this grave.  [default: error]")
@click.option(
    "--rules",
    "rule_dirs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder of further rules (repeatable).",
)
@click.option("--lr-tag", metavar="TAG", help="The tag or column that is the learning rate, where the guess is wrong.")
@click.option("--loss-tag", metavar="TAG", help="The tag or column that is the loss.")
@click.option("--step-tag", metavar="TAG", help="The column that counts optimizer steps.")
@click.option(
    "--device", type=click.Choice(("auto", "cpu", "cuda", "mps")), help="Where to re-simulate.  [default: auto]"
)
@click.option("--no-simulate", is_flag=True, help="Do not re-simulate the fixes.")
@click.option("--jobs", type=click.IntRange(min=1), help="Read this many runs at once.  [default: 1]")
@click.option("--show-sources", is_flag=True, help="Print which files and tags were taken for what, and why.")
@click.option("-q", "--quiet", is_flag=True, help="Findings only.")
@click.option("-v", "--verbose", is_flag=True, help="Also files, notes and choices.")
def command(
    paths: tuple[str, ...],
    format_: str | None,
    output: Path | None,
    report: Path | None,
    no_report: bool,
    single_file: bool,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str | None,
    rule_dirs: tuple[Path, ...],
    lr_tag: str | None,
    loss_tag: str | None,
    step_tag: str | None,
    device: str | None,
    no_simulate: bool,
    jobs: int | None,
    show_sources: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Audit the training runs below each PATH (folder or single file).

    Reads TensorBoard, CSV, JSON and text logs and checkpoints, reconstructs the learning rate that was executed, names
    the schedule behind it, runs the rules, re-simulates the fixed schedule and writes an HTML report.

    Exit status: 0 no finding at or above --fail-on, 1 findings, 2 usage error, 3 nothing readable.
    """
    from lrdoctor.audit import Options
    from lrdoctor.audit import audit as run_audit
    from lrdoctor.settings import find_settings

    settings = find_settings(Path.cwd())
    options = Options(
        select=_codes(select) or settings.select,
        ignore=_codes(ignore) or settings.ignore,
        rules=rule_dirs or tuple(_beside(settings.origin, folder) for folder in settings.rules),
        rule_options=settings.rule_options,
        simulate=settings.simulate and not no_simulate,
        device=device or settings.device,
        jobs=jobs or settings.jobs,
        lr_tag=lr_tag,
        loss_tag=loss_tag,
        step_tag=step_tag,
    )
    folder = None if no_report else report or Path(settings.report)
    out = _Output(format_ or settings.format, output, folder, single_file, show_sources, quiet, verbose)
    present, missing = _present(paths)
    with _progress(quiet) as progress:
        result = run_audit(present, options, progress)
    _publish(result, options, out)
    sys.exit(_exit_status(result, fail_on or settings.fail_on, bool(missing)))


def _codes(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(code.strip() for value in values for code in value.split(",") if code.strip())


def _beside(origin: str | None, folder: str) -> Path:
    """A folder named in a settings file is relative to that file."""
    return (Path(origin).parent if origin else Path()) / folder


def _present(paths: tuple[str, ...]) -> tuple[list[str], list[str]]:
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
def _progress(quiet: bool) -> Iterator[Progress]:
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


def _publish(result: Audit, options: Options, out: _Output) -> None:
    """Write the report, then the answer."""
    from lrdoctor.audit import rules_of
    from lrdoctor.engine import pages_of

    pages = pages_of(rules_of(options))
    index = None
    if out.report is not None and result.diagnoses:
        from lrdoctor.report.html import write_report

        index = write_report(result, out.report, pages=pages, single_file=out.single_file)
    if out.format == "text":
        _print_text(result, out, index)
    else:
        from importlib import import_module

        _write(import_module(f"lrdoctor.report.{out.format}").render(result, pages), out.file)
        if index is not None and not out.quiet:
            click.echo(f"report: {index}", err=True)


def _print_text(result: Audit, out: _Output, index: Path | None) -> None:
    from rich.console import Console

    if out.file is None:
        _render(result, Console(), out, index)
        return
    buffer = io.StringIO()
    _render(result, Console(file=buffer, width=120), out, index)
    _write(buffer.getvalue(), out.file)


def _render(result: Audit, console: Console, out: _Output, index: Path | None) -> None:
    from lrdoctor.report.text import render

    render(result, console, report=index, quiet=out.quiet, verbose=out.verbose, show_sources=out.show_sources)


def _write(answer: str, file: Path | None) -> None:
    from lrdoctor.report.files import write_text

    if file is None:
        click.echo(answer, nl=not answer.endswith("\n"))
    else:
        write_text(file, answer)


def _exit_status(result: Audit, fail_on: str, missing: bool) -> int:
    from lrdoctor.errors import NothingReadableError

    if not result.diagnoses:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in result.skipped[:5])
        raise NothingReadableError(
            "No training run could be read.",
            why=reasons or "no file below the given paths looks like a training log or checkpoint",
            hint="give the folder that holds the logs (events.out.tfevents.*, metrics.csv, trainer_state.json, *.ckpt)",
        )
    if missing:
        return 2
    if fail_on == "never":
        return 0
    grave = FAIL_ON[: FAIL_ON.index(fail_on) + 1]
    return int(any(finding.severity in grave for one in result.diagnoses for finding in one.active))
