"""What a terminal, a pipe and a dumb terminal get."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from lrdoctor.model.diagnosis import Audit, Diagnosis
from lrdoctor.model.run import Note
from lrdoctor.report.text import render

ESCAPE = "\x1b"


def printed(
    audit: Audit,
    *,
    encoding: str = "utf-8",
    terminal: bool = False,
    report: Path | None = None,
    quiet: bool = False,
    verbose: bool = False,
) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=stream, width=100, force_terminal=terminal, color_system="standard" if terminal else None)
    render(audit, console, report=report, quiet=quiet, verbose=verbose)
    stream.flush()
    return raw.getvalue().decode(encoding)


def one(diagnosis: Diagnosis) -> Audit:
    return Audit((diagnosis,), (), "0.1.0")


def test_faulty_run_shows_schedule_curves_finding_fix_and_loss(faulty: Diagnosis) -> None:
    text = printed(one(faulty))
    assert "runs/resnet-onecycle  LR FAULTY" in text
    assert "OneCycleLR stepped per epoch, peak 0.1, 10,000 updates planned" in text
    assert "LR101 onecycle-stepped-per-epoch error: The scheduler advanced once per epoch" in text
    assert "fix: Step OneCycleLR after every optimizer update." in text
    assert "12.4 times less LR" in text
    assert "2.31 (90 % interval 2.22 to 2.43)" in text


def test_suppressed_finding_is_shown_only_on_request(faulty: Diagnosis) -> None:
    assert "LR109" not in printed(one(faulty))
    assert "LR109 coarse-schedule info (explained by LR101)" in printed(one(faulty), verbose=True)


def test_healthy_run_takes_three_lines(healthy: Diagnosis) -> None:
    lines = printed(one(healthy)).split("\n\n")[0].splitlines()
    assert len(lines) == 3
    assert "the LR is not your problem" in lines[1]


def test_totals_and_report_path_come_last(audit: Audit) -> None:
    lines = printed(audit, report=Path("lrdoctor-report/index.html")).rstrip().splitlines()
    assert lines[-1] == "report: lrdoctor-report/index.html"
    assert "4 runs: 2 faulty, 1 healthy, 1 unknown (2 errors, 2 warnings, 1 info)" in lines
    assert lines.count("left out: torch replay: pip install 'lrdoctor[sim]'") == 1


def test_pipe_gets_no_escape_codes_and_whole_lines(audit: Audit) -> None:
    text = printed(audit)
    assert ESCAPE not in text
    assert any(len(line) > 200 for line in text.splitlines())


def test_terminal_gets_colour_and_wrapped_lines(audit: Audit) -> None:
    text = printed(audit, terminal=True)
    assert ESCAPE in text
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in text.splitlines()) <= 100


def test_no_color_leaves_no_colour(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[1-7]m", printed(audit, terminal=True))


def test_encoding_without_blocks_gets_ascii_curves(audit: Audit) -> None:
    text = printed(audit, encoding="ascii")
    assert "####" in text
    assert "?" not in text


def test_escape_codes_and_markup_in_paths_and_tags_are_harmless(healthy: Diagnosis) -> None:
    hostile = "runs/[bold red]a[/bold red]\x1b[2J\x1b]0;owned\x07[/]"
    run = replace(
        healthy.run,
        path=hostile,
        sources=(replace(healthy.run.sources[0], notes=(Note(hostile, "odd \x1b[31m tag \u202e"),)),),
    )
    text = printed(one(replace(healthy, run=run)), verbose=True)
    assert "runs/[bold red]a[/bold red][/]" in text
    assert not {ESCAPE, "\x07", "\u202e"} & set(text)


def test_quiet_shows_findings_and_nothing_else(audit: Audit) -> None:
    text = printed(audit, quiet=True, report=Path("r"))
    assert "LR101" in text
    assert "gpt-small" not in text
    assert "report:" not in text


def test_only_a_few_notes_are_shown(healthy: Diagnosis) -> None:
    notes = tuple(Note("a.csv", f"line {i} skipped") for i in range(9))
    run = replace(healthy.run, sources=(replace(healthy.run.sources[0], notes=notes),))
    assert printed(one(replace(healthy, run=run))).count("note: ") == 2
    assert "7 more notes (--verbose)" in printed(one(replace(healthy, run=run)))
    assert printed(one(replace(healthy, run=run)), verbose=True).count("note: ") == 9


def test_skipped_paths_are_counted_and_listed_on_request(audit: Audit) -> None:
    assert "2 paths looked at and not audited (--verbose lists them)" in printed(audit)
    assert "runs/notes.csv: no column names a learning rate" in printed(audit, verbose=True)


def test_run_without_lr_says_what_to_log(unknown: Diagnosis) -> None:
    text = printed(one(unknown))
    assert "not enough was logged to say" in text
    assert "Log it once an update." in text


def test_audit_of_nothing_is_told() -> None:
    assert printed(Audit((), (), "0.1.0")).startswith("0 runs: 0 faulty, 0 healthy, 0 unknown")
