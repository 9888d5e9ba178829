"""How long until the next try. Pure."""

from typing import Final

FIRST_S: Final = 2.0
MAX_S: Final = 60.0
JITTER: Final = 0.2
"""A share by which a pause is shorter or longer, so that several notifiers do not come at once."""
ASKED_MAX_S: Final = 3_600.0
"""The longest pause that a receiver may ask for."""
REFUSED_S: Final = 3_600.0
"""After which what was refused is tried again, though neither configuration nor secret has changed."""


def backoff_s(failures: int, chance: float) -> float:
    """The pause after so many failures in a row, at least one; `chance` is drawn from 0..1."""
    pause_s = min(FIRST_S * 2.0 ** min(failures - 1, 10), MAX_S)
    return pause_s * (1 + JITTER * (2 * chance - 1))
