"""The report in a real Chromium, opened from disk."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrdoctor.model.diagnosis import Audit, Diagnosis
from lrdoctor.report.html import write_report
from lrdoctor.report.pages import Pages

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
pytestmark = pytest.mark.browser

AA = 4.5  # WCAG 2.1, 1.4.3: contrast of body text


class Tab:
    """A page that remembers what went wrong on it and what it asked for."""

    def __init__(self, browser: Any, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": DESK, **options})
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self._console(message))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, path: Path) -> Any:
        self.page.goto(path.as_uri())
        if path.name.startswith("run-"):
            self.page.wait_for_selector("#chart .main-svg")
        return self.page

    def clean(self) -> bool:
        remote = [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]
        return not self.complaints and not remote


@pytest.fixture
def tab(browser: Any) -> Iterator[Tab]:
    opened = Tab(browser)
    yield opened
    assert opened.complaints == []
    assert opened.clean()
    opened.context.close()


@pytest.fixture
def faulty_page(report: Path) -> Path:
    (page,) = report.parent.glob("run-*resnet-onecycle*.html")
    return page


def x_range(page: Any, panel: str) -> list[float]:
    """The steps a panel shows."""
    found: list[float] = page.evaluate(
        f"document.getElementById('chart')._fullLayout._plots.{panel}.xaxis.range.slice()"
    )
    return found


def lines(page: Any, panel: str) -> list[str]:
    """The curves of a panel as they are drawn."""
    paths = page.locator(f"#chart .subplot.{panel} .js-line")
    found: list[str] = paths.evaluate_all("all => all.map(one => one.getAttribute('d'))")
    return found


def drag(page: Any, panel: str, start: float, end: float) -> None:
    """Drag over a panel from one share of its width to another."""
    area = page.locator(f"#chart .nsewdrag[data-subplot='{panel}']")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], y, steps=8)
    page.mouse.up()
    page.wait_for_timeout(300)


def test_every_page_opens_without_error_and_without_network(report: Path, tab: Tab) -> None:
    for path in sorted(report.parent.glob("*.html")):
        tab.open(path)
    assert len([url for url in tab.requests if url.endswith(".html")]) == 5


@pytest.mark.parametrize(("panel", "other"), [("xy", "xy2"), ("xy2", "xy")])
def test_zooming_one_chart_moves_the_other(faulty_page: Path, tab: Tab, panel: str, other: str) -> None:
    page = tab.open(faulty_page)
    before, drawn = x_range(page, other), lines(page, other)
    drag(page, panel, 0.25, 0.5)
    assert before[0] < 0
    assert before[1] > 9999
    assert x_range(page, other) == pytest.approx([2400, 5000], abs=200)
    assert lines(page, other) != drawn


def test_a_double_click_shows_the_whole_run_again(faulty_page: Path, tab: Tab) -> None:
    page = tab.open(faulty_page)
    drag(page, "xy", 0.25, 0.5)
    page.locator("#chart .nsewdrag[data-subplot='xy2']").dblclick()
    page.wait_for_timeout(400)
    assert x_range(page, "xy")[1] > 9999


def test_the_toolbar_sends_nothing_anywhere(faulty_page: Path, tab: Tab) -> None:
    page = tab.open(faulty_page)
    buttons = page.locator("#chart .modebar-btn").evaluate_all("all => all.map(one => one.dataset.title)")
    assert sorted(buttons) == ["Download plot as a PNG", "Pan", "Reset axes", "Zoom", "Zoom in", "Zoom out"]


def test_the_lr_axis_switches_to_log_and_keeps_the_zoom(faulty_page: Path, tab: Tab) -> None:
    page = tab.open(faulty_page)
    drag(page, "xy", 0.25, 0.5)
    zoomed = x_range(page, "xy")
    page.click("[data-axis=yaxis] [data-scale=log]")
    assert page.evaluate("document.getElementById('chart')._fullLayout.yaxis.type") == "log"
    assert page.evaluate("document.getElementById('chart')._fullLayout.yaxis2.type") == "linear"
    low, high = page.evaluate("document.getElementById('chart')._fullLayout.yaxis.range")
    assert -9 < low < high < 0
    assert x_range(page, "xy2") == zoomed
    assert page.get_attribute("[data-axis=yaxis] [data-scale=log]", "aria-pressed") == "true"
    page.click("[data-axis=yaxis] [data-scale=linear]")
    assert page.evaluate("document.getElementById('chart')._fullLayout.yaxis.type") == "linear"


def test_another_parameter_group_can_be_switched_on_by_keyboard(faulty_page: Path, tab: Tab) -> None:
    page = tab.open(faulty_page)
    drawn = (
        "document.getElementById('chart')._fullData.filter(t => t.name === 'lr-SGD/pg2' && t.visible === true).length"
    )
    assert page.evaluate(drawn) == 0
    page.focus(".key:has-text('lr-SGD/pg2')")
    page.keyboard.press("Enter")
    assert page.evaluate(drawn) == 1


@pytest.mark.parametrize("clipboard", ["offered", "missing", "refusing"])
def test_the_copy_button_copies(faulty_page: Path, browser: Any, clipboard: str) -> None:
    tab = Tab(browser, permissions=["clipboard-read", "clipboard-write"])
    if clipboard == "missing":
        tab.page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    if clipboard == "refusing":
        tab.page.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
    page = tab.open(faulty_page)
    page.evaluate("document.addEventListener('copy', () => { window.copied = String(getSelection()); })")
    page.click("#finding-1 .copy")
    page.locator("#finding-1 .copy", has_text="Copied").wait_for()
    code = page.text_content("#code-1")
    if clipboard == "offered":
        assert page.evaluate("navigator.clipboard.readText()") == code
    else:
        assert page.evaluate("window.copied").strip() == code.strip()
    assert tab.clean()
    tab.context.close()


# For each piece of text on the page: its contrast with what is behind it, the worst first.
CONTRASTS = """() => {
  const linear = value => {
    const part = value / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  };
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const parse = text => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return { rgb: numbers.slice(0, 3), alpha: numbers.length > 3 ? numbers[3] : 1 };
  };
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.alpha > 0.5) return colour.rgb;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || ["SCRIPT", "NOSCRIPT", "STYLE"].includes(element.tagName)) continue;
    if (!element.getClientRects().length) continue;
    const svg = element instanceof SVGElement;
    const style = getComputedStyle(element);
    const front = luminance(parse(svg ? style.fill : style.color).rgb);
    const back = luminance(behind(svg ? document.querySelector(".charts") : element));
    found.push([(Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05), text.slice(0, 40)]);
  }
  return found.sort((a, b) => a[0] - b[0]);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["index", "run"])
