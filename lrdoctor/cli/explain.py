"""`lrdoctor explain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lrdoctor.engine import Rule


@click.command("explain")
@click.argument("rule", metavar="CODE-or-name")
@click.option(
    "--rules",
    "rule_dirs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder of further rules (repeatable).",
)
def command(rule: str, rule_dirs: tuple[Path, ...]) -> None:
    """Explain a rule: what it looks for, why that is bad, how to fix it, its options and sources.

    CODE-or-name is a rule's code (LR101) or its name (onecycle-stepped-per-epoch).
    """
    from lrdoctor.cli.rules import known_rules
    from lrdoctor.engine import find_rule

    page = _page(find_rule(known_rules(rule_dirs), rule))
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(page))
    else:
        click.echo(page, nl=False)


def _page(rule: Rule) -> str:
    """The rule's page as Markdown, with the defaults of its options and what its cases show."""
    parts = [f"# {rule.code} {rule.name} ({rule.severity})", rule.page.markdown.strip()]
    if rule.options:
        defaults = "\n".join(f"- `{name} = {value!r}`" for name, value in rule.options.items())
        parts.append(f"## Defaults\n\nSet in `[tool.lrdoctor.rule-options.{rule.code}]`:\n\n{defaults}")
    if rule.cases:
        cases = "\n".join(f"- {'fires' if case.fires else 'silent'}: {case.title}" for case in rule.cases)
        parts.append(f"## Cases\n\n{cases}")
    return "\n\n".join(parts) + "\n"
