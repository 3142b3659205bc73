"""The check as Markdown: a table and details for a pull request's comment or a step summary."""

from __future__ import annotations

from lrdoctor.model.checked import Checked, CheckedConfig
from lrdoctor.model.finding import Finding
from lrdoctor.model.place import Place
from lrdoctor.report.brief import CURVE_WIDTH
from lrdoctor.report.checked.curves import plan_curves
from lrdoctor.report.checked.words import headline, open_questions, plan_words
from lrdoctor.report.markdown import MARKER, ROOM, code_block, escape, fill, html_text, table_code
from lrdoctor.report.pages import Pages
from lrdoctor.report.place import shown
from lrdoctor.report.words import severity_rank

ICONS = {"error": "❌", "warning": "⚠️", "info": "ℹ️", "": "✅"}


def render(checked: Checked, pages: Pages) -> str:
    """Marker, headline, table (configs with findings first), then the findings; always below GitHub's limit."""
    ranked = sorted(checked.configs, key=lambda one: (_rank(one), one.path))
    head = f"{MARKER}\n**lrdoctor**: {escape(headline(checked))}\n\n"
    if not ranked:
        return head
    table = "| config | | planned LR (before, after) | plan |\n| --- | --- | --- | --- |\n"
    rows, left_rows = fill(map(_row, ranked), ROOM // 2)
    details = [_details(one, pages) for one in ranked if one.active]
    told, left = fill(details, ROOM - len(head) - len(table) - len(rows))
    more = f"\n_{left_rows} more configs._\n" if left_rows else ""
    rest = f"\n_{left} more configs with findings: see `--format json`._\n" if left else ""
    return f"{head}{table}{rows}{more}\n{told}{rest}"


def _rank(one: CheckedConfig) -> int:
    return min((severity_rank(finding) for finding in one.active), default=len(ICONS))


def _worst(one: CheckedConfig) -> str:
    return min(one.active, key=severity_rank).severity or "info" if one.active else ""


def _row(one: CheckedConfig) -> str:
    curves = plan_curves(one.plan, one.base, width=CURVE_WIDTH)
    lines = [table_code(curve) for curve in (curves.before, curves.after) if curve]
    plan = escape(plan_words(one.plan)) if one.plan is not None else "cannot be read"
    return f"| {table_code(shown(one.path))} | {ICONS[_worst(one)]} | {'<br>'.join(lines)} | {plan} |\n"


def _details(one: CheckedConfig, pages: Pages) -> str:
    lines = [f"<details open><summary>{html_text(shown(one.path))}</summary>", ""]
    for finding in one.active:
        lines += _finding(one, finding, pages)
    question = open_questions(one)
    if question:
        lines += [escape(question[0].upper() + question[1:]) + ".", ""]
    return "\n".join([*lines, "</details>", "", ""])


def _finding(one: CheckedConfig, finding: Finding, pages: Pages) -> list[str]:
    place, page = finding.place or Place(one.path), pages.get(finding.code)
    title = f" ({escape(page.title.rstrip('.'))})" if page is not None else ""
    head = f"**{escape(finding.code)} {escape(finding.name)}** {finding.severity or 'info'}{title}"
    lines = [f"- {head}, line {place.line}: {escape(finding.message)}"]
    if finding.remedy is not None:
        lines += [f"  - Fix: {escape(finding.remedy.summary)}", *code_block(finding.remedy.code, "yaml")]
    return [*lines, ""]