def test_all_text_is_readable(report: Path, faulty_page: Path, browser: Any, scheme: str, which: str) -> None:
    tab = Tab(browser, color_scheme=scheme)
    page = tab.open(report if which == "index" else faulty_page)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.mouse.move(0, 0)
    page.wait_for_timeout(300)
    worst = page.evaluate(CONTRASTS)
    assert len(worst) > 30
    assert worst[0][0] >= AA, worst[:5]
    tab.context.close()


def test_dark_mode_reaches_the_charts_and_is_remembered(report: Path, faulty_page: Path, tab: Tab) -> None:
    page = tab.open(faulty_page)
    paper = "document.getElementById('chart')._fullLayout.paper_bgcolor"
    light = page.evaluate(paper)
    page.click("[data-theme-toggle]")
    assert page.evaluate(paper) != light
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 20, 27)"
    page = tab.open(report)
    assert page.get_attribute("html", "data-theme") == "dark"
    page.click("[data-theme-toggle]")
    assert page.get_attribute("html", "data-theme") == "light"


def test_the_theme_works_where_storage_is_forbidden(faulty_page: Path, tab: Tab) -> None:
    tab.page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('denied'); }})"
    )
    page = tab.open(faulty_page)
    page.click("[data-theme-toggle]")
    assert page.get_attribute("html", "data-theme") == "dark"


@pytest.mark.parametrize("width", [320, 390])
def test_a_phones_width_needs_no_sideways_scrolling(report: Path, browser: Any, width: int) -> None:
    tab = Tab(browser, viewport={"width": width, "height": 800})
    for path in sorted(report.parent.glob("*.html")):
        page = tab.open(path)
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
    assert tab.clean()
    tab.context.close()


def names(page: Any) -> list[str]:
    links = page.locator("#runs tbody tr:visible .run-link").all_text_contents()
    return [re.sub(r"\s+", "", link) for link in links]


def test_the_table_sorts_by_column(report: Path, tab: Tab) -> None:
    page = tab.open(report)
    page.click("thead [data-sort=points]")
    points = page.locator("#runs tbody tr td:last-child").all_text_contents()
    assert points == ["10,300", "10,300", "100", "0"]
    assert page.get_attribute("th:has([data-sort=points])", "aria-sort") == "descending"
    page.click("thead [data-sort=points]")
    assert page.locator("#runs tbody tr td:last-child").all_text_contents() == ["0", "100", "10,300", "10,300"]
    page.click("thead [data-sort=path]")
    assert names(page) == sorted(names(page))


def test_the_table_filters_by_text_and_verdict(report: Path, tab: Tab) -> None:
    page = tab.open(report)
    page.fill("#filter", "LR101 refused")
    assert names(page) == ["runs/refused/version_0"]
    page.fill("#filter", "nothing like this")
    assert names(page) == []
    assert page.is_visible("#none")
    page.click("#clear")
    assert len(names(page)) == 4
    page.click(".total[data-verdict=healthy]")
    assert names(page) == ["runs/gpt-small"]
    assert page.text_content("#shown") == "1 of 4 shown"


def test_a_thousand_runs_sort_and_filter(unknown: Diagnosis, tmp_path: Path, tab: Tab) -> None:
    empty = replace(unknown, trajectory=replace(unknown.trajectory, curves=()), findings=())
    many = tuple(replace(empty, run=replace(empty.run, path=f"runs/r{i}")) for i in range(1000))
    page = tab.open(write_report(Audit(many, (), "0.1.0"), tmp_path))
    page.click("thead [data-sort=path]")
    assert names(page)[:3] == ["runs/r0", "runs/r1", "runs/r2"]
    page.fill("#filter", "r999")
    assert names(page) == ["runs/r999"]


