"""Where things lie: the bundled rules/ and templates/, and what is kept for a user.

The bundled folders stand beside the package in a checkout, and inside it in an installed wheel.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).parent
_KINDS = {  # on Linux and its kin, on macOS, on Windows
    "data": (("XDG_DATA_HOME", ".local/share"), "Application Support", ""),
    "cache": (("XDG_CACHE_HOME", ".cache"), "Caches", "Cache"),
}


def _bundled(name: str) -> Path:
    installed = _PACKAGE / "_bundled" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def rules_dir() -> Path:
    """The folder of the built-in rule files."""
    return _bundled("rules")


def templates_dir() -> Path:
    """The folder of the report's Jinja2 templates, CSS and JavaScript."""
    return _bundled("templates")


def package_dir() -> Path:
    """The folder of lrdoctor's own modules."""
    return _PACKAGE


def user_dir(kind: Literal["data", "cache"]) -> Path:
    """The platform's folder for what lrdoctor keeps of a user's; it need not exist."""
    (variable, unix), mac, windows = _KINDS[kind]
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        return base / "lrdoctor" / windows
    if sys.platform == "darwin":
        return Path.home() / "Library" / mac / "lrdoctor"
    return Path(os.environ.get(variable) or Path.home() / unix) / "lrdoctor"
