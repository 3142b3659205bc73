"""`lrdoctor audit`."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lrdoctor.cli.shared import (
    answer_options,
    asked_of_runs,
    audit_status,
    present,
    progress_bar,
    rule_options,
    tag_options,
    write_answer,
)

if TYPE_CHECKING:
    from rich.console import Console

    from lrdoctor.auditing import Options
    from lrdoctor.model.diagnosis import Audit


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
@answer_options
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the HTML report.  [default: lrdoctor-report]",
)
@click.option("--no-report", is_flag=True, help="Write no HTML report.")
@click.option("--single-file", is_flag=True, help="Inline the chart library into each page: pages that can be mailed.")
@rule_options
@tag_options
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
    from lrdoctor.auditing import audit as run_audit
    from lrdoctor.settings import find_settings

    settings = find_settings(Path.cwd())
    options = replace(
        asked_of_runs(settings, select, ignore, rule_dirs, (lr_tag, loss_tag, step_tag)),
        simulate=settings.simulate and not no_simulate,
        device=device or settings.device,
        jobs=jobs or settings.jobs,
    )
    folder = None if no_report else report or Path(settings.report)
    out = _Output(format_ or settings.format, output, folder, single_file, show_sources, quiet, verbose)
    there, missing = present(paths)
    with progress_bar(quiet) as progress:
        result = run_audit(there, options, progress)
    _publish(result, options, out)
    sys.exit(audit_status(result, fail_on or settings.fail_on, bool(missing)))


def _publish(result: Audit, options: Options, out: _Output) -> None:
    """Write the report, then the answer."""
    from lrdoctor.auditing import rules_of
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

        write_answer(import_module(f"lrdoctor.report.{out.format}").render(result, pages), out.file)
        if index is not None and not out.quiet:
            click.echo(f"report: {index}", err=True)


def _print_text(result: Audit, out: _Output, index: Path | None) -> None:
    from rich.console import Console

    if out.file is None:
        _render(result, Console(), out, index)
        return
    buffer = io.StringIO()
    _render(result, Console(file=buffer, width=120), out, index)
    write_answer(buffer.getvalue(), out.file)


def _render(result: Audit, console: Console, out: _Output, index: Path | None) -> None:
    from lrdoctor.report.text import render

    render(result, console, report=index, quiet=out.quiet, verbose=out.verbose, show_sources=out.show_sources)