@pytest.fixture
def fleet(audit: Audit, tmp_path: Path) -> Path:
    """A report of 360 runs: each of four, ninety times."""
    many = tuple(
        replace(one, run=replace(one.run, path=f"runs/{one.run.path.rsplit('/')[1]}/r{i}"))
        for one in audit.diagnoses
        for i in range(90)
    )
    return write_report(replace(audit, diagnoses=many), tmp_path / "fleet")


def test_what_cost_most_is_first_and_rows_are_drawn_as_one_scrolls(fleet: Path, tab: Tab) -> None:
    page = tab.open(fleet)
    assert page.text_content("#shown") == "360 shown"
    assert page.locator("#runs tbody tr").count() == 100
    assert names(page)[:2] == ["runs/resnet-onecycle/r0", "runs/resnet-onecycle/r1"]
    assert page.locator("#runs .c-cost").first.text_content() == "0.25 of the loss (10 %)"
    page.locator("#more").scroll_into_view_if_needed()
    page.locator("#runs tbody tr").nth(100).wait_for(state="attached")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#runs tbody tr").count() == 360
    assert len(set(names(page))) == 360
    assert page.is_hidden("#more")


def test_runs_are_chosen_by_fault_schedule_and_framework(fleet: Path, tab: Tab) -> None:
    page = tab.open(fleet)
    page.select_option("[data-filter=family]", "CosineAnnealingLR")
    assert page.text_content("#shown") == "90 of 360 shown"
    page.select_option("[data-filter=fault]", "LR101 onecycle-stepped-per-epoch")
    assert page.is_visible("#none")
    page.click("#clear")
    page.select_option("[data-filter=fault]", "LR101 onecycle-stepped-per-epoch")
    page.select_option("[data-filter=framework]", "lightning")
    page.fill("#filter", "r89")
    assert names(page) == ["runs/resnet-onecycle/r89", "runs/refused/r89"]
    page.click("thead [data-sort=path]")
    assert names(page) == ["runs/refused/r89", "runs/resnet-onecycle/r89"]


def test_groups_are_ranked_by_cost_and_unfold(fleet: Path, tab: Tab) -> None:
    page = tab.open(fleet)
    page.select_option("#group", "fault")
    heads = page.locator(".group-name").all_text_contents()
    assert heads == ["LR101 onecycle-stepped-per-epoch", "LR901 lr-not-observable", "no finding"]
    assert "180 runs" in page.locator(".group-told").first.text_content()
    assert "10 % of the loss" in page.locator(".group-told").first.text_content()
    assert names(page) == []
    page.focus(".group-head >> nth=2")
    page.keyboard.press("Enter")
    assert names(page)[0] == "runs/gpt-small/r0"
    assert len(names(page)) == 90
    page.select_option("#group", "framework")
    assert page.locator(".group-name").all_text_contents() == ["lightning", "framework not known", "transformers"]
    page.select_option("#group", "")
    assert len(names(page)) == 100


def test_a_single_file_page_draws_its_charts(faulty: Diagnosis, browser: Any, tmp_path: Path, pages: Pages) -> None:
    write_report(Audit((faulty,), (), "0.1.0"), tmp_path / "a", pages=pages, single_file=True)
    (page,) = (tmp_path / "a").glob("run-*.html")
    alone = tmp_path / "alone" / page.name
    alone.parent.mkdir()
    shutil.move(page, alone)
    tab = Tab(browser)
    tab.open(alone)
    assert tab.clean(), tab.complaints
    assert len(tab.requests) == 1
    tab.context.close()


def test_names_with_markup_run_nothing(faulty: Diagnosis, tmp_path: Path, tab: Tab) -> None:
    evil = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"
    group = replace(faulty.trajectory.groups[0], name=evil)
    diagnosis = replace(
        faulty,
        run=replace(faulty.run, path=f"runs/{evil}"),
        trajectory=replace(faulty.trajectory, groups=(group, group)),
    )
    index = write_report(Audit((diagnosis,), (), "0.1.0"), tmp_path)
    (run,) = tmp_path.glob("run-*.html")
    for path in (index, run):
        page = tab.open(path)
        assert page.evaluate("window.hacked") is None
        assert page.locator("img").count() == 0


def test_a_page_prints(faulty_page: Path, tab: Tab) -> None:
    page = tab.open(faulty_page)
    page.click("[data-theme-toggle]")
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.set_viewport_size({"width": 690, "height": 1000})
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_timeout(300)
    assert page.is_hidden("[data-theme-toggle]")
    bottom = page.locator("#chart .main-svg").first.bounding_box()
    assert bottom["y"] + bottom["height"] <= page.locator("#findings-title").bounding_box()["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 690
    assert page.get_attribute("html", "data-theme") == "light"
