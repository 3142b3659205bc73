"""What makes a finding about a config the same finding again: its rule, file, key and the text there, not its line."""

from __future__ import annotations

import hashlib

from lrdoctor.model.checked import CheckedConfig
from lrdoctor.model.finding import Finding
from lrdoctor.report.place import shown


def fingerprint(one: CheckedConfig, finding: Finding) -> str:
    """Stable while the finding's rule, file, key and the text at its place stay."""
    place = finding.place
    same_file = place is not None and place.path == one.path and 0 < place.line <= len(one.lines)
    text = " ".join(one.lines[place.line - 1].split()) if place is not None and same_file else ""
    identity = "\0".join((finding.code, shown(one.path), finding.key, text))
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:32]
