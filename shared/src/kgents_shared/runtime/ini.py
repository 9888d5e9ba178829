"""An INI file as the mapping that a YAML file would give: path → nested names and texts → `runtime.config`.

A section is a dotted key, `[collector-db.postgres.orders]`; what stands at the top in YAML stands in `[kgents]`. No
value is ever interpolated: passwords have percent signs.
"""

import configparser
from pathlib import Path
from typing import Any, Final

TOP: Final = "kgents"
_SUFFIX: Final = ".ini"


class UnusableFileError(Exception):
    """The file gives nothing that could be walked."""


def is_ini(path: Path) -> bool:
    """Whether a file is INI by its name."""
    return path.suffix.lower() == _SUFFIX


def read_ini(path: Path) -> dict[object, object]:
    """The sections as nested mappings; every value is a text.

    Raises:
        UnusableFileError: unreadable or malformed; the text quotes nothing of the file, since any line may be a secret.
    """
    # No section gives defaults to the others: it would be a second way to say the same.
    parser = configparser.ConfigParser(interpolation=None, default_section="\0", delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"))  # Windows writes a mark before it
    except OSError as error:
        raise UnusableFileError(f"expected a readable file, found: {error.strerror}; check the path") from error
    except (configparser.Error, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f"line {line}" if line else "an unknown line"
        problem = type(error).__name__.removesuffix("Error")
        raise UnusableFileError(
            f"expected INI, found at {place}: {problem}; write `name = value` under a [section]"
        ) from (None)
    document: dict[Any, Any] = {}
    for section in parser.sections():
        node = document
        for name in [] if section == TOP else section.split("."):
            node = node.setdefault(name, {})
            if not isinstance(node, dict):
                raise UnusableFileError(f"expected [{section}] to be a section, found {name} with a value; remove one")
        node.update(parser.items(section))
    return document
