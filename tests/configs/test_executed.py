"""Plans equal what the frameworks' own schedulers execute, update by update (see fixtures/executed)."""

from __future__ import annotations

import importlib
import json
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parents[2] / "fixtures" / "executed"
TABLES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(HERE.glob("*.json"))}
CASES = [
    pytest.param(table["framework"], table["version"], case, id=f"{name}: {case['name']}")
    for name, table in TABLES.items()
    for case in table["cases"]
]
INSTALLED = [name for name, table in TABLES.items() if table["distribution"] is not None]
PRECISION = 1e-9


@pytest.mark.parametrize(("framework", "version", "case"), CASES)
def test_a_plan_is_what_the_framework_executes(plan_of, framework, version, case):
    plan = plan_of(case["config"], case["file"], versions={framework: version}, **case["sizes"])
    executed = np.array(case["lr"])
    assert plan.framework == framework
    assert plan.make is not None, plan.unmade
    per_step = case["sizes"]["steps_per_epoch"] if plan.unit == "epoch" else 1
    total = plan.total.value or float(len(executed))
    planned = plan.built(total).lr_at(np.arange(len(executed)) / per_step)
    assert np.abs(planned - executed).max() <= PRECISION * executed.max()


@pytest.fixture
def driver_of(monkeypatch):
    """`driver_of("torchtune")`: the module that runs the installed framework's scheduler."""
    pytest.importorskip("torch")
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(HERE))
    yield lambda name: importlib.import_module(f"of_{name}")
    for name in set(sys.modules) - before:
        if name in ("case", "loading") or name.startswith("of_"):
            del sys.modules[name]


@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.filterwarnings("ignore")
def test_the_table_is_what_the_installed_framework_executes(driver_of, name):
    driver = driver_of(name)
    try:
        home = metadata.distribution(driver.DISTRIBUTION).locate_file("")
    except metadata.PackageNotFoundError:
        pytest.skip(f"{driver.DISTRIBUTION} is not installed")
    assert [case.name for case in driver.CASES] == [case["name"] for case in TABLES[name]["cases"]]
    for case, written in zip(driver.CASES, TABLES[name]["cases"], strict=True):
        assert case.text == written["config"]
        assert driver.executed(Path(home), case) == pytest.approx(written["lr"], rel=1e-11)
