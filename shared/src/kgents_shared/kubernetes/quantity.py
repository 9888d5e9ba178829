"""Quantities of the Kubernetes API: `250m`, `1Gi`, `123456789n`, `1e3` → numbers. Pure."""

import re
from functools import lru_cache
from typing import Final

_GRAMMAR: Final = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?(?:[eE](?P<power>[+-]?[0-9]+)|(?P<suffix>[a-zA-Z]*))",
    re.ASCII,
)
_POWER_OF_TEN: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_POWER_OF_TWO: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}

_CHARS_MAX: Final = 64
"""The API server writes at most about thirty characters: a longer text is not its own, and may be costly to compute."""
_POWER_MAX: Final = 30
"""The API knows no quantity above 2^63 or below 10^-9."""


def number(quantity: str | None) -> float | None:
    """The number itself (cores, pods); None if it is missing or not a quantity."""
    found = _fraction(quantity) if quantity else None
    return found[0] / found[1] if found is not None else None


def integer(quantity: str | None) -> int | None:
    """The number, rounded up as Kubernetes does (bytes); None if it is missing or not a quantity."""
    found = _fraction(quantity) if quantity else None
    return -(-found[0] // found[1]) if found is not None else None


@lru_cache(maxsize=4_096)
def _fraction(quantity: str) -> tuple[int, int] | None:
    """Numerator and denominator, exactly."""
    hit = _GRAMMAR.fullmatch(quantity) if len(quantity) <= _CHARS_MAX else None
    if hit is None:
        return None
    sign, whole, part, power, suffix = hit.groups(default="")
    if not whole and not part:
        return None
    ten, two = _exponents(power, suffix)
    if ten is None:
        return None
    digits = int(whole + part)
    ten -= len(part)
    value = (-digits if sign == "-" else digits) << two
    return (value * 10**ten, 1) if ten >= 0 else (value, 10**-ten)


def _exponents(power: str, suffix: str) -> tuple[int | None, int]:
    """The powers of ten and of two that a quantity ends in; no power of ten for an unknown suffix."""
    if power:
        return (int(power), 0) if abs(int(power)) <= _POWER_MAX else (None, 0)
    if suffix in _POWER_OF_TWO:
        return 0, _POWER_OF_TWO[suffix]
    return _POWER_OF_TEN.get(suffix), 0
