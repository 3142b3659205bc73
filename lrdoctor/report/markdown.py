"""The audit as Markdown: a short table for a pull request's comment or a chat window."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lrdoctor.model.diagnosis import Audit
from lrdoctor.model.finding import Finding
from lrdoctor.report import numbers
from lrdoctor.report.brief import Brief, Briefs, briefs_of
from lrdoctor.report.pages import Pages
from lrdoctor.report.place import shown
from lrdoctor.report.printable import printable

LIMIT = 65_536  # characters GitHub takes in one comment
ROOM = LIMIT - 512  # what the parts may fill; the rest is for the lines that say what was left out
MARKER = "<!-- lrdoctor -->"  # lets a bot find its own comment and update it
ICONS = {"lr-faulty": "❌", "lr-healthy": "✅", "lr-unknown": "❔"}
ORDER = {"lr-faulty": 0, "lr-unknown": 1, "lr-healthy": 2}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!$])")


def render(audit: Audit | Briefs, pages: Pages) -> str:
    """Marker, headline, table (faulty runs first), then the findings of each faulty run; always below `LIMIT`."""
    ranked = sorted(briefs_of(audit).runs, key=lambda brief: (ORDER[brief.verdict], brief.path))
    head = f"{MARKER}\n{_headline(ranked)}\n\n"
    if not ranked:
        return head
    table = "| run | | executed LR, with the fix | verdict |\n| --- | --- | --- | --- |\n"
    rows, left_rows = fill(map(_row, ranked), ROOM // 2)
    details = [_details(brief, pages) for brief in ranked if brief.active]
    told, left_details = fill(details, ROOM - len(head) - len(table) - len(rows))
    return f"{head}{table}{rows}{_left(left_rows, 'run')}\n{told}{_left(left_details, 'run with findings')}"


def fill(parts: Iterable[str], room: int) -> tuple[str, int]:
    """As many leading parts as fit into `room` characters, and how many did not."""
    kept: list[str] = []
    left = 0
    for part in parts:
        if not left and len(part) <= room:
            kept.append(part)
            room -= len(part)
        else:
            left += 1
    return "".join(kept), left


def _left(count: int, noun: str) -> str:
    if not count:
        return ""
    nouns = noun.replace("run", "runs", 1)
    return f"\n_{numbers.plural(count, noun, nouns)} more: see the HTML report._\n"


def _headline(found: Sequence[Brief]) -> str:
    faulty = sum(brief.verdict == "lr-faulty" for brief in found)
    runs = numbers.plural(len(found), "run")
    return f"**lrdoctor**: {faulty} of {runs} with a faulty learning-rate schedule"


def _row(brief: Brief) -> str:
    curves = brief.curves
    drawn = [] if curves is None else [table_code(curve) for curve in (curves.executed, curves.fixed) if curve]
    verdict = escape(brief.sentence)
    path = table_code(shown(brief.path))
    return f"| {path} | {ICONS[brief.verdict]} | {'<br>'.join(drawn)} | {verdict} |\n"


def _details(brief: Brief, pages: Pages) -> str:
    lines = [f"<details><summary>{html_text(shown(brief.path))}</summary>", ""]
    if brief.schedule:
        lines += [f"Schedule: {escape(brief.schedule)}", ""]
    for finding in brief.active:
        lines += _finding(finding, pages)
    estimate = brief.counterfactual
    if estimate:
        lines += [escape(estimate[0].upper() + estimate[1:]) + ".", ""]
    return "\n".join([*lines, "</details>", "", ""])


def _finding(finding: Finding, pages: Pages) -> list[str]:
    page = pages.get(finding.code)
    title = f" ({escape(page.title.rstrip('.'))})" if page is not None else ""
    head = f"**{escape(finding.code)} {escape(finding.name)}** {finding.severity or 'info'}{title}"
    lines = [f"- {head}: {escape(finding.message)}"]
    remedy = finding.remedy
    if remedy is not None:
        lines += [f"  - Fix: {escape(remedy.summary)}", *code_block(remedy.code)]
    return [*lines, ""]


def code_block(code: str, language: str = "python") -> list[str]:
    """`code` fenced, indented to belong to a list item; nothing for no code."""
    if not code:
        return []
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", code)), default=0))
    return ["", *(f"    {line}" for line in (f"{fence}{language}", *code.splitlines(), fence))]


def escape(text: str) -> str:
    """`text` on one line with everything Markdown would read as markup escaped, mentions included."""
    return _SPECIAL.sub(r"\\\1", printable(text)).replace("@", "&#64;")


def table_code(text: str) -> str:
    """`text` as code inside a table cell: a pipe would end the cell and a backtick the code."""
    clean = printable(text).replace("`", "'").replace("|", "¦")
    return f"`{clean}`" if clean else ""


def html_text(text: str) -> str:
    """`text` for the places where Markdown passes HTML through."""
    return printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")
