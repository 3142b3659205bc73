"""The audit as GitHub Actions workflow commands: one annotation a finding."""

from __future__ import annotations

from lrdoctor.model.diagnosis import Audit
from lrdoctor.model.finding import Finding
from lrdoctor.report.brief import Brief, Briefs, active_findings, briefs_of
from lrdoctor.report.pages import Pages
from lrdoctor.report.place import shown
from lrdoctor.report.printable import printable
from lrdoctor.report.words import severity_rank

COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}
CAPS = {"error": 10, "warning": 10, "info": 9}  # a step shows 10 of each (actions/toolkit #734); one tells the rest


def render(audit: Audit | Briefs, pages: Pages) -> str:
    """The active findings, severest first, up to what Actions shows of each severity, then how many were left out."""
    found = sorted(active_findings(briefs_of(audit).runs), key=lambda pair: severity_rank(pair[1]))
    lines, left = [], dict.fromkeys(COMMANDS, 0)
    room = dict(CAPS)
    for brief, finding in found:
        severity = finding.severity or "info"
        if room[severity] > 0:
            room[severity] -= 1
            lines.append(_annotation(brief, finding, pages))
        else:
            left[severity] += 1
    return "".join(f"{line}\n" for line in [*lines, *remainder(left)])


def _annotation(brief: Brief, finding: Finding, pages: Pages) -> str:
    command = COMMANDS[finding.severity or "info"]
    page = pages.get(finding.code)
    title = f"{finding.code} {page.title.rstrip('.') if page is not None else finding.name}"
    fix = f" Fix: {finding.remedy.summary}" if finding.remedy is not None else ""
    message = f"{shown(brief.path)}: {finding.message}{fix}"
    place = f"file={property_text(shown(brief.file))},line=1,title={property_text(title)}"
    return f"::{command} {place}::{data(message)}"


def remainder(left: dict[str, int]) -> list[str]:
    """One more annotation for what there was no room for."""
    parts = [f"{count} more {severity}{'' if count == 1 else 's'}" for severity, count in left.items() if count]
    if not parts:
        return []
    return [f"::notice title=lrdoctor::{data(', '.join(parts))}: see the report or --format json for all findings"]


def data(text: str) -> str:
    """Escaped as @actions/core escapes a command's message; what would steer a terminal is left out before."""
    return "\n".join(map(printable, text.splitlines())).replace("%", "%25").replace("\n", "%0A")


def property_text(text: str) -> str:
    """Escaped as @actions/core escapes a command's property."""
    return data(text).replace(":", "%3A").replace(",", "%2C")
