"""The check as GitHub Actions workflow commands: one annotation a finding, at its line."""

from __future__ import annotations

from lrdoctor.model.checked import Checked, CheckedConfig
from lrdoctor.model.finding import Finding
from lrdoctor.model.place import Place
from lrdoctor.report.github import CAPS, COMMANDS, data, property_text, remainder
from lrdoctor.report.pages import Pages
from lrdoctor.report.place import shown
from lrdoctor.report.words import severity_rank


def render(checked: Checked, pages: Pages) -> str:
    """The active findings, severest first, up to what Actions shows of each severity, then how many were left out."""
    found = [(one, finding) for one in checked.configs for finding in one.active]
    found.sort(key=lambda pair: severity_rank(pair[1]))
    room, left = dict(CAPS), dict.fromkeys(COMMANDS, 0)
    lines = []
    for one, finding in found:
        severity = finding.severity or "info"
        if room[severity] > 0:
            room[severity] -= 1
            lines.append(_annotation(one, finding, pages))
        else:
            left[severity] += 1
    return "".join(f"{line}\n" for line in [*lines, *remainder(left)])


def _annotation(one: CheckedConfig, finding: Finding, pages: Pages) -> str:
    place = finding.place or Place(one.path)
    page = pages.get(finding.code)
    title = f"{finding.code} {page.title.rstrip('.') if page is not None else finding.name}"
    where = f"file={property_text(shown(place.path))},line={place.line},endLine={place.end_line}"
    if place.line == place.end_line:  # GitHub takes columns only within one line
        where += f",col={place.column},endColumn={place.end_column}"
    fix = f" Fix: {finding.remedy.summary}" if finding.remedy is not None else ""
    command = COMMANDS[finding.severity or "info"]
    return f"::{command} {where},title={property_text(title)}::{data(f'{finding.message}{fix}')}"
