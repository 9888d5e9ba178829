"""A version → its section of CHANGELOG.md. Pure."""

import re
from typing import Final

UNRELEASED: Final = "Unreleased"


def section(changelog: str, version: str) -> str:
    """What the changelog says of a version; of what is not released yet if it has no section.

    Raises:
        ValueError: it says nothing of either.
    """
    parts = dict(re.findall(r"^## \[?([^\]\s]+)\]?[^\n]*\n(.*?)(?=^## |\Z)", changelog, re.DOTALL | re.MULTILINE))
    found = str(parts.get(version) or parts.get(UNRELEASED) or "").strip()
    if not found:
        raise ValueError(f"expected a section {version} or {UNRELEASED} in CHANGELOG.md, found none; try: write it")
    return f"# kgents {version}\n\n{found}\n"
