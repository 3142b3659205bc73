"""By what an audit is known to say again what an earlier one said."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lrdoctor.auditing.options import rules_mark
from lrdoctor.auditing.task import Job
from lrdoctor.resources import package_dir, templates_dir

_PACKAGES = ("numpy", "scipy", "pandas", "torch", "pyarrow", "tensorboard", "plotly")  # what results may hang on


def code_seal(job: Job[Any]) -> bytes:
    """Equal for two audits by one lrdoctor, with the same packages and limits: 32 bytes."""
    told = {
        "limits": asdict(job.limits),
        "version": job.version,
        "code": _code_mark(),
        "packages": [_version(name) for name in _PACKAGES],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).digest()


def job_mark(job: Job[Any], seal: bytes) -> str:
    """Equal for two audits that must say the same of the same run: one lrdoctor, one set of rules, the same options."""
    options = job.options
    asked = {
        "rule_options": options.rule_options,
        "simulate": options.simulate,
        "device": options.device,
        "tags": options.tags,
        "rules": rules_mark(options),
        "library": _content(_library()),
        "seal": seal.hex(),
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


def _code_mark() -> str:
    """Changes with lrdoctor's own files: a checkout has one version for long."""
    files = sorted(file for folder in (package_dir(), templates_dir()) for file in folder.rglob("*") if _counts(file))
    told = [(file.name, status.st_size, status.st_mtime_ns) for file in files for status in (file.stat(),)]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _counts(file: Path) -> bool:
    return file.suffix in (".py", ".json", ".html", ".css", ".js", ".svg")


def _library() -> Path:
    from lrdoctor.simulate.user_library import library_file

    return library_file()


def _content(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() if os.path.isfile(file) else ""
    except OSError:
        return ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
