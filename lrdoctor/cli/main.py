"""The `lrdoctor` command. Each subcommand is a module of this package, imported when it is asked for."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from lrdoctor import __version__
from lrdoctor.errors import LrdoctorError

_COMMANDS = {
    "audit": "Audit training runs: what learning rate was executed, and was it right?",
    "cache": "Say what earlier audits left, or clear it.",
    "check": "Check training configs: what learning rate will they produce, and is it right?",
    "explain": "Explain a rule: what it looks for, why it matters, how to fix it.",
    "library": "Add models of your own to those the loss estimate learns from.",
    "inspect": "Say what a checkpoint holds and what a resume would lack.",
    "range-test": "Read a learning-rate range test and suggest peak LRs.",
    "recommend": "Recommend schedule, peak, warmup and length for a run or its settings.",
    "repair": "Write a copy of a checkpoint that carries the scheduler's state it lacks.",
    "replay": "Train a model under the executed and under the fixed schedule, side by side.",
    "rules": "List the rules.",
    "simulate": "Estimate the loss a run would have ended at under another schedule.",
    "skill": "Print the skill file: when and how a coding agent uses lrdoctor.",
    "watch": "Watch runs while they train, and tell of a fault as soon as the log shows it.",
}
INTERNAL_ERROR = 70  # EX_SOFTWARE of sysexits.h: a fault of ours, told apart from the contract's 0 to 3


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is called: `--help` stays instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command = import_module(f"lrdoctor.cli.{name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(f"{error.message} Commands: {', '.join(sorted(_COMMANDS))}.", ctx) from error


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lrdoctor")
@click.option(
    "--limit",
    "given",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Let readers take more (or less) of a file; their messages name the limit (repeatable).",
)
def cli(given: tuple[str, ...]) -> None:
    """Find learning-rate schedule faults in training logs and checkpoints.

    \b
    lrdoctor audit runs/          audit every run below a folder, write an HTML report
    lrdoctor check configs/       check training configs before the merge
    lrdoctor watch runs/          the same while they train
    lrdoctor explain LR101        what a rule means and how to fix what it finds
    lrdoctor inspect last.ckpt    what a checkpoint holds, without executing it
    """
    from lrdoctor.limits import parsed, use
    from lrdoctor.settings import find_settings

    settings = find_settings(Path.cwd())
    use(settings.limits, f"{settings.origin}, [tool.lrdoctor.limits]")
    use(parsed(given, "--limit"), "--limit")


def main(arguments: list[str] | None = None) -> Any:
    """Entry point: runs the command and turns errors into a message on stderr and the contract's exit status."""
    try:
        return cli.main(args=arguments, prog_name="lrdoctor")
    except LrdoctorError as error:
        click.echo(f"lrdoctor: {error}", err=True)
        sys.exit(error.exit_status)
    except BrokenPipeError:  # the reader of our stdout went away (`| head`): nothing left to say
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        click.echo(f"lrdoctor: internal error: {type(error).__name__}: {error}", err=True)
        click.echo(
            "  This is a fault of lrdoctor's, not of your files. Please report it with the lines below.", err=True
        )
        click.echo(traceback.format_exc(), err=True)
        sys.exit(INTERNAL_ERROR)
