"""Checks whether a label selector is well-formed, as `kubectl -l` takes it. Pure."""

import re
from typing import Final

_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DOMAIN: Final = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
_KEY: Final = rf"(?:{_DOMAIN}/)?{_NAME}"
_VALUE: Final = rf"(?:{_NAME})?"
_VALUES: Final = rf"\(\s*{_VALUE}(?:\s*,\s*{_VALUE})*\s*\)"
_REQUIREMENT: Final = re.compile(
    rf"\s*(?:!\s*{_KEY}|{_KEY}(?:\s*(?:==|=|!=)\s*{_VALUE}|\s+(?:in|notin)\s+{_VALUES}|\s*[<>]\s*-?[0-9]+)?)\s*"
)


def fault(selector: str) -> str:
    """What is wrong with a selector; empty if nothing is."""
    if not selector.strip():
        return ""
    for requirement in _requirements(selector):
        if not _REQUIREMENT.fullmatch(requirement):
            return f'"{requirement.strip()}"' if requirement.strip() else "nothing beside a comma"
    return ""


def _requirements(selector: str) -> list[str]:
    """Its parts, separated by commas that are not inside parentheses."""
    parts = [""]
    depth = 0
    for character in selector:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
