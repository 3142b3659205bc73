"""`lrdoctor audit`."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
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
    from lrdoctor.auditing.cache import Cache
    from lrdoctor.auditing.kept import Kept


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
@click.option("--jobs", type=click.IntRange(min=0), help="Audit this many runs at once; 0: one a core.  [default: 0]")
@click.option(
    "--cache",
    "cache_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the cache; runs it knows are not audited again.  [default: LRDOCTOR_CACHE, or the platform's]",
)
@click.option("--no-cache", is_flag=True, help="Audit every run anew.")
@click.option("--cluster", metavar="ADDRESS", help="Audit on a Dask cluster: tcp://SCHEDULER:8786.")
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
    cache_dir: Path | None,
    no_cache: bool,
    cluster: str | None,
    show_sources: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Audit the training runs below each PATH (folder or single file).

    Reads TensorBoard, CSV, JSON and text logs and checkpoints, reconstructs the learning rate that was executed, names
    the schedule behind it, runs the rules, re-simulates the fixed schedule and writes an HTML report.

    With --output results.parquet (or .sqlite, .db) the answer is a table to query, a row a finding.

    Exit status: 0 no finding at or above --fail-on, 1 findings, 2 usage error, 3 nothing readable.
    """
    from lrdoctor.auditing.kept import audit_kept
    from lrdoctor.settings import find_settings

    settings = find_settings(Path.cwd())
    options = replace(
        asked_of_runs(settings, select, ignore, rule_dirs, (lr_tag, loss_tag, step_tag)),
        simulate=settings.simulate and not no_simulate,
        device=device or settings.device,
        jobs=settings.jobs if jobs is None else jobs,
    )
    folder = None if no_report else report or Path(settings.report)
    _check_output(output, format_)
    out = _Output(format_ or settings.format, output, folder, single_file, show_sources, quiet, verbose)
    there, missing = present(paths)
    with _cache(cache_dir, no_cache) as cache:
        with progress_bar(quiet) as progress:
            result = audit_kept(there, options, progress, pages=folder is not None, cache=cache, client=cluster)
        _publish(result, options, out)
    sys.exit(audit_status(result.tally, result.skipped, fail_on or settings.fail_on, bool(missing)))


@contextmanager
def _cache(folder: Path | None, off: bool) -> Iterator[Cache | None]:
    from lrdoctor.auditing.cache import Cache, cache_file

    file = None if off else cache_file(folder)
    if file is None:
        yield None
        return
    with closing(Cache(file, lambda sentence: click.echo(f"lrdoctor: {sentence}", err=True))) as cache:
        yield cache


def _publish(result: Kept, options: Options, out: _Output) -> None:
    """Write the report, then the answer."""
    from lrdoctor.report.tables import is_table, write_table

    index = _report(result, out)
    if out.file is not None and is_table(out.file):
        write_table(out.file, map(json.loads, result.entries()), result.skipped)
        return
    if out.format == "text":
        _print_text(result, out, index)
        return
    write_answer(_answer(result, options, out.format), out.file)
    if index is not None and not out.quiet:
        click.echo(f"report: {index}", err=True)


def _check_output(file: Path | None, format_: str | None) -> None:
    """`UsageError` where a table is asked for that cannot be written, before anything is audited."""
    from lrdoctor.errors import UsageError
    from lrdoctor.report.tables import check_table, is_table

    if file is None or not is_table(file):
        return
    if format_ is not None:
        raise UsageError(
            f"A {file.suffix} file is a table, not {format_}.",
            where=f"--output {file}",
            hint="leave --format out for the table, or give the file another suffix",
        )
    check_table(file)


def _report(result: Kept, out: _Output) -> Path | None:
    if out.report is None or not result.paths:
        return None
    from lrdoctor.auditing.kept import KeptRows
    from lrdoctor.report.html import Report
    from lrdoctor.report.page_names import page_names

    report, names = Report(out.report, out.single_file, result.notes), page_names(result.paths)
    report.write_runs(names, result.pages())
    return report.write_index(KeptRows(result, names), result.skipped, result.version)


def _answer(result: Kept, options: Options, format_: str) -> Iterable[str]:
    """The answer in pieces: of thousands of runs, not all are in memory at once."""
    if format_ == "json":
        from lrdoctor.report.json import pieces

        return pieces(result.entries(), result.skipped, result.version)
    from lrdoctor.auditing import rules_of
    from lrdoctor.auditing.kept import KeptBriefs
    from lrdoctor.engine import pages_of
    from lrdoctor.report.brief import Briefs

    briefs = Briefs(KeptBriefs(result), result.skipped, result.version)
    return (import_module(f"lrdoctor.report.{format_}").render(briefs, pages_of(rules_of(options))),)


def _print_text(result: Kept, out: _Output, index: Path | None) -> None:
    from rich.console import Console

    if out.file is None:
        _render(result, Console(), out, index)
        return
    buffer = io.StringIO()
    _render(result, Console(file=buffer, width=120), out, index)
    write_answer((buffer.getvalue(),), out.file)


def _render(result: Kept, console: Console, out: _Output, index: Path | None) -> None:
    from lrdoctor.report.printer import Printer
    from lrdoctor.report.text import print_run, print_totals

    page = Printer(console)
    for told in result.told():
        print_run(page, told, quiet=out.quiet, verbose=out.verbose, show_sources=out.show_sources)
    if not out.quiet:
        print_totals(page, result.tally, result.skipped, index, verbose=out.verbose)
