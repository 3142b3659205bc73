"""The table of disagreements in each report, and its absence where there are none."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from lrdoctor.model.diagnosis import Audit, Diagnosis
from lrdoctor.model.run import Hint
from lrdoctor.report import html, text
from lrdoctor.report.json import document
from lrdoctor.report.view_agreement import Cell, agreement_rows


@pytest.fixture
def disagreeing(healthy: Diagnosis) -> Diagnosis:
    """The settings ask for twice the peak that was executed."""
    return replace(healthy, run=replace(healthy.run, hints=(Hint("lr", 6e-4, "hparams.yaml", "optim.lr"),)))


def told(diagnosis: Diagnosis) -> str:
    buffer = io.StringIO()
    text.render(Audit((diagnosis,), (), "0"), Console(file=buffer, width=200), report=None, verbose=True)
    return buffer.getvalue()


def page(diagnosis: Diagnosis, folder: Path) -> str:
    html.write_report(Audit((diagnosis,), (), "0"), folder)
    return next(folder.glob("run*.html")).read_text()


def test_a_row_names_both_values_and_where_they_are_said(disagreeing: Diagnosis) -> None:
    (row,) = agreement_rows(disagreeing)
    assert row.what == "peak learning rate"
    assert row.declared == Cell("6e-4", "optim.lr in hparams.yaml")
    assert row.executed == Cell("3e-4", "log")
    assert row.checkpoint == Cell("\N{EN DASH}")


def test_every_report_shows_it(disagreeing: Diagnosis, tmp_path: Path) -> None:
    assert "sources disagree: peak learning rate: declared 6e-4 (optim.lr in hparams.yaml), executed 3e-4" in told(
        disagreeing
    )
    assert "Declared, checkpoint, executed" in page(disagreeing, tmp_path)
    (run,) = document(Audit((disagreeing,), (), "0"))["runs"]
    assert run["sources_agree"] is False
    assert [row["agree"] for row in run["source_table"] if row["topic"] == "peak_lr"] == [False]


def test_no_report_shows_it_where_all_agree(disagreeing: Diagnosis, tmp_path: Path) -> None:
    agreeing = replace(disagreeing, run=replace(disagreeing.run, hints=(Hint("lr", 3e-4, "hparams.yaml", "lr"),)))
    assert agreement_rows(agreeing) == ()
    assert "disagree" not in told(agreeing)
    assert "Declared, checkpoint, executed" not in page(agreeing, tmp_path)
    (run,) = document(Audit((agreeing,), (), "0"))["runs"]
    assert run["sources_agree"] is True


def test_nothing_said_twice_is_neither_agreement_nor_disagreement(unknown: Diagnosis) -> None:
    (run,) = document(Audit((unknown,), (), "0"))["runs"]
    assert (run["sources_agree"], run["source_table"]) == (None, [])
