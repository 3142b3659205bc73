"""`lrdoctor watch`."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import click

from lrdoctor.cli.shared import FAIL_ON, asked_of_runs, audit_status, present, rule_options, tag_options

if TYPE_CHECKING:
    from lrdoctor.watching.keeper import Keeper
    from lrdoctor.watching.notify import Channel, Notifier
    from lrdoctor.watching.outlet import Outlet
    from lrdoctor.watching.watch import Watch

_LAST_WORDS = 30.0  # seconds that notifications still under way are given at the end


@click.command("watch")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--interval", type=click.FloatRange(min=0.05), default=5.0, show_default=True, help="Seconds between looks."
)
@click.option(
    "--settled-after",
    type=click.FloatRange(min=0),
    default=300.0,
    show_default=True,
    help="Seconds without a write after which a run counts as ended and is judged as a whole.",
)
@click.option("--once", is_flag=True, help="Look once, tell what is there, and end.")
@click.option("--until-idle", is_flag=True, help="End when every run has ended.")
@click.option(
    "--exec", "command_line", metavar="CMD",
    help="Run this at each new finding: facts in LRDOCTOR_* variables, the event as JSON on stdin.",
)  # fmt: skip
@click.option("--webhook", metavar="URL", help="Post each new finding there as JSON.")
@click.option(
    "--notify-from",
    type=click.Choice(FAIL_ON[:-1]),
    default="warning",
    show_default=True,
    help="The least severity that --exec and --webhook are told of.",
)
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep an HTML report of the runs up to date in this folder.",
)
@click.option(
    "--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True,
    help="A table (plain lines where stdout is no terminal), or a JSON object an event.",
)  # fmt: skip
@rule_options
@tag_options
@click.option("-q", "--quiet", is_flag=True, help="Findings only.")
def command(
    paths: tuple[str, ...],
    interval: float,
    settled_after: float,
    once: bool,
    until_idle: bool,
    command_line: str | None,
    webhook: str | None,
    notify_from: str,
    report: Path | None,
    format_: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str | None,
    rule_dirs: tuple[Path, ...],
    lr_tag: str | None,
    loss_tag: str | None,
    step_tag: str | None,
    quiet: bool,
) -> None:
    """Watch the runs below each PATH while they train, and tell of a fault as soon as the log shows it.

    Only what is appended to the logs is read. Rules that judge a whole run wait until it has ended. Ctrl-C ends the
    watch with a summary; the exit status is that of an audit of what is there then.

    Exit status: 0 no finding at or above --fail-on, 1 findings, 2 usage error, 3 nothing readable.
    """
    from lrdoctor.engine import pages_of
    from lrdoctor.report.tally import Tally
    from lrdoctor.settings import find_settings
    from lrdoctor.watching.keeper import Keeper
    from lrdoctor.watching.notify import Notifier
    from lrdoctor.watching.watch import Watch

    settings = find_settings(Path.cwd())
    options = asked_of_runs(settings, select, ignore, rule_dirs, (lr_tag, loss_tag, step_tag))
    channels = _channels(command_line, webhook)
    there, missing = present(paths)
    watch = Watch(there, options, settled_after=settled_after, leave_out=report)
    keeper = None if report is None else Keeper(report, pages_of(watch.rules), complain=_complain)
    notifier = Notifier(channels, _complain)
    outlet, ends = _outlet(format_, quiet), _ends(once, until_idle)
    with _interruptible() as asked, suppress(KeyboardInterrupt), outlet:
        least = FAIL_ON.index(notify_from)
        _go_on(watch, outlet, keeper, notifier, least, interval, lambda watch: asked.is_set() or ends(watch))
    result = watch.audit()
    index = keeper.finish(result) if keeper is not None else None
    notifier.close(_LAST_WORDS)
    outlet.summarise(result, index)
    tally = Tally.of(result.diagnoses)
    sys.exit(audit_status(tally, result.skipped, fail_on or settings.fail_on, bool(missing)))


def _complain(trouble: str) -> None:
    click.echo(f"lrdoctor: {trouble}", err=True)


def _go_on(
    watch: Watch,
    outlet: Outlet,
    keeper: Keeper | None,
    notifier: Notifier,
    least: int,
    interval: float,
    ends: Callable[[Watch], bool],
) -> None:
    """Look again and again."""
    while True:
        events = watch.poll()
        outlet.show(watch, events)
        for event in events:
            finding = event.finding
            if event.kind == "finding" and finding is not None and FAIL_ON.index(finding.severity or "info") <= least:
                notifier.tell(event)
        if keeper is not None:
            keeper.refresh(watch)
        if ends(watch):
            return
        time.sleep(interval)


def _ends(once: bool, until_idle: bool) -> Callable[[Watch], bool]:
    if once:
        return lambda watch: True
    return (lambda watch: watch.idle) if until_idle else (lambda watch: False)


def _channels(command_line: str | None, webhook: str | None) -> list[Channel]:
    from lrdoctor.watching.notify import Command, Webhook

    found: list[Channel] = []
    if command_line is not None:
        found.append(Command(command_line))
    if webhook is not None:
        found.append(Webhook(webhook))
    return found


def _outlet(format_: str, quiet: bool) -> Outlet:
    from rich.console import Console

    from lrdoctor.watching.outlet import JsonLines, Lines, Screen

    console = Console(highlight=False)
    if format_ == "json":
        return JsonLines(console)
    return Screen(console, quiet=quiet) if console.is_terminal else Lines(console, quiet=quiet)


@contextmanager
def _interruptible() -> Iterator[Event]:
    """Ctrl-C and a request to end (SIGTERM) set the event and raise KeyboardInterrupt, which an import may swallow."""
    asked = Event()

    def stop(*_: object) -> None:
        asked.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
