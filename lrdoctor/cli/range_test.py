"""`lrdoctor range-test`: read a learning-rate range test and suggest peak LRs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lrdoctor.identify.range_test import RangeReading


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("log", metavar="LOG", type=click.Path(path_type=str))
@click.option("--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the answer here, not to stdout.")
@click.option(
    "--report", type=click.Path(file_okay=False, path_type=Path), help="Write an HTML page with the chart here."
)
@click.option("--lr-tag", metavar="TAG", help="The series that holds the learning rate, where the guess is wrong.")
@click.option("--loss-tag", metavar="TAG", help="The series that holds the loss, where the guess is wrong.")
def command(
    log: str, format_: str, output: Path | None, report: Path | None, lr_tag: str | None, loss_tag: str | None
) -> None:
    """Read the range test logged in LOG (a file, or the folder of a run).

    Says at which learning rate the loss falls fastest, where it is lowest (a tenth of that is the usual peak) and where
    it diverges, each with its uncertainty. Exit status: 0, 2 usage error, 3 no range test can be read.
    """
    from lrdoctor import __version__
    from lrdoctor.report.range_page import as_json, as_text, write_page

    readings = _readings(log, lr_tag, loss_tag)
    text = as_json(readings, __version__) if format_ == "json" else as_text(readings)
    if report is not None:
        click.echo(f"report: {write_page(readings[0], report, __version__)}", err=True)
    if output is None:
        click.echo(text, nl=False)
    else:
        from lrdoctor.report.files import write_text

        write_text(output, text)


def _readings(log: str, lr_tag: str | None, loss_tag: str | None) -> list[RangeReading]:
    """The range tests below a path; the first failure where there is none."""
    from lrdoctor.errors import NothingReadableError, ReadError, UsageError
    from lrdoctor.identify.range_test import read_range_test
    from lrdoctor.readers import read
    from lrdoctor.reconstruct import reconstruct

    if not Path(log).exists():
        raise UsageError("No such file or folder.", where=log, hint="check the spelling")
    found: list[RangeReading] = []
    failed: list[ReadError] = []
    for run in read(log):
        try:
            found.append(read_range_test(run, reconstruct(run, lr_tag=lr_tag, loss_tag=loss_tag)))
        except ReadError as error:
            failed.append(error)
    if not found:
        hint = "log the learning rate and the loss at every step of the sweep"
        raise failed[0] if failed else NothingReadableError("No training log was found.", where=log, hint=hint)
    return found
