"""What was probably meant by a name that is not known. Pure."""

import difflib
from collections.abc import Iterable
from typing import Final

_LISTED_MAX: Final = 12
"""Names worth reading in an error."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The nearest known name, or those there are."""
    names = sorted(known)
    if near := difflib.get_close_matches(given, names, 1):
        return f"did you mean {near[0]}?"
    more = f" and {len(names) - _LISTED_MAX} more" if len(names) > _LISTED_MAX else ""
    return f"known: {', '.join(names[:_LISTED_MAX]) or 'none'}{more}."
