"""Telling others of an event: a command of the user's, or a webhook. Neither can hold up or end the watch."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Thread
from typing import Protocol

from lrdoctor import __version__
from lrdoctor.errors import UsageError
from lrdoctor.report.printable import printable
from lrdoctor.watching.events import Event

COMMAND_SECONDS = 60.0
POST_SECONDS = 10.0
TRIES = 3
PAUSE_SECONDS = 2.0
"""Before the second try; twice as long before each further one."""
_AGAIN = frozenset({408, 429})
"""Answers below 500 that ask for another try; the others mean that none will do."""


class Channel(Protocol):
    """A way to tell of an event. `OSError` where it did not work."""

    def send(self, event: Event) -> None: ...


@dataclass(frozen=True, slots=True)
class Command:
    """Runs `line` by the shell, with the event as JSON on its stdin and the main facts in its environment.

    Nothing that comes from a run becomes part of the command line: names of folders cannot be executed.
    """

    line: str
    seconds: float = COMMAND_SECONDS

    def send(self, event: Event) -> None:
        with tempfile.TemporaryFile() as said:  # a pipe would stay open for as long as what the command left running
            process = subprocess.Popen(
                self.line, shell=True, env={**os.environ, **facts(event)}, stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=said, start_new_session=True,
            )  # fmt: skip
            try:
                process.communicate(f"{event.line()}\n".encode(), timeout=self.seconds)
            except subprocess.TimeoutExpired:
                _kill(process)
                raise OSError(f"it was stopped after {self.seconds:g} seconds") from None
            if process.returncode:
                said.seek(0)
                last = printable(said.read().decode(errors="replace").strip().rpartition("\n")[2])
                raise OSError(f"exit status {process.returncode}{f': {last}' if last else ''}")


def facts(event: Event) -> dict[str, str]:
    """The environment of a command."""
    finding = event.finding
    found = {"EVENT": event.kind, "RUN": event.path, "TEXT": event.text()}
    if finding is not None:
        found |= {"ID": event.finding_id, "CODE": finding.code, "NAME": finding.name}
        found |= {"SEVERITY": finding.severity or "info", "MESSAGE": printable(finding.message)}
    return {f"LRDOCTOR_{name}": value.replace("\0", "") for name, value in found.items()}


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The command and what it started."""
    if os.name == "posix":
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


@dataclass(frozen=True, slots=True)
class Webhook:
    """Posts the event as JSON. Its `text` is what Slack and Mattermost show. `UsageError` where the URL is none."""

    url: str
    seconds: float = POST_SECONDS
    tries: int = TRIES
    pause: float = PAUSE_SECONDS

    def __post_init__(self) -> None:
        if urllib.parse.urlsplit(self.url).scheme not in ("http", "https"):
            raise UsageError("The webhook is no URL that can be posted to.", where=self.url, hint="https://HOST/PATH")

    def send(self, event: Event) -> None:
        for attempt in range(self.tries):
            if attempt:
                time.sleep(self.pause * 2 ** (attempt - 1))
            try:
                self._post(event)
                return
            except urllib.error.HTTPError as error:
                if attempt + 1 == self.tries or (error.code < 500 and error.code not in _AGAIN):
                    raise OSError(f"the server answered {error.code} {error.reason}") from error
            except OSError as error:  # URLError and timeouts are such
                if attempt + 1 == self.tries:
                    raise OSError(f"{getattr(error, 'reason', error)} ({self.tries} tries)") from error

    def _post(self, event: Event) -> None:
        request = urllib.request.Request(
            self.url,
            event.line().encode(),
            {"Content-Type": "application/json", "User-Agent": f"lrdoctor/{__version__}"},
            method="POST",
        )
        with _OPENER.open(request, timeout=self.seconds):
            return


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without its body."""

    def redirect_request(self, *args: object, **given: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


class Notifier:
    """Hands events to `channels` one after another in a thread of its own; `complain` is told what did not work."""

    def __init__(self, channels: Sequence[Channel], complain: Callable[[str], None]) -> None:
        self._channels = tuple(channels)
        self._complain = complain
        self._queue: Queue[Event | None] = Queue()
        self._thread = Thread(target=self._work, name="lrdoctor-notify", daemon=True)
        self._thread.start()

    def tell(self, event: Event) -> None:
        if self._channels:
            self._queue.put(event)

    def close(self, seconds: float) -> None:
        """Wait for what is under way, that long at most; what is left then is told as lost."""
        self._queue.put(None)
        self._thread.join(seconds)
        left = 0
        while self._thread.is_alive():
            try:
                left += self._queue.get_nowait() is not None
            except Empty:
                break
        if left:
            self._complain(f"{left} notifications were given up at the end")

    def _work(self) -> None:
        while (event := self._queue.get()) is not None:
            for channel in self._channels:
                try:
                    channel.send(event)
                except Exception as error:  # whatever a command or a server does, the watch goes on
                    self._complain(f"{type(channel).__name__.lower()} failed: {error}")
