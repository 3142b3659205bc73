"""Where the bundled rules/ and templates/ lie: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def _bundled(name: str) -> Path:
    installed = _PACKAGE / "_bundled" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def rules_dir() -> Path:
    """The folder of the built-in rule files."""
    return _bundled("rules")


def templates_dir() -> Path:
    """The folder of the report's Jinja2 templates, CSS and JavaScript."""
    return _bundled("templates")
