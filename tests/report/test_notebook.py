"""What notebooks show: everything that matters, small, and nothing that runs or is fetched."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import lrdoctor
from lrdoctor.model.diagnosis import Audit, Diagnosis, Skipped
from lrdoctor.model.finding import Remedy


class Tree(HTMLParser):
    """Names of all tags, attributes by name, and what stays open."""

    VOID = ("br", "polyline")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data


def test_a_diagnosis_shows_verdict_curve_findings_and_fix(faulty: Diagnosis) -> None:
    tree = Tree(faulty._repr_html_())
    assert tree.open == []
    for wanted in ("Faulty", "runs/resnet-onecycle", "LR101 onecycle-stepped-per-epoch", "LR201", "Fix:"):
        assert wanted in tree.text
    assert "OneCycleLR(optimizer" in tree.text
    assert "90\N{NO-BREAK SPACE}%" in tree.text or "90 %" in tree.text
    assert tree.tags.count("polyline") == 2
    assert "LR109" not in tree.text  # explained by another finding


def test_nothing_in_it_runs_or_is_fetched(audit: Audit, faulty: Diagnosis) -> None:
    for shown in (audit._repr_html_(), faulty._repr_html_()):
        tree = Tree(shown)
        plain = ("div", "style", "p", "strong", "span", "ul", "li", "br", "pre", "code")
        assert set(tree.tags) <= {*plain, "svg", "polyline"}
        names = {name for name, _ in tree.attributes}
        assert names <= {"class", "viewbox", "preserveaspectratio", "role", "aria-label", "points"}
        assert "url(" not in shown
        assert "@import" not in shown


def test_what_the_files_hold_is_escaped(faulty: Diagnosis) -> None:
    evil = "<img src=x onerror=alert(1)></style><script>alert(1)</script>"
    finding = replace(faulty.findings[0], measured=evil, remedy=Remedy(evil, None, evil))
    shown = replace(faulty, run=replace(faulty.run, path=evil), findings=(finding,))._repr_html_()
    tree = Tree(shown)
    assert "img" not in tree.tags
    assert "script" not in tree.tags
    assert tree.text.count(evil) >= 3


def test_an_audit_shows_faulty_runs_first_and_says_what_it_leaves_out(
    faulty: Diagnosis, healthy: Diagnosis
) -> None:
    many = [replace(healthy, run=replace(healthy.run, path=f"runs/{index:03}")) for index in range(30)]
    text = Tree(Audit((*many, faulty), (Skipped("x", "y"),), "0.1.0")._repr_html_()).text
    assert text.index("resnet-onecycle") < text.index("runs/000")
    assert "1 run of 31 with a learning-rate fault." in text
    assert "23 runs more in the report" in text
    assert "1 path looked at and not audited" in text
    assert len(re.findall(r"runs/\d{3}", text)) == 7


def test_an_audit_of_nothing_can_be_shown() -> None:
    assert "No training run was found." in Audit((), (), "0.1.0")._repr_html_()


def test_a_cell_is_small(audit: Audit, faulty: Diagnosis) -> None:
    assert len(faulty._repr_html_()) < 10_000
    assert len(audit._repr_html_()) < 40_000
    assert lrdoctor.to_html(faulty) == faulty._repr_html_()
