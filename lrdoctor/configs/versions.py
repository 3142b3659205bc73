"""Which version of a framework a config is meant for: what the settings say, else what the project pins."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Key = tuple[int, ...]
_PIN = re.compile(r"^\s*([A-Za-z0-9_.\-]+)\s*(?:\[[^\]]*\])?\s*\(?((?:[=<>!~^]=?=?\s*[\w.*]+\s*,?\s*)*)")
_BOUND = re.compile(r"(===?|~=|<=|>=|<|>|!=|\^|~)\s*([\w.*]+)")
_REQUIREMENTS = ("requirements*.txt", "requirements/*.txt")


@dataclass(frozen=True, slots=True)
class Version:
    """`exact` is the version, None where only bounds are known; `below` and `least` are those; `source` who says so."""

    exact: str | None
    source: str
    least: str | None = None
    below: str | None = None

    def choose(self, candidates: tuple[str, ...]) -> str | None:
        """The version itself, else the newest of `candidates` (newest first) within the bounds."""
        if self.exact is not None:
            return self.exact
        fits = (one for one in candidates if self._allows(one))
        return next(fits, None)

    def _allows(self, version: str) -> bool:
        above = self.least is None or key(version) >= key(self.least)
        return above and (self.below is None or key(version) < key(self.below))


def nothing_installed(package: str) -> Version | None:
    return None


def key(version: str) -> Key:
    """(5, 14, 0) of "5.14.0rc1"."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def lookup(folder: Path, configured: Mapping[str, str]) -> Callable[[str], Version | None]:
    """A function from a package's name to its version for configs in `folder`."""

    def version(package: str) -> Version | None:
        if package in configured:
            return Version(configured[package], "[tool.lrdoctor.frameworks]")
        for place in (folder, *folder.parents):
            found = _pins(place).get(_name(package))
            if found is not None:
                return found
            if (place / ".git").exists():
                break
        return None

    return version


def _name(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


@cache
def _pins(folder: Path) -> Mapping[str, Version]:
    """Package -> version as the lock file, the requirements or the pyproject of one folder tell, in this order."""
    found: dict[str, Version] = {}
    for name in ("uv.lock", "poetry.lock", "pdm.lock"):
        found = {**_locked(folder / name), **found}
    for pattern in _REQUIREMENTS:
        for path in sorted(folder.glob(pattern)):
            found = {**_required(path), **found}
    return {**_project(folder / "pyproject.toml"), **found}


def _locked(path: Path) -> dict[str, Version]:
    packages = _toml(path).get("package", [])
    known = [item for item in packages if isinstance(item, dict) and "name" in item and "version" in item]
    return {_name(item["name"]): Version(item["version"], path.name) for item in known}


def _required(path: Path) -> dict[str, Version]:
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return dict(_pinned(line.split("#")[0], path.name) for line in lines if line.strip() and line.strip()[0].isalpha())


def _project(path: Path) -> dict[str, Version]:
    document = _toml(path)
    project, poetry = _table(document, "project"), _table(_table(document, "tool"), "poetry")
    groups = [project.get("dependencies"), *_table(project, "optional-dependencies").values()]
    groups += _table(document, "dependency-groups").values()
    listed = [line for group in groups if isinstance(group, list) for line in group if isinstance(line, str)]
    tables = [poetry, *(group for group in _table(poetry, "group").values() if isinstance(group, dict))]
    listed += [_poetry(name, wanted) for table in tables for name, wanted in _table(table, "dependencies").items()]
    return dict(_pinned(line, path.name) for line in listed)


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _poetry(name: str, wanted: Any) -> str:
    """`transformers = "^4.44"` or `{version = "^4.44"}` as a requirement."""
    version = wanted.get("version", "") if isinstance(wanted, dict) else wanted
    text = str(version).strip()
    return f"{name} {text if text[:1] in '=<>!~^*' else f'=={text}'}" if text and text != "*" else name


def _pinned(line: str, source: str) -> tuple[str, Version]:
    match = _PIN.match(line)
    name, bounds = (match[1], match[2]) if match else (line, "")
    exact = least = below = None
    for sign, version in _BOUND.findall(bounds):
        if sign in ("==", "===") and "*" not in version:
            exact = version
        elif sign in ("==", "~=", "~", "^"):
            least, below = version.removesuffix(".*"), _next(sign, version)
        elif sign in (">=", ">"):
            least = version
        elif sign in ("<", "<="):
            below = version if sign == "<" else f"{version}.1"
    return _name(name), Version(exact, source, least, below)


def _next(sign: str, version: str) -> str:
    """The first version that `==4.57.*`, `~=4.44`, `~4.44` and `^4.44` leave out."""
    parts = list(key(version)) or [0]
    kept = {"==": len(parts), "~=": max(1, len(parts) - 1), "~": min(2, len(parts)), "^": 1}[sign]
    return ".".join(str(part) for part in (*parts[: kept - 1], parts[kept - 1] + 1))


def _toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
