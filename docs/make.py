"""Rebuild what is a view of the code: docs/rules.md, docs/cli.md and the README's table of rules.

python docs/make.py          write them
python docs/make.py --check  exit 1 where one is out of date (the tests do)
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from lrdoctor.cli.main import cli
from lrdoctor.engine import load_rules
from lrdoctor.resources import rules_dir

ROOT = Path(__file__).parents[1]
_TABLE = re.compile(r"(?<=<!-- rules: made by `make docs` -->\n).*?(?=<!-- end of rules -->)", re.DOTALL)


def rules_page() -> str:
    """Every built-in rule's page, one after the other."""
    head = ["# The rules\n", "Made from the rule files by `make docs`; `lrdoctor explain CODE` shows the same text.\n"]
    pages = [
        f"## {rule.code} {rule.name} ({rule.severity})\n\n{rule.page.markdown_at(3).strip()}\n"
        for rule in load_rules((rules_dir(),))
    ]
    return "\n".join([*head, *pages])


def cli_page() -> str:
    """`--help` of the program and of each command."""
    parts = ["# Command line\n", "Made from `--help` by `make docs`.\n", _help(cli, "lrdoctor")]
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is not None:
            parts.append(_help(command, f"lrdoctor {name}"))
    return "\n".join(parts)


def _help(command: click.Command, name: str) -> str:
    context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
    return f"## `{name}`\n\n```text\n{command.get_help(context)}\n```\n"


def readme() -> str:
    """The README with a row a rule."""
    rows = [f"| {rule.code} | {rule.page.title.rstrip('.')} |\n" for rule in load_rules((rules_dir(),))]
    table = "".join(["\n| rule | fault |\n| --- | --- |\n", *rows, "\n"])
    return _TABLE.sub(lambda _: table, (ROOT / "README.md").read_text(encoding="utf-8"))


PAGES = {"docs/rules.md": rules_page, "docs/cli.md": cli_page, "README.md": readme}


def main() -> int:
    stale = []
    for name, build in PAGES.items():
        text, path = build(), ROOT / name
        if "--check" in sys.argv[1:]:
            stale += [name] if not path.is_file() or path.read_text(encoding="utf-8") != text else []
        else:
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name} is out of date: run `make docs`", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
