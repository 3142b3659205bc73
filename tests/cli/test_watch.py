"""`lrdoctor watch` beside trainings that really write their logs meanwhile."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lrdoctor.cli.main import cli
from lrdoctor.errors import LrdoctorError
from lrdoctor.schedules import CosineAnnealingLR, OneCycleLR, Stepped
from lrdoctor.watching.watch import Watch

EPOCHS, PER_EPOCH = 30, 40
TRAINING = f"""
import sys, time
from pathlib import Path
from torch.utils.tensorboard import SummaryWriter
from lrdoctor.schedules import CosineAnnealingLR, OneCycleLR
runs, told = Path(sys.argv[1]), Path(sys.argv[2])
(runs / "table").mkdir()
writer, stream = SummaryWriter(runs / "events"), (runs / "table" / "metrics.csv").open("w")
cycle, cosine = OneCycleLR(0.1, {EPOCHS * PER_EPOCH}), CosineAnnealingLR(0.1, T_max={EPOCHS * PER_EPOCH})
stream.write("epoch,step,lr,train_loss\\n")
for epoch in range({EPOCHS}):
    for step in range(epoch * {PER_EPOCH}, (epoch + 1) * {PER_EPOCH}):
        loss = 1 + 2 / (1 + step / 50)
        writer.add_scalar("lr", float(cycle.lr_at([epoch])[0]), step)
        writer.add_scalar("loss", loss, step)
        writer.add_scalar("epoch", epoch, step)
        stream.write(f"{{epoch}},{{step}},{{float(cosine.lr_at([step])[0])!r}},{{loss!r}}\\n")
    writer.flush()
    stream.flush()
    while epoch == {EPOCHS // 2} and not told.exists():
        time.sleep(0.05)
writer.close()
stream.close()
"""


def rows(lrs: Any, updates: int) -> str:
    losses = [1 + 2 / (1 + step / 50) for step in range(updates)]
    table = [f"{step // PER_EPOCH},{step},{float(lrs.lr_at([step])[0])!r},{losses[step]!r}" for step in range(updates)]
    return "\n".join(["epoch,step,lr,train_loss", *table, ""])


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """The log of a training at fault, written long ago."""
    (tmp_path / "runs" / "a").mkdir(parents=True)
    log = tmp_path / "runs" / "a" / "metrics.csv"
    log.write_text(rows(Stepped(OneCycleLR(0.1, 8000), PER_EPOCH, "epoch"), 800))
    os.utime(log, (1.6e9, 1.6e9))
    return tmp_path / "runs"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["watch", *arguments])


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    watchdog = threading.Timer(90, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_fault_is_told_while_the_training_goes_on(tmp_path: Path) -> None:
    """A real SummaryWriter and a table, appended to by another process, which goes on only when the fault was told."""
    pytest.importorskip("torch")
    runs, told, report = tmp_path / "runs", tmp_path / "told", tmp_path / "report"
    runs.mkdir()
    watch = ("-m", "lrdoctor", "watch", str(runs), "--interval", "0.1", "--format", "json", "--report", str(report))
    with started("-c", TRAINING, str(runs), str(told)) as training, started(*watch) as watching:
        assert watching.stdout is not None
        events = []
        for line in watching.stdout:
            events.append(json.loads(line))
            if events[-1]["event"] == "finding":
                break
        told.touch()
        _, failed = training.communicate(timeout=60)
        watching.send_signal(signal.SIGTERM)
        rest, complaints = watching.communicate(timeout=60)
    assert (failed, complaints) == ("", "")
    assert events[-1]["finding"]["code"] == "LR101"
    assert events[-1]["run"] == str(runs)  # as TensorBoard has it: event files in a folder of the run
    assert 3 * PER_EPOCH <= events[-1]["steps"] < EPOCHS * PER_EPOCH
    last = json.loads(rest.splitlines()[-1])
    assert last["event"] == "summary"
    assert last["verdicts"]["lr-faulty"] == 1
    assert last["runs"] == 2
    assert (report / "index.html").is_file()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_with_a_summary_and_the_status_of_an_audit(faulty: Path) -> None:
    with started("-m", "lrdoctor", "watch", str(faulty), "--interval", "0.1", "--fail-on", "warning") as watching:
        assert watching.stdout is not None
        assert "is watched" in watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        told, complaints = watching.communicate(timeout=30)
    assert watching.returncode == 1
    assert "1 run: 1 faulty" in told
    assert complaints == ""


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_end_that_is_swallowed_on_its_way_still_ends_the_watch(
    asked: signal.Signals, faulty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll, before = Watch.poll, signal.getsignal(asked)

    def swallows(watch: Watch) -> Any:
        events = poll(watch)
        with suppress(KeyboardInterrupt):
            signal.raise_signal(asked)
        return events

    monkeypatch.setattr(Watch, "poll", swallows)
    done = run(str(faulty), "--interval", "0.1", "--fail-on", "warning")
    assert done.exit_code == 1
    assert "1 run: 1 faulty" in done.stdout
    assert signal.getsignal(asked) is before


def test_once_looks_once(faulty: Path) -> None:
    done = run(str(faulty), "--once")
    assert done.exit_code == 0  # as an audit: the finding is a warning
    assert "LR101 onecycle-stepped-per-epoch" in done.stdout
    assert run(str(faulty), "--once", "--fail-on", "warning").exit_code == 1


def test_where_no_run_came_up_the_status_is_that_of_nothing_readable(tmp_path: Path) -> None:
    done = run(str(tmp_path), "--until-idle", "--settled-after", "0.1", "--interval", "0.05")
    assert isinstance(done.exception, LrdoctorError)
    assert done.exception.exit_status == 3


def test_only_findings_grave_enough_are_passed_on(faulty: Path, tmp_path: Path) -> None:
    command = f"echo $LRDOCTOR_CODE >> {tmp_path}/told"
    run(str(faulty), "--once", "--exec", command, "--notify-from", "error")
    assert not (tmp_path / "told").exists()
    run(str(faulty), "--once", "--exec", command)
    assert (tmp_path / "told").read_text() == "LR101\n"


def test_a_command_that_fails_does_not_stop_the_watch(faulty: Path) -> None:
    done = run(str(faulty), "--once", "--exec", "echo out of order >&2; exit 9", "--format", "json")
    assert "command failed: exit status 9: out of order" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "summary"


def test_a_table_is_drawn_in_a_terminal(faulty: Path) -> None:
    from rich.console import Console

    from lrdoctor.watching.outlet import Screen
    from lrdoctor.watching.screen import table
    from lrdoctor.watching.watch import Watch

    for name in ("b", "c\x1b[31m"):
        (faulty / name).mkdir()
        (faulty / name / "metrics.csv").write_text(rows(CosineAnnealingLR(0.1, T_max=800), 400))
    watch = Watch([str(faulty)])
    events = watch.poll()
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table(watch.runs, 2))
    drawn = console.export_text()
    assert "3 runs, 2 growing, 1 faulty" in drawn
    assert drawn.index("LR FAULTY") < drawn.index("no fault so far")
    assert "and 1 more run" in drawn
    assert "\x1b" not in drawn
    terminal = io.StringIO()
    with Screen(Console(width=160, height=40, file=terminal, force_terminal=True)) as screen:
        screen.show(watch, events)
        screen.show(watch, [])
    assert terminal.getvalue().count("3 runs, 2 growing, 1 faulty") >= 2
    assert "is watched" in terminal.getvalue()
