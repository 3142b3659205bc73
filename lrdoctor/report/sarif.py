"""The audit as SARIF 2.1.0 (OASIS), in the dialect GitHub code scanning reads."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lrdoctor.model.diagnosis import Audit
from lrdoctor.model.finding import Finding
from lrdoctor.report.brief import Brief, Briefs, briefs_of
from lrdoctor.report.pages import Pages
from lrdoctor.report.place import relative, shown
from lrdoctor.report.strict import strict
from lrdoctor.report.words import severity_rank

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"  # the folder the audit was started in; code scanning maps it to the checkout
LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def render(audit: Audit | Briefs, pages: Pages) -> str:
    """One SARIF run: every finding a result (suppressed ones marked), every code that occurs a rule with its page."""
    audit = briefs_of(audit)
    found = [(brief, finding) for brief in audit.runs for finding in brief.findings]
    codes = sorted({finding.code for _, finding in found})
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(audit, codes, dict(severest(finding for _, finding in found)), pages)},
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {ROOT: {"description": {"text": "The folder the audit was started in."}}},
                "results": _results(found, codes),
                "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": _notifications(audit)}],
            }
        ],
    }
    return json.dumps(strict(log)[0], sort_keys=True, indent=2, allow_nan=False) + "\n"


def severest(findings: Iterable[Finding]) -> list[tuple[str, Finding]]:
    """Pairs of code and finding, the severest of each code last."""
    return [(finding.code, finding) for finding in sorted(findings, key=lambda finding: -severity_rank(finding))]


def _driver(audit: Briefs, codes: list[str], example: dict[str, Finding], pages: Pages) -> dict[str, Any]:
    rules = [rule_entry(code, example[code], pages) for code in codes]
    return {"name": "lrdoctor", "version": audit.version, "semanticVersion": audit.version, "rules": rules}


def rule_entry(code: str, example: Finding, pages: Pages) -> dict[str, Any]:
    """A code as SARIF's reportingDescriptor, with the rule's page as help."""
    rule: dict[str, Any] = {
        "id": code,
        "name": example.name,
        "defaultConfiguration": {"level": LEVELS[example.severity or "info"]},
        "shortDescription": {"text": example.name.replace("-", " ")},
    }
    page = pages.get(code)
    if page is not None:
        rule["shortDescription"] = {"text": page.title}
        rule["fullDescription"] = {"text": page.what or page.title}
        rule["help"] = {"text": "\n\n".join(part for part in (page.what, page.why, page.fix) if part) or page.title}
        rule["help"]["markdown"] = page.markdown
    return rule


def _results(found: list[tuple[Brief, Finding]], codes: list[str]) -> list[dict[str, Any]]:
    seen: dict[str, int] = {}
    results = []
    for brief, finding in found:
        identity = "|".join((finding.code, shown(brief.path), finding.group or ""))
        seen[identity] = seen.get(identity, 0) + 1
        results.append(_result(brief, finding, codes.index(finding.code), f"{identity}|{seen[identity]}"))
    return results


def _result(brief: Brief, finding: Finding, index: int, identity: str) -> dict[str, Any]:
    mark = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": LEVELS[finding.severity or "info"],
        "message": {"text": message(finding)},
        "locations": [_location(brief)],
        "partialFingerprints": {"lrdoctorFinding/v1": mark, "primaryLocationLineHash": f"{mark[:16]}:1"},
        "properties": {
            "run": shown(brief.path),
            "firstStep": finding.first_step,
            "lastStep": finding.last_step,
            "evidence": dict(finding.evidence),
        },
    }
    if finding.suppressed_by:
        reason = f"explained by {finding.suppressed_by}"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": reason}]
    return result


def message(finding: Finding) -> str:
    """What a result says: the finding and its cure."""
    remedy = finding.remedy
    return f"{finding.message} Fix: {remedy.summary}" if remedy is not None and remedy.summary else finding.message


def _location(brief: Brief) -> dict[str, Any]:
    """The run's main log; its first line, because code scanning refuses a place without one."""
    return {
        "physicalLocation": {"artifactLocation": artifact(brief.file), "region": {"startLine": 1}},
        "logicalLocations": [{"fullyQualifiedName": shown(brief.path), "kind": "module"}],
    }


def artifact(path: str) -> dict[str, str]:
    """Where a file is: relative to the working folder where it lies below it."""
    below = relative(path)
    if below is None:
        return {"uri": Path(os.path.abspath(path)).as_uri()}
    return {"uri": quote(below, errors="surrogateescape"), "uriBaseId": ROOT}


def _notifications(audit: Briefs) -> list[dict[str, Any]]:
    return [
        {
            "level": "note",
            "message": {"text": f"not audited: {skipped.reason}"},
            "locations": [{"physicalLocation": {"artifactLocation": artifact(skipped.path)}}],
        }
        for skipped in audit.skipped
    ]
