"""The tab in a real TensorBoard, opened and clicked in a real Chromium."""

from __future__ import annotations

import json
import shutil
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from tensorboard import default, program
from tensorboard.plugins.base_plugin import TBPlugin

from lrdoctor.tab.background import Background
from lrdoctor.tab.plugin import LRDoctorPlugin, folders_of

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "fixtures" / "runs"
SHOWN = ("lightning-onecycle-per-epoch", "torch-onecycle-jump", "hf-warmup")


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    for name in SHOWN:
        shutil.copytree(RUNS / name, folder / name)
    return folder


def serve(logdir: Path) -> str:
    board = program.TensorBoard(plugins=[*default.get_static_plugins(), LRDoctorPlugin])
    board.configure(argv=[None, "--logdir", str(logdir), "--host", "127.0.0.1", "--port", "0", "--load_fast", "false"])
    return str(board.launch())


@pytest.fixture(scope="module")
def url(logdir: Path) -> str:
    return serve(logdir)


def get(url: str) -> tuple[int, str, str]:
    """Status, content type and text."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=30) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode(errors="replace")


def wait_for(url: str, state: str) -> dict[str, Any]:
    import time

    for _ in range(600):
        status: dict[str, Any] = json.loads(get(f"{url}data/plugin/lrdoctor/status.json")[2])
        if status["state"] == state:
            return status
        time.sleep(0.1)
    raise AssertionError(status)


def test_tensorboard_finds_the_plugin_by_its_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (place,) = project["entry-points"]["tensorboard_plugins"].values()
    plugin = EntryPoint("lrdoctor", place, "tensorboard_plugins").load()
    assert issubclass(plugin, TBPlugin)
    assert "tensorboard" in project["optional-dependencies"]


def test_the_tab_is_listed_without_reading_anything(url: str) -> None:
    listing = json.loads(get(f"{url}data/plugins_listing")[2])
    assert listing["lrdoctor"]["enabled"]
    assert listing["lrdoctor"]["tab_name"] == "LR Doctor"


def test_the_folder_is_audited_in_the_background(url: str) -> None:
    status = wait_for(url, "ready")
    assert (status["runs"], status["faulty"]) == (3, 2)
    document = json.loads(get(f"{url}data/plugin/lrdoctor/audit.json")[2])
    assert {finding["code"] for run in document["runs"] for finding in run["findings"]} >= {"LR101"}


@pytest.mark.parametrize(
    "wanted",
    ["../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "nothing.html", ".hidden.html", "index.html/x", "lrdoctor.py"],
)
def test_only_files_of_the_report_are_served(url: str, wanted: str) -> None:
    wait_for(url, "ready")
    assert get(f"{url}data/plugin/lrdoctor/report/{wanted}")[0] == 404


def test_report_and_frontend_are_served_as_what_they_are(url: str) -> None:
    wait_for(url, "ready")
    kinds = {
        name: get(f"{url}data/plugin/lrdoctor/{name}")[1].split(";")[0]
        for name in ("index.js", "report/index.html", "report/lrdoctor.css", "report/lrdoctor.js")
    }
    assert list(kinds.values()) == ["application/javascript", "text/html", "text/css", "application/javascript"]


class Flags:
    logdir_spec = "one:/logs/1,/logs/2,gs://bucket/3,four:gs://bucket/4"


class Context:
    def __init__(self, logdir: str) -> None:
        self.logdir, self.flags = logdir, Flags()


def test_the_folders_are_those_tensorboard_shows() -> None:
    assert list(folders_of(Context("/logs"))) == ["/logs"]
    assert list(folders_of(Context(""))) == ["/logs/1", "/logs/2"]
    assert list(folders_of(Context("gs://bucket/logs"))) == []
    assert not LRDoctorPlugin(Context("gs://bucket/logs")).is_active()


def test_a_folder_without_runs_and_a_failure_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = Background([str(tmp_path)], interval=0.05)
    broken = Background([str(tmp_path)], interval=0.05)
    assert settled(empty)["state"] == "empty"
    monkeypatch.setattr("lrdoctor.tab.background.Watch", lambda paths: 1 / 0)
    assert settled(broken) == {"state": "failed", "version": 0, "message": "ZeroDivisionError: division by zero"}


def settled(background: Background) -> dict[str, Any]:
    import time

    while (status := background.status())["state"] == "reading":
        time.sleep(0.02)
    return status


class Board:
    """TensorBoard's page with the tab open; remembers complaints that are ours."""

    def __init__(self, browser: Any, url: str, scheme: str) -> None:
        self.context = browser.new_context(viewport={"width": 1400, "height": 950}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._said)
        self.page.goto(f"{url}#lrdoctor")

    def _said(self, message: Any) -> None:
        ours = "lrdoctor" in message.text or "lrdoctor" in (message.location or {}).get("url", "")
        if message.type == "error" and ours:
            self.complaints.append(message.text)

    @property
    def tab(self) -> Any:
        return self.page.frame_locator("iframe[src*='plugin_entry.html?name=lrdoctor']")

    @property
    def report(self) -> Any:
        return self.tab.frame_locator("iframe[title='LR Doctor report']")


@pytest.fixture(params=["light", "dark"])
def board(request: pytest.FixtureRequest, browser: Any, url: str) -> Iterator[Board]:
    wait_for(url, "ready")
    opened = Board(browser, url, request.param)
    yield opened
    assert opened.complaints == []
    opened.context.close()


@pytest.mark.browser
def test_the_tab_shows_verdicts_findings_and_charts(board: Board, request: pytest.FixtureRequest) -> None:
    board.report.locator("#runs tbody tr").first.wait_for()
    assert board.report.locator("#runs tbody tr").count() == 3
    shown = board.report.locator("#runs .run-link").all_inner_texts()
    assert {path.split("/")[0] for path in shown} == set(SHOWN)  # below the log folder, as TensorBoard names them
    assert "2 faulty" in board.tab.locator("#line").inner_text()
    assert board.report.locator("html").get_attribute("data-theme") == request.node.callspec.params["board"]
    assert not board.report.locator("[data-theme-toggle]").is_visible()
    board.report.locator(".run-link", has_text="onecycle-per-epoch").first.click()
    board.report.locator("#chart .main-svg").first.wait_for()
    assert "LR101" in board.report.locator("#finding-1-title").inner_text()
    board.report.locator("a.crumb").click()
    board.report.locator("#runs").wait_for()


@pytest.mark.browser
def test_the_tab_follows_tensorboards_own_dark_mode(browser: Any, url: str) -> None:
    wait_for(url, "ready")
    board = Board(browser, url, "light")
    board.report.locator("#runs").wait_for()
    board.page.evaluate("document.body.classList.add('dark-mode')")
    board.report.locator("html[data-theme='dark']").wait_for(state="attached")
    board.context.close()


@pytest.mark.browser
def test_a_run_that_comes_up_is_shown_without_a_click(browser: Any, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>"
    board = Board(browser, serve(tmp_path), "light")
    board.tab.locator("text=No training run yet").wait_for()
    shutil.copytree(RUNS / "torch-onecycle-jump", tmp_path / name)
    board.report.locator("#runs tbody tr").first.wait_for(timeout=60_000)
    assert name in board.report.locator(".run-link").first.inner_text()
    assert board.report.locator("#runs img").count() == 0
    board.context.close()
