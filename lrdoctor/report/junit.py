"""The audit as JUnit XML: one suite, a test case a run, a failure an active finding at error or warning."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from lrdoctor.model.diagnosis import Audit
from lrdoctor.model.finding import Finding
from lrdoctor.report.brief import Brief, Briefs, briefs_of
from lrdoctor.report.pages import Pages
from lrdoctor.report.place import shown

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # outside Char of XML 1.0


def render(audit: Audit | Briefs, pages: Pages) -> str:
    """The XML text. A run nothing can be said about is skipped; info findings go to its system-out."""
    audit = briefs_of(audit)
    failed = sum(bool(_failures(brief)) for brief in audit.runs)
    unknown = sum(_is_skipped(brief) for brief in audit.runs)
    counts = {"tests": str(len(audit.runs)), "failures": str(failed), "errors": "0", "skipped": str(unknown)}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": "lrdoctor", **counts})
    for brief in audit.runs:
        _case(suite, brief, pages)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _case(suite: ElementTree.Element, brief: Brief, pages: Pages) -> None:
    name = xml_text(shown(brief.path))
    case = ElementTree.SubElement(suite, "testcase", {"classname": "lrdoctor.audit", "name": name})
    for finding in _failures(brief):
        attributes = {"type": finding.code, "message": xml_text(f"{finding.code} {finding.name}: {finding.message}")}
        ElementTree.SubElement(case, "failure", attributes).text = xml_text(_body(finding, pages))
    if _is_skipped(brief):
        ElementTree.SubElement(case, "skipped", {"message": xml_text(brief.sentence)})
    remarks = [finding for finding in brief.active if finding.severity not in ("error", "warning")]
    told = [brief.sentence, *(f"{one.code} {one.name}: {one.message}" for one in remarks)]
    ElementTree.SubElement(case, "system-out").text = xml_text("\n".join(told))


def _failures(brief: Brief) -> list[Finding]:
    return [finding for finding in brief.active if finding.severity in ("error", "warning")]


def _is_skipped(brief: Brief) -> bool:
    return brief.verdict == "lr-unknown" and not _failures(brief)


def _body(finding: Finding, pages: Pages) -> str:
    lines = [finding.message, f"steps {finding.first_step:g} to {finding.last_step:g}"]
    lines += [f"{key} = {value}" for key, value in sorted(finding.evidence.items())]
    if finding.remedy is not None:
        lines.append(f"fix: {finding.remedy.summary}")
    page = pages.get(finding.code)
    if page is not None:
        lines += ["", page.why]
    return "\n".join(lines)


def xml_text(text: str) -> str:
    """`text` without the characters XML 1.0 has no place for."""
    return _NOT_XML.sub("", text)
