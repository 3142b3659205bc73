"""Where a framework's version is read from, and what the ways to write one mean."""

from __future__ import annotations

import pytest

from lrdoctor.configs.versions import Version, lookup

LOCK = '[[package]]\nname = "transformers"\nversion = "4.57.1"\n'


def version_in(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return lookup(folder, {})("transformers")


@pytest.mark.parametrize(
    ("wanted", "exact", "least", "below"),
    [
        ("==4.57.1", "4.57.1", None, None),
        ("[torch]==4.57.1 ; python_version > '3.9'", "4.57.1", None, None),
        ("==4.57.*", None, "4.57", "4.58"),
        ("~=4.44", None, "4.44", "5"),
        ("~=4.44.2", None, "4.44.2", "4.45"),
        (">=4.44,<5", None, "4.44", "5"),
        (" (>=4.44, !=4.50)", None, "4.44", None),
        ("", None, None, None),
    ],
)
def test_a_requirement_gives_a_version_or_its_bounds(tmp_path, wanted, exact, least, below):
    found = version_in(tmp_path, requirements_txt=f"# pins\n-r other.txt\ntransformers{wanted}\n")
    assert found == Version(exact, "requirements.txt", least, below)


@pytest.mark.parametrize(
    ("text", "exact", "least", "below"),
    [
        ('[project]\ndependencies = ["transformers==4.57.1"]', "4.57.1", None, None),
        ('[project.optional-dependencies]\ntrain = ["transformers~=4.44"]', None, "4.44", "5"),
        ('[dependency-groups]\ntrain = ["transformers>=5.1", {include-group = "x"}]', None, "5.1", None),
        ('[tool.poetry.dependencies]\ntransformers = "^4.44"', None, "4.44", "5"),
        ('[tool.poetry.group.train.dependencies]\ntransformers = {version = "4.57.1"}', "4.57.1", None, None),
        ('[tool.poetry.dependencies]\ntransformers = {git = "x"}', None, None, None),
    ],
)
def test_a_pyproject_gives_it_in_any_of_its_tables(tmp_path, text, exact, least, below):
    assert version_in(tmp_path, pyproject_toml=text) == Version(exact, "pyproject.toml", least, below)


def test_the_lock_file_wins_over_requirements_and_pyproject(tmp_path):
    files = {"requirements_txt": "transformers>=4", "pyproject_toml": '[project]\ndependencies = ["transformers"]'}
    assert version_in(tmp_path, uv_lock=LOCK, **files) == Version("4.57.1", "uv.lock")


def test_further_requirements_files_count_too(tmp_path):
    assert version_in(tmp_path, requirements__train_txt="transformers==4.57.1").exact == "4.57.1"


@pytest.mark.parametrize("text", ["project = 3", "[tool]\npoetry = []", "[project]\ndependencies = 1", "x = "])
def test_a_pyproject_of_another_shape_tells_nothing(tmp_path, text):
    assert version_in(tmp_path, pyproject_toml=text) is None


def test_the_project_around_the_folder_is_asked_up_to_its_root(tmp_path):
    (tmp_path / "requirements.txt").write_text("transformers==4.57.1\n", encoding="utf-8")
    inner = tmp_path / "repository" / "configs"
    inner.mkdir(parents=True)
    assert lookup(inner, {})("transformers").exact == "4.57.1"
    (tmp_path / "repository" / ".git").mkdir()
    assert lookup(inner, {})("transformers") is None
