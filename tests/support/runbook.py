"""The pages of docs/runbook, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / "docs" / "runbook"
PAGES: Final = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("KG-*.md"))}
"""Check → its page."""

_BLOCK: Final = re.compile(r"^```(sh|sql)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE: Final = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_STATEMENT: Final = re.compile(r"(?:SELECT|SHOW|ALTER|VACUUM|GRANT|ROLLBACK|SET|CREATE) [^…]*;")


def _blocks(page: str, language: str) -> Iterator[str]:
    yield from (text for found, text in _BLOCK.findall(page) if found == language)


def inline(page: str) -> list[str]:
    """What stands between backticks outside of blocks."""
    return _INLINE.findall(_BLOCK.sub("", page))


def commands(page: str) -> list[list[str]]:
    """The words of each command of its blocks; those of a pipe one by one."""
    lines = [line for block in _blocks(page, "sh") for line in block.splitlines()]
    return [shlex.split(part) for line in lines for part in _piped(line)]


def _piped(line: str) -> Iterator[str]:
    """The commands of a line; a `|` within quotes is part of its command."""
    part = ""
    for piece in re.split(r"( \| )", line):
        if piece == " | " and part.count("'") % 2 == 0 and part.count('"') % 2 == 0:
            yield part
            part = ""
        else:
            part += piece
    yield part


def of_tool(page: str, tool: str) -> list[list[str]]:
    """The commands of a tool, in blocks and in sentences."""
    beside = [shlex.split(each) for each in inline(page) if each.startswith(f"{tool} ") and "…" not in each]
    return [words for words in (*commands(page), *beside) if words[0] == tool]


def statements(page: str) -> list[str]:
    """The statements for PostgreSQL, in blocks and in sentences."""
    blocks = [each.strip() for block in _blocks(page, "sql") for each in re.split(r";\s*$", block, flags=re.MULTILINE)]
    return [*(each for each in blocks if each), *(each for each in inline(page) if _STATEMENT.fullmatch(each))]
