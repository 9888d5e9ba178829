"""NATS filters → what finds their subjects in the tables. Pure."""

import re
from collections.abc import Sequence
from typing import Final

_TOKEN: Final = re.compile(r"[A-Za-z0-9_=-]+")
_ANY: Final = {"*": r"[^.]+", ">": ".+"}
_SIGNAL_TOKENS: Final = 2


def patterns(filters: Sequence[str]) -> list[str] | None:
    """Regular expressions of PostgreSQL for subjects; None: these filters match everything of their signal.

    Raises:
        ValueError: one is no filter for subjects of ours.
    """
    found = [_pattern(each.split("."), each) for each in filters]
    return None if None in found or not found else [each for each in found if each is not None]


def names(filters: Sequence[str]) -> list[str]:
    """Those that are no patterns, but subjects."""
    return [each for each in filters if not _ANY.keys() & set(each.split("."))]


def _pattern(tokens: Sequence[str], filter_: str) -> str | None:
    is_valid = all(_TOKEN.fullmatch(each) or each == "*" for each in tokens[:-1])
    if not is_valid or not (_TOKEN.fullmatch(tokens[-1]) or tokens[-1] in _ANY):
        raise ValueError(f"expected a NATS filter such as kgents.topology.*.pod.shop.>, found {filter_[:64]!r}")
    if all(each in _ANY for each in tokens[_SIGNAL_TOKENS:]):
        return None
    joined = r"\.".join(_ANY.get(each, each) for each in tokens)
    return f"^{joined}$"
