"""What the services log → our stderr, each line under the name of its service."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from kgents_cli.output import is_coloured, note, painted
from kgents_cli.sentence import clean

_COLOURS: Final = ("36", "34", "35", "96", "94", "95")
"""ANSI colours that no level of a message has."""
_LEVELS: Final = {"warning": "warning", "error": "critical", "critical": "critical"}
_SHOWN_APART: Final = ("timestamp", "level", "service", "scope", "event", "exception")

Record = dict[str, Any]


def relay(services: list[str]) -> Callable[[str, bytes], None]:
    """Return a function that takes a service's name and a line of its log, and prints it.

    For people a JSON record becomes a short line. Off a terminal it is passed on unchanged, as it names its service.
    """
    width = max(map(len, services), default=0)
    is_for_people = sys.stderr.isatty()

    def show(service: str, line: bytes) -> None:
        record = _record(line)
        if record is not None and not is_for_people:
            note(line.decode())
            return
        text = _short(record) if record is not None else clean(line.decode(errors="replace"))
        note(f"{_prefix(service, width, services)} {text}")

    return show


def relay_to(file: Path, show: Callable[[str, str], None]) -> Callable[[str, bytes], None]:
    """The same for a terminal that is drawn on: all of it into a file, and what is no mere information to `show`.

    Args:
        file: emptied at the start.
        show: takes a line and its level.
    """
    file.write_bytes(b"")

    def keep(service: str, line: bytes) -> None:
        with file.open("ab") as out:
            out.write(line + b"\n")
        record = _record(line)
        level = _LEVELS.get(str(record.get("level", ""))) if record is not None else "warning"
        if level is not None:
            said = _said(record) if record is not None else line.decode(errors="replace")
            show(clean(f"{service}: {said} (log: {file})"), level)

    return keep


def _record(line: bytes) -> Record | None:
    """The line's record; None if it is no JSON object (a traceback, a line printed by a library)."""
    try:
        return msgspec.json.decode(line, type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _prefix(service: str, width: int, services: list[str]) -> str:
    name = f"{service:<{width}} |"
    if not is_coloured(sys.stderr):
        return name
    return f"\x1b[{_COLOURS[services.index(service) % len(_COLOURS)]}m{name}\x1b[0m"


def _short(record: Record) -> str:
    """Time of day, level, event, values; and the whole traceback of a failure."""
    level = str(record.get("level", ""))
    time = str(record.get("timestamp", ""))[11:19]  # of an RFC 3339 time
    text = clean(_said(record))
    trace = "\n" + "\n".join(map(clean, str(record["exception"]).splitlines())) if "exception" in record else ""
    return f"{time} {painted(f'{level:<7}', _LEVELS.get(level, 'dim'), sys.stderr)} {text}{trace}"


def _said(record: Record) -> str:
    """Event and values."""
    values = " ".join(f"{key}={value}" for key, value in record.items() if key not in _SHOWN_APART)
    return f"{record.get('event', '')} {values}".rstrip()
