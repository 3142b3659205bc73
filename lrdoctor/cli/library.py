"""`lrdoctor library`: the models the loss estimate learns from."""

from __future__ import annotations

from pathlib import Path

import click


@click.group("library", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """The models the loss estimate learns from: those that come with lrdoctor, and your own.

    Your own are kept in the file LRDOCTOR_LIBRARY names, by default in your platform's data folder.
    """


@command.command("list")
def list_models() -> None:
    """List the models, how many runs each was seen in, and where they come from."""
    from lrdoctor.simulate.user_library import known_models, library_file, user_entries

    own = {(entry.model, entry.peak_lr) for entry in user_entries()}
    click.echo(f"{'model':24s} {'peak lr':>8s} {'runs':>5s} {'final loss':>11s}  source")
    for entry in known_models().entries:
        mark = "yours: " if (entry.model, entry.peak_lr) in own else ""
        click.echo(
            f"{entry.model:24s} {entry.peak_lr:8.3g} {entry.runs:5d} {entry.final_loss:11.3f}  {mark}{entry.source}"
        )
    click.echo(f"your own models: {library_file()}" + ("" if own else " (none yet)"))


@command.command("add")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option("--model", metavar="NAME", help="The model's name, where the runs do not tell it.")
def add(runs: tuple[str, ...], model: str | None) -> None:
    """Add a model of your own, from the logs of its runs.

    All RUNs are of one model; runs at one peak lr are fitted together. At least one must show a decay of the lr. The
    model counts in every estimate from then on, those of its own runs too.
    """
    from lrdoctor.auditing import Options, examine
    from lrdoctor.errors import NothingReadableError
    from lrdoctor.report.files import write_text
    from lrdoctor.simulate.fitted import Read
    from lrdoctor.simulate.learn import entries_of
    from lrdoctor.simulate.library import load_library
    from lrdoctor.simulate.user_library import library_file, with_added

    examined, skipped = examine(_existing(runs), Options())
    if not examined:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in skipped[:5])
        raise NothingReadableError("No training run could be read.", why=reasons or "nothing looks like a training log")
    reads = [Read(one.run, one.trajectory, one.identification) for one in examined]
    entries = entries_of(reads, load_library(), model)
    write_text(library_file(), with_added(entries))
    for entry in entries:
        click.echo(f"added {entry.model} at peak lr {entry.peak_lr:.3g}, from {entry.runs} runs")
    click.echo(f"kept in {library_file()}", err=True)


@command.command("remove")
@click.argument("model")
def remove(model: str) -> None:
    """Forget a MODEL of your own. The models that come with lrdoctor stay."""
    from lrdoctor.errors import UsageError
    from lrdoctor.report.files import write_text
    from lrdoctor.simulate.user_library import library_file, with_removed

    text = with_removed(model)
    if text is None:
        raise UsageError(
            f"No model of your own is called {model!r}.", where=str(library_file()), hint="see `lrdoctor library list`"
        )
    write_text(library_file(), text)
    click.echo(f"removed {model}")


def _existing(paths: tuple[str, ...]) -> list[str]:
    from lrdoctor.errors import UsageError

    for path in paths:
        if not Path(path).exists():
            raise UsageError(
                "No such file or folder.", where=path, hint="check the spelling, or give its parent folder"
            )
    return list(paths)
