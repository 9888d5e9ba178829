"""What was probably meant by a name that is not known. Pure."""

import difflib
from collections.abc import Iterable
from typing import Final

_LISTED_MAX: Final = 12
"""Names worth reading in an error."""


def did_you_mean(given: str, known: Iterable[str], *, noun: str = "") -> str:
    """The nearest known name, if one is near, or those there are; with a noun, always those there are.

    Args:
        given: the name that is not known.
        known: the names that are.
        noun: what they are: `kinds here`.
    """
    names = sorted(known)
    near = difflib.get_close_matches(given, names, 1)
    more = f" and {len(names) - _LISTED_MAX} more" if len(names) > _LISTED_MAX else ""
    listed = f"{noun or 'known'}: {', '.join(names[:_LISTED_MAX]) or 'none'}{more}"
    if near:
        return f"{listed}; did you mean {near[0]}?" if noun else f"did you mean {near[0]}?"
    return f"{listed}."
