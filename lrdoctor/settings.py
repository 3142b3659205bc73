"""`[tool.lrdoctor]` of the nearest pyproject.toml, as a frozen `Settings`. The command line wins over it."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lrdoctor.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Settings:
    """What a project has decided once. Keys are spelled with dashes in the file.

    `rule_options` maps a rule code to its options, as in `[tool.lrdoctor.rule-options.LR101]`; `limits` names what
    readers take at most, see `lrdoctor.limits`. For configs: `exclude` are patterns as in .gitignore, `frameworks` maps
    a package to the version meant, `sizes` a path pattern to sizes; `schema` lists tables that say which keys of a
    trainer of one's own mean what.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str = "error"
    rules: tuple[str, ...] = ()
    format: str = "text"
    report: str = "lrdoctor-report"
    simulate: bool = True
    device: str = "auto"
    jobs: int = 0
    rule_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    frameworks: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    schema: tuple[Mapping[str, str], ...] = ()
    origin: str | None = None


_RULE_TABLE = "a table of rule codes, each a table of options"
_CHOICES = {
    "fail_on": ("error", "warning", "info", "never"),
    "format": ("text", "json", "sarif", "junit", "github", "markdown"),
    "device": ("auto", "cpu", "cuda", "mps"),
}


def find_settings(start: Path) -> Settings:
    """Settings from the nearest pyproject.toml at or above `start` that has the table, else the defaults."""
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            table = _table(file)
            if table is not None:
                return parse_settings(table, file)
    return Settings()


def _table(file: Path) -> Mapping[str, Any] | None:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            "The settings could not be read.", where=str(file), why=str(error), hint="repair the file, or run elsewhere"
        ) from error
    table = document.get("tool", {}).get("lrdoctor")
    return table if isinstance(table, Mapping) else None


def parse_settings(table: Mapping[str, Any], file: Path) -> Settings:
    """Check every key and value of a [tool.lrdoctor] table; SettingsError names the first that is wrong."""
    known = {item.name.replace("_", "-"): item.name for item in fields(Settings) if item.name != "origin"}
    values: dict[str, Any] = {"origin": str(file)}
    for key, value in table.items():
        if key not in known:
            raise unknown_name("setting", key, known, f"{file}, [tool.lrdoctor]")
        values[known[key]] = _value(known[key], key, value, file)
    return Settings(**values)


def unknown_name(what: str, name: str, known: Iterable[str], where: str) -> SettingsError:
    """The error for a name that is none of `known`, with the one that may be meant."""
    close = difflib.get_close_matches(name, known := tuple(known), n=1)
    hint = f"did you mean `{close[0]}`?" if close else f"known {what}s: " + ", ".join(sorted(known))
    return SettingsError(f"Unknown {what} `{name}`.", where=where, hint=hint)


def _value(name: str, key: str, value: Any, file: Path) -> Any:
    default = getattr(Settings(), name)
    if name == "schema":
        fits = isinstance(value, list) and all(_is_text_table(item) for item in value)
        wanted, value = "tables [[tool.lrdoctor.schema]] of strings", tuple(value) if fits else value
    elif isinstance(default, tuple):
        fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
        wanted, value = "a list of strings", tuple(value) if fits else value
    elif isinstance(default, bool):
        fits, wanted = isinstance(value, bool), "true or false"
    elif isinstance(default, int):
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        wanted = "a whole number, 0 or more"
    elif isinstance(default, str):
        allowed = _CHOICES.get(name)
        fits = isinstance(value, str) and (allowed is None or value in allowed)
        wanted = "one of " + ", ".join(allowed) if allowed else "a string"
    elif name == "limits":
        fits, wanted = isinstance(value, Mapping), "a table of limits"
        value = {key.replace("-", "_"): number for key, number in value.items()} if fits else value
    elif name == "frameworks":
        fits = isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values())
        wanted = 'a table of packages and versions, such as transformers = "4.57"'
    else:
        fits = isinstance(value, Mapping) and all(isinstance(item, Mapping) for item in value.values())
        wanted = "a table of path patterns, each a table of sizes" if name == "sizes" else _RULE_TABLE
    if not fits:
        raise SettingsError(f"Setting `{key}` must be {wanted}, not {value!r}.", where=f"{file}, [tool.lrdoctor]")
    return value


def _is_text_table(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values())
