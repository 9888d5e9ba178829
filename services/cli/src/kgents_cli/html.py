"""Tables → one HTML document that needs nothing else: no script, no picture, nothing from elsewhere. Pure."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

import msgspec

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%;margin:0 0 2rem}caption{font-weight:600;text-align:left;padding:.5rem 0}"
    "th,td{text-align:left}th,td:not(:last-child){white-space:nowrap}"
    "th,td{padding:.3rem .6rem;border-bottom:1px solid #8886;font-variant-numeric:tabular-nums}"
    "@media print{body{margin:0}}"
)


class Table(msgspec.Struct, frozen=True):
    """One table; without rows it says `none`."""

    caption: str
    heading: Sequence[str]
    rows: Sequence[Sequence[str]]


def document(title: str, about: str, meaning: str, tables: Iterable[Table], remarks: Sequence[str]) -> str:
    """The document.

    Args:
        title: of what it is a report.
        about: which time.
        meaning: how its figures are to be read.
        tables: in their order.
        remarks: what is not known.
    """
    parts = [
        "<!doctype html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{escape(title)}, {escape(about)}</title>", f"<style>{_STYLE}</style>", "</head>",
        "<body>", f"<h1>{escape(title)}</h1>", f"<p>{escape(about)}</p>", f"<p>{escape(meaning)}</p>",
    ]  # fmt: skip
    parts += map(_table, tables)
    if remarks:
        items = "".join(f"<li>{escape(each)}</li>" for each in remarks)
        parts.append(f"<h2>What is not known</h2><ul>{items}</ul>")
    return "\n".join([*parts, "</body>", "</html>"])


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in table.heading)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    nothing = f'<tr><td colspan="{len(table.heading)}">none</td></tr>'
    heads = f"<caption>{escape(table.caption)}</caption><thead><tr>{head}</tr></thead>"
    return f"<table>{heads}<tbody>{body or nothing}</tbody></table>"
