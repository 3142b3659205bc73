"""Results to query: a row a finding."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.errors import MissingExtraError
from lrdoctor.model.diagnosis import Audit
from lrdoctor.report.json import run_entry
from lrdoctor.report.tables import COLUMNS, write_table


def entries(audit: Audit) -> list[dict[str, Any]]:
    return [run_entry(diagnosis) for diagnosis in audit.diagnoses]


def query(file: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as base:
        return base.execute(statement).fetchall()


def test_sqlite_has_a_row_a_finding_and_one_for_a_run_without(audit: Audit, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "results.sqlite"
    write_table(file, entries(audit), audit.skipped)
    counted = dict(query(file, "SELECT run, count(*) FROM findings GROUP BY run"))
    assert counted == {
        "runs/gpt-small": 1,
        "runs/no-lr/results.csv": 1,
        "runs/refused/version_0": 3,
        "runs/resnet-onecycle": 3,
    }
    assert query(file, "SELECT code, schedule, batch_size FROM findings WHERE verdict = 'lr-healthy'") == [
        (None, "CosineAnnealingLR", None)
    ]
    (found,) = query(
        file,
        "SELECT severity, last_step, stepped, complete, gain, fix, json_extract(evidence, '$.visited_fraction')"
        " FROM findings WHERE code = 'LR101' AND counterfactual = 'estimated'",
    )
    assert found == ("error", 9999.0, "epoch", 1, 0.25, "Step OneCycleLR after every optimizer update.", 0.01)
    assert query(file, "SELECT suppressed_by FROM findings WHERE code = 'LR109'") == [("LR101",), ("LR101",)]
    assert len(query(file, "SELECT * FROM skipped")) == 2


def test_parquet_holds_the_same_rows(audit: Audit, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_table(tmp_path / "a.parquet", entries(audit), audit.skipped)
    write_table(tmp_path / "a.db", entries(audit), audit.skipped)
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.column_names == [column.name for column in COLUMNS]
    rows = [tuple(row.values()) for row in table.to_pylist()]
    assert rows == query(tmp_path / "a.db", "SELECT * FROM findings")
    assert str(table.schema.field("complete").type) == "bool"


def test_a_table_without_runs_has_its_columns(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_table(tmp_path / "a.parquet", [], ())
    assert parquet.read_table(tmp_path / "a.parquet").num_columns == len(COLUMNS)


def test_an_earlier_table_is_replaced_and_nothing_else_stays(audit: Audit, tmp_path: Path) -> None:
    for _ in range(2):
        write_table(tmp_path / "a.sqlite", entries(audit), ())
    assert query(tmp_path / "a.sqlite", "SELECT count(*) FROM findings") == [(8,)]
    assert [path.name for path in tmp_path.iterdir()] == ["a.sqlite"]


def test_a_path_that_is_not_unicode_is_written(audit: Audit, tmp_path: Path) -> None:
    odd = replace(audit.diagnoses[0], run=replace(audit.diagnoses[0].run, path="runs/caf\udce9"))
    write_table(tmp_path / "a.sqlite", [run_entry(odd)], ())
    assert query(tmp_path / "a.sqlite", "SELECT run FROM findings") == [("runs/caf\ufffd",)]


def test_without_pyarrow_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="pyarrow") as raised:
        write_table(tmp_path / "a.parquet", [], ())
    assert "lrdoctor[parquet]" in (raised.value.hint or "")
    assert not list(tmp_path.iterdir())


def test_the_command_line_writes_tables_and_refuses_a_format_beside_them(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from lrdoctor.cli.main import main

    (tmp_path / "run").mkdir()
    lines = "".join(f"{step},0.1,{3 - step / 100}\n" for step in range(100))
    (tmp_path / "run" / "metrics.csv").write_text(f"step,lr,loss\n{lines}", encoding="utf-8")
    file = tmp_path / "results.sqlite"
    told = ["audit", str(tmp_path / "run"), "--no-report", "--no-simulate", "--output", str(file)]
    with CliRunner().isolation() as (out, *_), pytest.raises(SystemExit) as ended:
        main(told)
    assert (ended.value.code, out.getvalue()) == (0, b"")
    assert query(file, "SELECT run, schedule, peak_lr FROM findings") == [(str(tmp_path / "run"), "Constant", 0.1)]
    with CliRunner().isolation(), pytest.raises(SystemExit) as ended:
        main([*told, "--format", "json"])
    assert ended.value.code == 2
