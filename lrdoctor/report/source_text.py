"""Python source laid out for reading: long calls with one argument a line."""

from __future__ import annotations

_TOO_LONG = 88


def wrapped(expression: str) -> str:
    """A long call with one argument a line; anything short or already broken as it is."""
    opening = expression.find("(")
    if "\n" in expression or len(expression) <= _TOO_LONG or opening < 0 or not expression.endswith(")"):
        return expression
    lines = "".join(f"    {argument},\n" for argument in _arguments(expression[opening + 1 : -1]))
    return f"{expression[: opening + 1]}\n{lines})"


def _arguments(text: str) -> list[str]:
    """`text` cut at the commas outside brackets."""
    found, depth, start = [], 0, 0
    for i, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            found.append(text[start:i].strip())
            start = i + 1
    return [*found, text[start:].strip()]
