"""[tool.lrdoctor] is read from the nearest pyproject.toml, and every mistake in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrdoctor.errors import SettingsError
from lrdoctor.settings import Settings, find_settings


def project(folder: Path, table: str) -> Path:
    (folder / "pyproject.toml").write_text(f"[tool.lrdoctor]\n{table}\n", encoding="utf-8")
    return folder


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert find_settings(tmp_path / "nowhere") == Settings()


def test_a_table_in_a_parent_folder_is_found(tmp_path: Path) -> None:
    project(tmp_path, 'select = ["LR1"]\nfail-on = "warning"\njobs = 4')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    settings = find_settings(below)
    assert (settings.select, settings.fail_on, settings.jobs) == (("LR1",), "warning", 4)


def test_a_pyproject_without_the_table_is_passed_over(tmp_path: Path) -> None:
    project(tmp_path, 'ignore = ["LR901"]')
    below = tmp_path / "inner"
    below.mkdir()
    (below / "pyproject.toml").write_text("[tool.other]\nx = 1\n", encoding="utf-8")
    assert find_settings(below).ignore == ("LR901",)


def test_rule_options_are_kept_by_code(tmp_path: Path) -> None:
    project(tmp_path, "[tool.lrdoctor.rule-options.LR101]\nvisited = 0.4")
    assert find_settings(tmp_path).rule_options["LR101"]["visited"] == 0.4


def test_a_misspelt_key_is_answered_with_the_nearest_one(tmp_path: Path) -> None:
    project(tmp_path, 'fail_onn = "error"')
    with pytest.raises(SettingsError, match="did you mean `fail-on`"):
        find_settings(tmp_path)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('fail-on = "never ever"', "one of error, warning, info, never"),
        ("select = 3", "a list of strings"),
        ('jobs = "two"', "a whole number, 0 or more"),
        ("jobs = true", "a whole number, 0 or more"),
        ("jobs = -1", "a whole number, 0 or more"),
        ("simulate = 1", "true or false"),
        ("report = 5", "a string"),
        ("rule-options = 5", "a table of rule codes"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(tmp_path: Path, line: str, wanted: str) -> None:
    project(tmp_path, line)
    with pytest.raises(SettingsError, match=wanted):
        find_settings(tmp_path)


def test_a_broken_file_is_a_settings_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.lrdoctor\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="could not be read"):
        find_settings(tmp_path)
