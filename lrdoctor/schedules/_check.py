"""Argument checks of the schedule families."""

from __future__ import annotations


def require(condition: bool, rule: str, value: object) -> None:
    """Raise ValueError saying the rule and the offending value. Bad arguments always raise, never clamp."""
    if not condition:
        raise ValueError(f"{rule}, got {value!r}")
