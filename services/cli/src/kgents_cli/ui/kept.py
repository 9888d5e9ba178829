"""What a dashboard remembers until it is started again: screen, order, filters, theme, what is open. Never a secret."""

import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from kgents_shared.runtime.config import process_environ

SIZE_MAX: Final = 1 << 20


class Kept(msgspec.Struct):
    """The file. Names that it does not know are passed over."""

    screen: str = ""
    filters: dict[str, str] = {}
    opened: list[str] = []
    theme: str = ""
    order: str = ""


def path() -> Path:
    """Where it is, by the XDG base directories."""
    environ = process_environ()
    home = environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111 - it never fails
    return Path(home) / "kgents" / "ui.json"


def load(file: Path) -> Kept:
    """What is kept; of a file that is missing or damaged, nothing."""
    try:
        return msgspec.json.decode(file.read_bytes()[:SIZE_MAX], type=Kept)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return Kept()


def save(file: Path, kept: Kept) -> None:
    """Keep it: whole, or not at all. A directory that cannot be written keeps nothing."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as new:
            new.write(msgspec.json.format(msgspec.json.encode(kept)))
        Path(new.name).replace(file)
    except OSError:
        return
