"""Settings for the whole suite."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("lrdoctor", deadline=None)  # a loaded machine is no failure
settings.load_profile("lrdoctor")

os.environ["LRDOCTOR_CACHE"] = "off"  # what an earlier test left would answer in place of the code
os.environ["LRDOCTOR_LIBRARY"] = os.devnull  # models of the user's own would change the estimates

CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Memory:
    """Notes in memory."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, str], Any] = {}

    def noted(self, kind: str, path: str) -> Any:
        return self.told.get((kind, path))

    def note(self, kind: str, path: str, told: Any) -> None:
        self.told[kind, path] = told


@pytest.fixture
def notes() -> Memory:
    """What would be kept from one audit to the next, `told` by kind and path."""
    return Memory()


def _missing(reason: str) -> None:
    if os.environ.get("LRDOCTOR_REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real Chromium; without one the test is skipped, or fails where LRDOCTOR_REQUIRE_BROWSER says so."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("LRDOCTOR_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None or not Path(path).exists():
        _missing("no Chromium found; set LRDOCTOR_CHROMIUM to its path")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        yield chromium
        chromium.close()
