"""`lrdoctor skill`."""

from __future__ import annotations

from pathlib import Path

import click

from lrdoctor.cli.shared import write_answer


@click.command("skill")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file: .../lrdoctor/SKILL.md."
)
def command(output: Path | None) -> None:
    """Print the skill file: when and how a coding agent uses lrdoctor.

    Agents that read skills find it as lrdoctor/SKILL.md in their folder of skills.
    """
    from importlib.resources import files

    write_answer(files("lrdoctor").joinpath("skill", "SKILL.md").read_text(encoding="utf-8"), output)
