"""Titles, cells and rows → Markdown text. Independent of the content."""

from collections.abc import Iterable, Sequence

from reference import GENERATED


def page(title: str, *blocks: str) -> str:
    """A whole document: first that it is generated, then its title, then blocks with a blank line between them."""
    return "\n\n".join((f"<!-- {GENERATED} -->", f"# {title}", *blocks)) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under a header, unaligned: a longer cell would otherwise change every line of the diff."""
    return "\n".join(_line(cells) for cells in (header, ["---"] * len(header), *rows))


def code(text: str) -> str:
    """Text as it is typed; nothing for nothing."""
    return f"`{text}`" if text else ""


def listing(text: str) -> str:
    """Lines as they are shown by a terminal."""
    return f"```text\n{text.rstrip()}\n```"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
