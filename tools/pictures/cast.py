"""What a program draws on a terminal → an asciicast of version 2, which `asciinema play` shows. Pure.

A full-screen program draws everything with each change. The recording keeps one picture a second, and of each only the
lines that differ: so it is small, and a player shows the same.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Final

HOME: Final = "\x1b[H"
CLEAR_BELOW: Final = "\x1b[J"


def last_picture(written: str) -> list[str]:
    """The lines of the last whole picture, with their colours; empty while there is none."""
    whole = written.rpartition(CLEAR_BELOW)[0].rpartition(HOME)[2]
    return [line.rstrip("\r") for line in whole.split("\r\n")] if whole else []


class Cast:
    """The recording: a header, then each second's difference."""

    def __init__(self, columns: int, lines: int, title: str) -> None:
        header = {"version": 2, "width": columns, "height": lines, "title": title, "env": {"TERM": "xterm-256color"}}
        self._records = [json.dumps(header)]
        self._shown: Sequence[str] = ()
        self._height = lines

    def show(self, second: float, picture: Sequence[str]) -> None:
        """What the terminal shows at this second."""
        changes = "".join(_changes(self._shown, picture))
        if changes:
            self._records.append(json.dumps([round(second, 2), "o", changes], ensure_ascii=False))
        self._shown = list(picture)

    def text(self) -> str:
        """The file."""
        return "\n".join(self._records) + "\n"


def _changes(before: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    """Move to each line that differs, and write it; each line clears what it does not fill."""
    if not before:
        yield "\x1b[?25l\x1b[2J"
    for number, line in enumerate(now):
        if number >= len(before) or before[number] != line:
            yield f"\x1b[{number + 1};1H{line}"
    if len(now) < len(before):
        yield f"\x1b[{len(now) + 1};1H{CLEAR_BELOW}"
