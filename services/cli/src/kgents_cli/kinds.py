"""The word for kinds on a command line → the kinds. Pure."""

from typing import Final

from kgents_shared.view.selection import kind_named

ALL: Final = "all"


def kinds_of(words: str) -> tuple[str, ...]:
    """The kinds of a list such as `po,deploy`, each once; none for `all`, which selects every kind."""
    found = tuple(dict.fromkeys(kind_named(word.strip()) for word in words.split(",") if word.strip()))
    return () if ALL in found else found
