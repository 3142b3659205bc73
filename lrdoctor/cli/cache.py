"""`lrdoctor cache`: what earlier audits left."""

from __future__ import annotations

from pathlib import Path

import click

_FOLDER = click.option(
    "--cache", "folder", type=click.Path(file_okay=False, path_type=Path), help="Folder of the cache, as of audit."
)


@click.group("cache", context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@_FOLDER
@click.pass_context
def command(context: click.Context, folder: Path | None) -> None:
    """Say where the cache of audits is, how many runs it knows and how large it is.

    `lrdoctor audit` audits only runs that are new or have changed since. The cache lies in the folder LRDOCTOR_CACHE
    names, by default in your platform's cache folder; LRDOCTOR_CACHE=off does without.
    """
    context.obj = folder
    if context.invoked_subcommand is not None:
        return
    from lrdoctor.auditing.cache import Cache, cache_file

    file = cache_file(folder)
    if file is None:
        click.echo("switched off by LRDOCTOR_CACHE=off")
        return
    runs, size = 0, 0
    if file.exists():
        cache = Cache(file, lambda sentence: click.echo(f"lrdoctor: {sentence}", err=True))
        runs, size = cache.counts()
        cache.close()
    click.echo(f"{file}: {runs:,} {'run' if runs == 1 else 'runs'}, {size / 1e6:,.1f} MB")


@command.command("clear")
@click.pass_obj
def clear(folder: Path | None) -> None:
    """Remove the cache; the next audit is of every run."""
    from lrdoctor.auditing.cache import cache_file, remove
    from lrdoctor.errors import UsageError

    file = cache_file(folder)
    if file is None or not file.exists():
        click.echo("there is no cache")
        return
    try:
        remove(file)
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError("The cache could not be removed.", where=str(file), why=why) from error
    click.echo(f"removed {file}")
