"""Commands and webhooks: they are told everything, and nothing they do harms the watch."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.errors import UsageError
from lrdoctor.model.finding import Finding, Remedy
from lrdoctor.watching.events import Event
from lrdoctor.watching.notify import Command, Notifier, Webhook

FOUND = Finding(
    "It was stepped once an epoch.", "Once an update.", "", 0, 99, remedy=Remedy("Step it."), severity="error",
    code="LR101", name="onecycle-stepped-per-epoch",
)  # fmt: skip


def event(path: str = "runs/a") -> Event:
    return Event("finding", path, 1.7e9, None, FOUND, "LR101-0123456789")


posix = pytest.mark.skipif(os.name != "posix", reason="the commands are written for a POSIX shell")


@posix
def test_a_command_gets_the_facts_and_the_event(tmp_path: Path) -> None:
    Command(f'cat > {tmp_path}/stdin; echo "$LRDOCTOR_RUN|$LRDOCTOR_CODE|$LRDOCTOR_SEVERITY" > {tmp_path}/facts').send(
        event()
    )
    assert json.loads((tmp_path / "stdin").read_text())["event"] == "finding"
    assert (tmp_path / "facts").read_text() == "runs/a|LR101|error\n"


@posix
@pytest.mark.parametrize("name", ["$(touch {0}/pwned)", "`touch {0}/pwned`", "; touch {0}/pwned #", "a\nb", 'x" -o "y'])
def test_the_name_of_a_run_is_never_executed(name: str, tmp_path: Path) -> None:
    path = name.format(tmp_path)
    Command(f'printf %s "$LRDOCTOR_RUN" > "{tmp_path}/run"').send(event(path))
    assert (tmp_path / "run").read_text() == path
    assert not (tmp_path / "pwned").exists()


@posix
def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(OSError, match="exit status 3: no such channel"):
        Command("echo no such channel >&2; exit 3").send(event())


@posix
def test_a_command_that_hangs_is_stopped_with_all_it_started(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="stopped after"):
        Command(f"(sleep 1; touch {tmp_path}/late) & wait", seconds=0.3).send(event())
    threading.Event().wait(1.2)
    assert not (tmp_path / "late").exists()


@posix
def test_a_command_may_leave_something_running() -> None:
    Command("sleep 5 & exit 0", seconds=3).send(event())


class Server:
    """Answers each POST with the next of `answers`, then with 200; keeps what was posted."""

    def __init__(self, *answers: int) -> None:
        self.posted: list[dict[str, Any]] = []
        waiting, posted = list(answers), self.posted

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                status = waiting.pop(0) if waiting else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> Server:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_a_webhook_is_posted_json_with_a_text_to_show() -> None:
    with Server() as server:
        Webhook(server.url).send(event())
    (posted,) = server.posted
    assert posted["run"] == "runs/a"
    assert posted["text"].startswith("runs/a LR101 onecycle-stepped-per-epoch error: It was stepped once an epoch.")


def test_a_server_that_is_busy_is_asked_again() -> None:
    with Server(503, 429) as server:
        Webhook(server.url, pause=0.01).send(event())
    assert len(server.posted) == 3


@pytest.mark.parametrize(("answers", "tries"), [((404,), 1), ((500, 500, 500), 3), ((302,), 1)])
def test_a_server_that_refuses_is_told(answers: tuple[int, ...], tries: int) -> None:
    with Server(*answers) as server, pytest.raises(OSError, match=f"the server answered {answers[-1]}"):
        Webhook(server.url, pause=0.01).send(event())
    assert len(server.posted) == tries


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(OSError, match="3 tries"):
        Webhook("http://127.0.0.1:9/hook", pause=0.01).send(event())


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "hook", ""])
def test_a_webhook_is_an_http_url(url: str) -> None:
    with pytest.raises(UsageError, match="webhook"):
        Webhook(url)


class Broken:
    def send(self, event: Event) -> None:
        raise RuntimeError("out of order")


class Kept:
    def __init__(self) -> None:
        self.paths: list[str] = []

    def send(self, event: Event) -> None:
        self.paths.append(event.path)


def test_a_channel_that_breaks_costs_the_others_nothing() -> None:
    complaints: list[str] = []
    kept = Kept()
    notifier = Notifier([Broken(), kept], complaints.append)
    for name in ("a", "b"):
        notifier.tell(event(name))
    notifier.close(10)
    assert kept.paths == ["a", "b"]
    assert complaints == ["broken failed: out of order"] * 2


def test_what_cannot_be_told_in_time_is_counted() -> None:
    class Stuck:
        def send(self, event: Event) -> None:
            threading.Event().wait(20)

    complaints: list[str] = []
    notifier = Notifier([Stuck()], complaints.append)
    for name in ("a", "b", "c"):
        notifier.tell(event(name))
    notifier.close(0.2)
    assert complaints == ["2 notifications were given up at the end"]


