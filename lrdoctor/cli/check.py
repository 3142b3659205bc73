"""`lrdoctor check`."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lrdoctor.cli.shared import (
    FAIL_ON,
    answer_options,
    beside,
    codes,
    present,
    progress_bar,
    rule_options,
    write_answer,
)

if TYPE_CHECKING:
    from lrdoctor.checking import CheckOptions
    from lrdoctor.model.checked import Checked



class CountType(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """A whole number, or two with `..` between them for a range."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from lrdoctor.model.count import Count, parse_count

        if isinstance(value, Count):
            return value
        try:
            return parse_count(str(value))
        except ValueError:
            self.fail(f"{value!r} is no whole number from 1 up, nor a range such as 1000..5000", param, ctx)


COUNT = CountType()


@dataclass(frozen=True, slots=True)
class _Output:
    """Where the answer goes and what it looks like."""

    format: str
    file: Path | None
    report: Path | None
    quiet: bool
    verbose: bool


@click.command("check")
@click.argument("configs", nargs=-1, required=True, metavar="CONFIG...")
@answer_options
@click.option(
    "--report", type=click.Path(file_okay=False, path_type=Path), help="Write an HTML page of the plans to this folder."
)
@click.option("--no-report", is_flag=True, help="Write no HTML report (the default).")
@rule_options
@click.option("--dataset-size", type=COUNT, help="Training examples, where the config does not say; or a range A..B.")
@click.option("--world-size", type=COUNT, help="Processes (GPUs) that train; or a range A..B.")
@click.option("--steps-per-epoch", type=COUNT, help="Optimizer updates per epoch, in place of the two above.")
@click.option("--against", metavar="REF|FILE", help="Compare batch and LR with this git revision or file.")
@click.option("--diff-base", metavar="REF", help="Check only files that differ from this git revision.")
@click.option(
    "--baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Leave out the findings this file lists.",
)
@click.option(
    "--write-baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the present findings to this file, and exit with 0.",
)
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave these paths out, as .gitignore would.")
@click.option(
    "--force-exclude",
    is_flag=True,
    help="For hooks that name every changed file: apply --exclude to named files too, and say nothing of other files.",
)
@click.option("--stdin-filename", metavar="NAME", default="stdin.yaml", help="What `-` is called, and so its kind.")
@click.option("--device", hidden=True, help="Accepted as the other commands do; nothing is simulated here.")
@click.option("--no-simulate", is_flag=True, hidden=True, help="Likewise.")
@click.option("--jobs", type=click.IntRange(min=1), hidden=True, help="Likewise: checking is fast enough.")
@click.option("-q", "--quiet", is_flag=True, help="Findings only.")
@click.option("-v", "--verbose", is_flag=True, help="Also assumptions and findings that were set aside.")
def command(
    configs: tuple[str, ...],
    format_: str | None,
    output: Path | None,
    report: Path | None,
    no_report: bool,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str | None,
    rule_dirs: tuple[Path, ...],
    dataset_size: Any,
    world_size: Any,
    steps_per_epoch: Any,
    against: str | None,
    diff_base: str | None,
    baseline: Path | None,
    write_baseline: Path | None,
    exclude: tuple[str, ...],
    force_exclude: bool,
    stdin_filename: str,
    device: str | None,
    no_simulate: bool,
    jobs: int | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Check training configs before anything is trained with them (files, folders, or `-` for standard input).

    Works out the learning-rate schedule each config will produce and runs the rules that need no log. Nothing a config
    names is run or imported. Sizes a config leaves open stay open unless they are given.

    Exit status: 0 no finding at or above --fail-on, 1 findings, 2 usage error, 3 no training config found.
    """
    from lrdoctor.baseline import apply_baseline, baseline_text
    from lrdoctor.checking import CheckOptions
    from lrdoctor.checking import check as run_check
    from lrdoctor.cli.check_settings import frameworks, schemas, sizes_by_path
    from lrdoctor.configs import Sizes
    from lrdoctor.settings import find_settings

    settings = find_settings(Path.cwd())
    options = CheckOptions(
        select=codes(select) or settings.select,
        ignore=codes(ignore) or settings.ignore,
        rules=rule_dirs or tuple(beside(settings.origin, folder) for folder in settings.rules),
        rule_options=settings.rule_options,
        sizes=Sizes(dataset_size, world_size, steps_per_epoch),
        sizes_by_path=sizes_by_path(settings),
        schemas=schemas(settings),
        frameworks=frameworks(settings),
        exclude=(*settings.exclude, *exclude),
        always_exclude=force_exclude,
        against=against,
        only_changed=diff_base,
        stdin_name=stdin_filename,
    )
    named, missing = _present(configs)
    with progress_bar(quiet) as progress:
        result = run_check(named, options, progress)
    if write_baseline is not None:
        write_answer(baseline_text(result), write_baseline)
        sys.exit(0)
    result = apply_baseline(result, baseline) if baseline is not None else result
    out = _Output(format_ or settings.format, output, None if no_report else report, quiet or force_exclude, verbose)
    _publish(result, options, out)
    sys.exit(_exit_status(result, fail_on or settings.fail_on, bool(missing), force_exclude))


def _present(paths: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Like the audit's: missing paths are told, and fatal only when alone. `-` is standard input."""
    named = tuple(path for path in paths if path != "-")
    found, missing = present(named) if named else ([], [])
    return [*(["-"] if "-" in paths else []), *found], missing


def _publish(result: Checked, options: CheckOptions, out: _Output) -> None:
    """Write the report, then the answer."""
    from importlib import import_module

    from lrdoctor.checking import config_rules
    from lrdoctor.engine import pages_of

    if out.format == "text" and out.report is None:  # the one answer that needs no rule pages
        _print_text(result, out, None)
        return
    pages, index = pages_of(config_rules(options)), None
    if out.report is not None:
        from lrdoctor.report.checked.html import write_report

        index = write_report(result, out.report, pages=pages)
    if out.format == "text":
        _print_text(result, out, index)
        return
    write_answer(import_module(f"lrdoctor.report.checked.{out.format}").render(result, pages), out.file)
    if index is not None and not out.quiet:
        click.echo(f"report: {index}", err=True)


def _print_text(result: Checked, out: _Output, index: Path | None) -> None:
    from rich.console import Console

    from lrdoctor.report.checked.text import render

    if out.file is None:
        render(result, Console(), report=index, quiet=out.quiet, verbose=out.verbose)
        return
    buffer = io.StringIO()
    render(result, Console(file=buffer, width=120), report=index, quiet=out.quiet, verbose=out.verbose)
    write_answer(buffer.getvalue(), out.file)


def _exit_status(result: Checked, fail_on: str, missing: bool, for_hook: bool) -> int:
    from lrdoctor.errors import NothingReadableError

    if not result.configs and not for_hook and not result.unchanged:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in result.skipped[:5])
        raise NothingReadableError(
            "No training config was found.",
            why=reasons or f"{result.passed_over} files were looked at",
            hint="name a config of a supported framework, or map your own keys with [[tool.lrdoctor.schema]]",
        )
    if missing:
        return 2
    if fail_on == "never":
        return 0
    grave = FAIL_ON[: FAIL_ON.index(fail_on) + 1]
    return int(any(finding.severity in grave for one in result.configs for finding in one.active))
