"""A file of known findings, so that a gate can be raised over an old project without mending it all at once.

A finding is known again by its rule, its file, its key and the value there: not by its line, which moves.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lrdoctor.errors import UsageError
from lrdoctor.model.checked import BY_BASELINE, Checked, CheckedConfig, Remark
from lrdoctor.model.finding import Finding
from lrdoctor.report.checked.fingerprint import fingerprint
from lrdoctor.report.place import shown

FORMAT_VERSION = 1


def baseline_text(checked: Checked) -> str:
    """The present findings as a baseline file."""
    entries = [
        {"fingerprint": fingerprint(one, finding), "code": finding.code, "path": shown(one.path), "key": finding.key}
        for one in checked.configs
        for finding in one.active
    ]
    return json.dumps({"format_version": FORMAT_VERSION, "findings": entries}, indent=2, sort_keys=True) + "\n"


def apply_baseline(checked: Checked, file: Path) -> Checked:
    """The findings that `file` lists set aside, each as often as it is listed; a remark for entries that are gone."""
    left = Counter(_listed(file))
    configs = tuple(
        replace(one, findings=tuple(_aside(one, finding, left) for finding in one.findings)) for one in checked.configs
    )
    gone = sum(left.values())
    told = (Remark(f"{gone} entries of {file} are no longer found; write the baseline anew"),) if gone else ()
    return replace(checked, configs=configs, remarks=(*checked.remarks, *told))


def _aside(one: CheckedConfig, finding: Finding, left: Counter[str]) -> Finding:
    mark = fingerprint(one, finding)
    if finding.suppressed_by is not None or left[mark] <= 0:
        return finding
    left[mark] -= 1
    return replace(finding, suppressed_by=BY_BASELINE)


def _listed(file: Path) -> list[str]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        entries = document["findings"]
        return [str(entry["fingerprint"]) for entry in entries if isinstance(entry, Mapping)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "The baseline cannot be read.", where=str(file), why=str(error), hint="write it with --write-baseline"
        ) from error
