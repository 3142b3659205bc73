"""`lrdoctor range-test`: read a learning-rate range test, or make one, and suggest peak LRs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lrdoctor.identify.range_test import RangeReading


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("log", metavar="[LOG]", type=click.Path(path_type=str), required=False)
@click.option("--factory", metavar="FACTORY", help="Make the test with this model instead of reading one.")
@click.option("--start-lr", type=click.FloatRange(min=0.0, min_open=True), default=1e-7, show_default=True)
@click.option("--end-lr", type=click.FloatRange(min=0.0, min_open=True), default=10.0, show_default=True)
@click.option("--steps", type=click.IntRange(min=10), default=100, show_default=True, help="Updates of the test.")
@click.option("--seed", type=int, default=0, show_default=True, help="Handed to the factory.")
@click.option("--checkpoint", type=click.Path(exists=True), help="Start from this file, handed to the factory.")
@click.option("--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the answer here, not to stdout.")
@click.option(
    "--report", type=click.Path(file_okay=False, path_type=Path), help="Write an HTML page with the chart here."
)
@click.option("--lr-tag", metavar="TAG", help="The series that holds the learning rate, where the guess is wrong.")
@click.option("--loss-tag", metavar="TAG", help="The series that holds the loss, where the guess is wrong.")
def command(
    log: str | None,
    factory: str | None,
    start_lr: float,
    end_lr: float,
    steps: int,
    seed: int,
    checkpoint: str | None,
    format_: str,
    output: Path | None,
    report: Path | None,
    lr_tag: str | None,
    loss_tag: str | None,
) -> None:
    """Read the range test logged in LOG (a file, or the folder of a run), or make one with a model of your own.

    With --factory (as in `lrdoctor replay`: `package.module:function`, imported and called with the seed; `gpt` and
    `digits` are bundled) the LR rises by equal factors from --start-lr to --end-lr until the loss diverges.

    Says at which learning rate the loss falls fastest, where it is lowest (a tenth of that is the usual peak) and where
    it diverges, each with its uncertainty. Exit status: 0, 2 usage error, 3 no range test can be read.
    """
    from lrdoctor import __version__
    from lrdoctor.errors import UsageError
    from lrdoctor.report.range_page import as_json, as_text, write_page

    if (log is None) == (factory is None):
        raise UsageError("A range test is read from a LOG or made with --factory.", hint="give one of the two")
    if factory is not None:
        readings = [_made(factory, (start_lr, end_lr), steps, seed, checkpoint)]
    else:
        readings = _readings(log or "", lr_tag, loss_tag)
    text = as_json(readings, __version__) if format_ == "json" else as_text(readings)
    if report is not None:
        click.echo(f"report: {write_page(readings[0], report, __version__)}", err=True)
    if output is None:
        click.echo(text, nl=False)
    else:
        from lrdoctor.report.files import write_text

        write_text(output, text)


def _made(factory: str, span: tuple[float, float], steps: int, seed: int, checkpoint: str | None) -> RangeReading:
    """The range test of what the factory builds."""
    from lrdoctor.identify.range_test import read_sweep
    from lrdoctor.simulate.device import import_torch
    from lrdoctor.simulate.range_test import range_test
    from lrdoctor.simulate.setting import build, code_of_the_user, load_factory

    import_torch()
    setting = build(load_factory(factory), seed, checkpoint)
    start, end = span
    with code_of_the_user("The range test"):
        made = range_test(
            setting.model, setting.optimizer, setting.loss, setting.batches(0), start_lr=start, end_lr=end, steps=steps
        )
    return read_sweep(factory, made.lr, made.loss)


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
