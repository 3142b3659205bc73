"""`lrdoctor rules`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lrdoctor.engine import Rule

FORMAT_VERSION = 1


@click.command("rules")
@click.option("--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option(
    "--rules",
    "rule_dirs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder of further rules (repeatable).",
)
def command(format_: str, rule_dirs: tuple[Path, ...]) -> None:
    """List the rules: code, name, default severity and what each one says.

    The built-in ones, those of the settings file and those of every --rules folder. `lrdoctor explain CODE` shows a
    rule's page.
    """
    rules = known_rules(rule_dirs)
    if format_ == "json":
        click.echo(_as_json(rules))
    elif sys.stdout.isatty():
        _print_table(rules)
    else:
        for rule in rules:
            click.echo(f"{rule.code}  {rule.name}  {rule.severity}  {rule.page.title}")


def known_rules(rule_dirs: Sequence[Path]) -> tuple[Rule, ...]:
    """The built-in rules and the user's: those of `rule_dirs`, else of the settings file, as the audit does."""
    from lrdoctor.engine import load_rules
    from lrdoctor.resources import rules_dir
    from lrdoctor.settings import find_settings

    if rule_dirs:
        return load_rules((rules_dir(), *rule_dirs))
    settings = find_settings(Path.cwd())
    home = Path(settings.origin).parent if settings.origin else Path()
    return load_rules((rules_dir(), *(home / folder for folder in settings.rules)))


def _as_json(rules: Sequence[Rule]) -> str:
    document = {"format_version": FORMAT_VERSION, "rules": [_entry(rule) for rule in rules]}
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, default=str)


def _entry(rule: Rule) -> dict[str, Any]:
    return {
        "code": rule.code,
        "name": rule.name,
        "severity": rule.severity,
        "summary": rule.page.title,
        "needs": [need.label for need in rule.needs if not need.optional],
        "options": dict(rule.all_options),
        "checks": ["configs" if check.checks_configs else "runs" for check in rule.checks],
        "suppresses": list(rule.suppresses),
    }


def _print_table(rules: Sequence[Rule]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("code", "name", "severity", "what it says", box=None, pad_edge=False, header_style="bold")
    for rule in rules:
        table.add_row(*(Text(part) for part in (rule.code, rule.name, rule.severity, rule.page.title)))
    Console().print(table)
