"""Reads an INI file as the mapping that a YAML file would give: path → nested names and texts → `runtime.config`.

A section is a dotted key, `[collector-db.postgres.orders]`; top-level keys of YAML are in `[kgents]`. No
value is ever interpolated: passwords have percent signs.
"""

import configparser
from pathlib import Path
from typing import Any, Final

from kgents_shared.contract.section import Fault

TOP: Final = "kgents"
_SUFFIX: Final = ".ini"


class UnusableFileError(Exception):
    """The file cannot be read as settings."""

    def __init__(self, expected: str, found: str, advice: str) -> None:
        self.fault = Fault("", expected, found, advice)
        super().__init__(str(self.fault))


def is_ini(path: Path) -> bool:
    """Whether a file is INI by its name."""
    return path.suffix.lower() == _SUFFIX


def read_ini(path: Path) -> dict[object, object]:
    """The sections as nested mappings; every value is a text.

    Raises:
        UnusableFileError: unreadable or malformed; the text quotes nothing of the file, since any line may be a secret.
    """
    # No section gives defaults to the others: that would be a second way to set the same.
    parser = configparser.ConfigParser(interpolation=None, default_section="\0", delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"))  # Windows writes a mark before it
    except OSError as error:
        raise UnusableFileError("a readable file", str(error.strerror), "check the path") from error
    except (configparser.Error, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f"at line {line}" if line else "at an unknown line"
        problem = f"{place}: {type(error).__name__.removesuffix('Error')}"
        raise UnusableFileError("INI", problem, "write `name = value` under a [section]") from None
    document: dict[Any, Any] = {}
    for section in parser.sections():
        node = document
        for name in [] if section == TOP else section.split("."):
            node = node.setdefault(name, {})
            if not isinstance(node, dict):
                raise UnusableFileError(f"[{section}] to be a section", f"{name} with a value", "remove one")
        node.update(parser.items(section))
    return document
