"""Rebuild what is a view of the code: docs/rules.md with its figures, docs/cli.md, the README's table of rules, and
the columns of result tables in docs/fleet.md.

python docs/make.py          write them
python docs/make.py --check  exit 1 where one is out of date (the tests do)
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from lrdoctor.cli.main import cli
from lrdoctor.engine import Rule, load_rules
from lrdoctor.engine.rule import Case
from lrdoctor.model.schedule import Schedule
from lrdoctor.report.figure import figure
from lrdoctor.report.tables import COLUMNS
from lrdoctor.resources import rules_dir
from lrdoctor.synth import RunSpec
from lrdoctor.testing import run_case

ROOT = Path(__file__).parents[1]
_COLUMNS = re.compile(r"(?<=<!-- columns: made by `make docs` -->\n).*?(?=<!-- end of columns -->)", re.DOTALL)
_TABLE = re.compile(r"(?<=<!-- rules: made by `make docs` -->\n).*?(?=<!-- end of rules -->)", re.DOTALL)


def rules_page() -> str:
    """Every built-in rule's page, one after the other."""
    head = ["# The rules\n", "Made from the rule files by `make docs`; `lrdoctor explain CODE` shows the same text.\n"]
    return "\n".join([*head, *map(_rule_page, load_rules((rules_dir(),)))])


def _rule_page(rule: Rule) -> str:
    """The page, with the figure of the first firing case below its title."""
    title, _, rest = rule.page.markdown_at(3).strip().partition("\n\n")
    case = _first_firing(rule)
    picture = f"![{case.title}](figures/{rule.code}.svg)\n\n" if case is not None else ""
    return f"## {rule.code} {rule.name} ({rule.severity})\n\n{title}\n\n{picture}{rest}\n"


def _first_firing(rule: Rule) -> Case | None:
    """A case with a run: a config has no executed learning rate to draw."""
    return next((case for case in rule.cases if case.fires and isinstance(case.spec, RunSpec)), None)


def figures() -> dict[str, str]:
    """A figure a rule: what its first firing case executed, and what its remedy would."""
    found = {}
    for rule in load_rules((rules_dir(),)):
        case = _first_firing(rule)
        if case is not None and isinstance(case.spec, RunSpec):
            spec, fixed = case.spec, _remedy(rule, case)
            picture = figure(spec.schedule, fixed, spec.steps, case.title, logged=spec.log_lr)
            found[f"docs/figures/{rule.code}.svg"] = picture
    return found


def _remedy(rule: Rule, case: Case) -> Schedule | None:
    """The schedule of the remedy; where the remedy is none, that of the cured run."""
    remedies = [found.remedy for found in run_case(rule, case) if found.remedy is not None]
    schedule = next((remedy.schedule for remedy in remedies if remedy.schedule is not None), None)
    if schedule is None and isinstance(case.cured, RunSpec):
        return case.cured.schedule
    return schedule


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


def fleet() -> str:
    """The page of many runs, with a row a column of the result tables."""
    rows = [f"| `{one.name}` | {one.kind} | {one.meaning} |\n" for one in COLUMNS]
    table = "".join(["\n| column | type | |\n| --- | --- | --- |\n", *rows, "\n"])
    return _COLUMNS.sub(lambda _: table, (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8"))


PAGES = {"docs/rules.md": rules_page, "docs/cli.md": cli_page, "README.md": readme, "docs/fleet.md": fleet}


def main() -> int:
    stale = []
    for name, text in {**{name: build() for name, build in PAGES.items()}, **figures()}.items():
        path = ROOT / name
        if "--check" in sys.argv[1:]:
            stale += [name] if not path.is_file() or path.read_text(encoding="utf-8") != text else []
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name} is out of date: run `make docs`", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
