"""The audit as Markdown: a table and the findings, short enough for a chat window or a pull request's comment."""

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
CHAT = 4_000  # characters of an audit: what Slack advises for one message, and a window's height or two
_CHAT_ROOM = CHAT - 256
_TABLE_SHARE = 0.45
_LONGEST_MESSAGE, _LONGEST_VERDICT, _LONGEST_PATH = 700, 180, 120
MARKER = "<!-- lrdoctor -->"  # lets a bot find its own comment and update it
ICONS = {"lr-faulty": "❌", "lr-healthy": "✅", "lr-unknown": "❔"}
ORDER = {"lr-faulty": 0, "lr-unknown": 1, "lr-healthy": 2}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!$])")


def render(audit: Audit | Briefs, pages: Pages) -> str:
    """Marker, headline, table (faulty runs first), then the findings run by run; never longer than `CHAT`.

    Where there is too much, the code of fixes goes first, then all but the codes of findings, then whole runs, which
    are counted.
    """
    ranked = sorted(briefs_of(audit).runs, key=lambda brief: (ORDER[brief.verdict], brief.path))
    head = f"{MARKER}\n{_headline(ranked)}\n\n"
    if not ranked:
        return head
    table = "| run | | executed LR, with the fix | verdict |\n| --- | --- | --- | --- |\n"
    rows, left_rows = fill(map(_row, ranked), int(_TABLE_SHARE * _CHAT_ROOM))
    versions = [_versions(brief, pages) for brief in ranked if brief.active]
    told, left = _fill_with(versions, _CHAT_ROOM - len(head) - len(table) - len(rows))
    return f"{head}{table}{rows}{_left(left_rows, 'run')}\n{told}{_left(left, 'run with findings')}"


def _fill_with(parts: Sequence[tuple[str, ...]], room: int) -> tuple[str, int]:
    """As many leading parts as fit into half the room in their shortest versions, and how many do not.

    What room is left goes to fuller versions of the first ones.
    """
    kept, listed = 0, room // 2
    while kept < len(parts) and len(parts[kept][-1]) <= listed:
        listed -= len(parts[kept][-1])
        kept += 1
    room = room - room // 2 + listed
    told = []
    for versions in parts[:kept]:
        chosen = next(text for text in versions if len(text) - len(versions[-1]) <= room)
        room -= len(chosen) - len(versions[-1])
        told.append(chosen)
    return "".join(told), len(parts) - kept


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
    verdict = escape(_clipped(brief.sentence, _LONGEST_VERDICT))
    return f"| {_path(brief)} | {ICONS[brief.verdict]} | {'<br>'.join(drawn)} | {verdict} |\n"


def _path(brief: Brief) -> str:
    """The run as code; of a long path its end, which tells runs apart."""
    path = printable(shown(brief.path))
    return table_code(path if len(path) <= _LONGEST_PATH else f"…{path[-_LONGEST_PATH:]}")


def _versions(brief: Brief, pages: Pages) -> tuple[str, ...]:
    """The findings of a run: with the code of the fixes, without, and by their codes alone."""
    codes = ", ".join(dict.fromkeys(f"{escape(one.code)} {escape(one.name)}" for one in brief.active))
    return *(_details(brief, pages, code) for code in (True, False)), f"{_path(brief)}: {codes}\n\n"


def _details(brief: Brief, pages: Pages, with_code: bool) -> str:
    schedule = f": {escape(brief.schedule)}" if brief.schedule else ""
    lines = [f"{_path(brief)}{schedule}", ""]
    for finding in brief.active:
        lines += _finding(finding, pages, with_code)
    estimate = _clipped(brief.counterfactual, _LONGEST_MESSAGE)
    if estimate:
        lines += [escape(estimate[0].upper() + estimate[1:]) + ".", ""]
    return "\n".join([*lines, ""])


def _finding(finding: Finding, pages: Pages, with_code: bool) -> list[str]:
    page = pages.get(finding.code)
    title = f" ({escape(page.title.rstrip('.'))})" if page is not None else ""
    head = f"**{escape(finding.code)} {escape(finding.name)}** {finding.severity or 'info'}{title}"
    lines = [f"- {head}: {escape(_clipped(finding.message, _LONGEST_MESSAGE))}"]
    remedy = finding.remedy
    if remedy is not None:
        lines += [f"  - Fix: {escape(_clipped(remedy.summary, _LONGEST_MESSAGE))}"]
        lines += code_block(remedy.code) if with_code else []
    return [*lines, ""]


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


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
