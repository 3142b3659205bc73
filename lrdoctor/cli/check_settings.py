"""What `[tool.lrdoctor]` says to `lrdoctor check` alone: sizes by path, versions, schemas. A wrong name is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrdoctor.configs import SchemaMap, Sizes
from lrdoctor.configs.plain import PATHS
from lrdoctor.configs.registry import MODULES
from lrdoctor.errors import SettingsError
from lrdoctor.model.count import Count, parse_count
from lrdoctor.settings import Settings, unknown_name

_SIZES = ("dataset-size", "world-size", "steps-per-epoch")


def sizes_by_path(settings: Settings) -> tuple[tuple[str, Sizes], ...]:
    """(pattern, sizes) of `[tool.lrdoctor.sizes."PATTERN"]`, in the order they stand."""
    found = []
    for pattern, table in settings.sizes.items():
        where = f"{settings.origin}, [tool.lrdoctor.sizes.{pattern!r}]"
        _known(table, _SIZES, "size", where)
        found.append((pattern, Sizes(*(_count(table, key, where) for key in _SIZES))))
    return tuple(found)


def frameworks(settings: Settings) -> Mapping[str, str]:
    """Package -> version of `[tool.lrdoctor.frameworks]`."""
    where = f"{settings.origin}, [tool.lrdoctor.frameworks]"
    _known(settings.frameworks, MODULES, "framework", where)
    return settings.frameworks


def schemas(settings: Settings) -> tuple[SchemaMap, ...]:
    """The tables `[[tool.lrdoctor.schema]]`."""
    where = f"{settings.origin}, [[tool.lrdoctor.schema]]"
    for table in settings.schema:
        _known(table, ("match", *PATHS), "name", where)
        if "match" not in table or "lr" not in table:
            raise SettingsError("A schema needs `match` and `lr`.", where=where, hint=", ".join(PATHS))
    return tuple(
        SchemaMap(table["match"], {key: path for key, path in table.items() if key != "match"})
        for table in settings.schema
    )


def _known(table: Mapping[str, Any], known: tuple[str, ...], what: str, where: str) -> None:
    for name in sorted(set(table) - set(known)):
        raise unknown_name(what, name, known, where)


def _count(table: Mapping[str, Any], key: str, where: str) -> Count | None:
    try:
        return parse_count(str(table[key])) if key in table else None
    except ValueError as error:
        told = f"`{key}` must be a whole number or a range A..B, not {table[key]!r}."
        raise SettingsError(told, where=where) from error
