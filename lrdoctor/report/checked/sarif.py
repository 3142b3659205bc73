"""The check as SARIF 2.1.0, each finding at its line."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from lrdoctor.model.checked import BY_COMMENT, Checked, CheckedConfig
from lrdoctor.model.finding import Finding
from lrdoctor.model.place import Place
from lrdoctor.report.checked.fingerprint import fingerprint
from lrdoctor.report.pages import Pages
from lrdoctor.report.sarif import LEVELS, ROOT, SCHEMA, artifact, message, rule_entry, severest
from lrdoctor.report.strict import strict


def render(checked: Checked, pages: Pages) -> str:
    """One SARIF run: every finding a result (those set aside marked), every code that occurs a rule with its page."""
    found = [(one, finding) for one in checked.configs for finding in one.findings]
    codes = sorted({finding.code for _, finding in found})
    examples = dict(severest(finding for _, finding in found))
    driver = {
        "name": "lrdoctor",
        "version": checked.version,
        "semanticVersion": checked.version,
        "rules": [rule_entry(code, examples[code], pages) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "The folder the check was started in."}}},
        "results": _results(found, codes),
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": _notifications(checked)}],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(strict(log)[0], sort_keys=True, indent=2, allow_nan=False) + "\n"


def _results(found: list[tuple[CheckedConfig, Finding]], codes: list[str]) -> list[dict[str, Any]]:
    seen: Counter[str] = Counter()
    results = []
    for one, finding in found:
        mark = fingerprint(one, finding)
        seen[mark] += 1
        results.append(_result(one, finding, codes.index(finding.code), mark, seen[mark]))
    return results


def _result(one: CheckedConfig, finding: Finding, index: int, mark: str, times: int) -> dict[str, Any]:
    place = finding.place or Place(one.path)
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": LEVELS[finding.severity or "info"],
        "message": {"text": message(finding)},
        "locations": [{"physicalLocation": {"artifactLocation": artifact(place.path), "region": _region(place)}}],
        "partialFingerprints": {
            "lrdoctorFinding/v1": f"{mark}:{times}",
            "primaryLocationLineHash": f"{mark[:16]}:{times}",
        },
        "properties": {"key": finding.key, "evidence": dict(finding.evidence)},
    }
    if finding.suppressed_by:
        kind = "inSource" if finding.suppressed_by == BY_COMMENT else "external"
        reason = f"set aside by {finding.suppressed_by}"
        result["suppressions"] = [{"kind": kind, "status": "accepted", "justification": reason}]
    return result


def _region(place: Place) -> dict[str, int]:
    return {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": max(place.end_line, place.line),
        "endColumn": place.end_column,
    }


def _notifications(checked: Checked) -> list[dict[str, Any]]:
    told = [(f"not checked: {item.reason}", item.path) for item in checked.skipped]
    told += [(remark.text, remark.place.path) for remark in checked.remarks if remark.place is not None]
    return [
        {
            "level": "note",
            "message": {"text": text},
            "locations": [{"physicalLocation": {"artifactLocation": artifact(path)}}],
        }
        for text, path in told
    ]
