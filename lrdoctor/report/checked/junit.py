"""The check as JUnit XML: one suite, a test case a config, a failure an active finding at error or warning."""

from __future__ import annotations

from xml.etree import ElementTree

from lrdoctor.model.checked import Checked, CheckedConfig
from lrdoctor.model.finding import Finding
from lrdoctor.report.checked.words import plan_words
from lrdoctor.report.junit import xml_text
from lrdoctor.report.pages import Pages
from lrdoctor.report.place import shown


def render(checked: Checked, pages: Pages) -> str:
    """The XML text; info findings go to a case's system-out."""
    failed = sum(bool(_failures(one)) for one in checked.configs)
    counts = {"tests": str(len(checked.configs)), "failures": str(failed), "errors": "0", "skipped": "0"}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": "lrdoctor", **counts})
    for one in checked.configs:
        _case(suite, one, pages)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _case(suite: ElementTree.Element, one: CheckedConfig, pages: Pages) -> None:
    path = xml_text(shown(one.path))
    case = ElementTree.SubElement(suite, "testcase", {"classname": "lrdoctor.checking", "name": path, "file": path})
    for finding in _failures(one):
        attributes = {"type": finding.code, "message": xml_text(f"{finding.code} {finding.name}: {finding.message}")}
        ElementTree.SubElement(case, "failure", attributes).text = xml_text(_body(finding, pages))
    told = [plan_words(one.plan)] if one.plan is not None else []
    told += [f"{item.code} {item.name}: {item.message}" for item in one.active if item not in _failures(one)]
    ElementTree.SubElement(case, "system-out").text = xml_text("\n".join(told))


def _failures(one: CheckedConfig) -> list[Finding]:
    return [finding for finding in one.active if finding.severity in ("error", "warning")]


def _body(finding: Finding, pages: Pages) -> str:
    lines = [finding.message, str(finding.place) if finding.place is not None else ""]
    lines += [f"{key} = {value}" for key, value in sorted(finding.evidence.items())]
    if finding.remedy is not None:
        lines.append(f"fix: {finding.remedy.summary}")
    page = pages.get(finding.code)
    return "\n".join([*lines, "", page.why] if page is not None else lines)
