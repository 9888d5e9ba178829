"""A report → one HTML document that needs nothing else: no script, no picture, nothing from elsewhere. Pure."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from kgents_cli.availability.report import Report
from kgents_cli.availability.text import GROUPS, OBJECTIVES, budget_row, counted_rows, group_row

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_MEANING: Final = (
    "Available: healthy or warning, as a share of the time that was observed and not planned. "
    "What was not observed is neither available nor down."
)
_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%;margin:0 0 2rem}caption{font-weight:600;text-align:left;padding:.5rem 0}"
    "th,td{text-align:left;white-space:nowrap}"
    "th,td{padding:.3rem .6rem;border-bottom:1px solid #8886;font-variant-numeric:tabular-nums}"
    "@media print{body{margin:0}}"
)


def document(report: Report, since: str, until: str) -> str:
    """The document."""
    parts = [
        "<!doctype html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>Availability, {escape(since)} to {escape(until)}</title>", f"<style>{_STYLE}</style>", "</head>",
        "<body>", "<h1>Availability</h1>", f"<p>{escape(since)} to {escape(until)}</p>",
        f"<p>{_MEANING}</p>",
    ]  # fmt: skip
    if report.budgets:
        parts.append(_table("Objectives", OBJECTIVES, map(budget_row, report.budgets)))
    parts.append(_table(f"By {report.by}", (report.by.upper(), *GROUPS), map(group_row, report.groups)))
    parts.append(_table("Workloads changed most often", ("WORKLOAD", "CHANGES"), counted_rows(report.changes)))
    parts.append(_table("Alerts that fired most often", ("ALERT", "TIMES"), counted_rows(report.noisiest)))
    if report.remarks:
        items = "".join(f"<li>{escape(each)}</li>" for each in report.remarks)
        parts.append(f"<h2>What is not known</h2><ul>{items}</ul>")
    return "\n".join([*parts, "</body>", "</html>"])


def _table(caption: str, heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heading)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    nothing = f'<tr><td colspan="{len(heading)}">none</td></tr>'
    heads = f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
    return f"<table>{heads}<tbody>{body or nothing}</tbody></table>"
