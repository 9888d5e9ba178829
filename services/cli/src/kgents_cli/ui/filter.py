"""What is typed behind `/` → whether a row passes: `shop kind:pod !healthy`. Pure."""

from collections.abc import Callable
from typing import Final, Protocol

from kgents_shared.view.selection import kind_named

_KIND: Final = "kind"


class Searched(Protocol):
    """A row that can be filtered."""

    @property
    def searched(self) -> str:
        """Lower case."""

    def field(self, name: str) -> str | None:
        """None: there is no such field."""


def passes(text: str) -> Callable[[Searched], bool]:
    """A test: each word is part of the row, or with `field:` before it of that field; `!` before it negates.

    `kind:` compares all of it. A word with a colon that names no field is looked for as it is.
    """
    tests = [_test(word) for word in text.lower().split()]
    return lambda row: all(test(row) for test in tests)


def _test(word: str) -> Callable[[Searched], bool]:
    is_negated, word = word.startswith("!") and len(word) > 1, word.removeprefix("!") or word
    name, colon, value = word.partition(":")
    if name == _KIND:
        value = kind_named(value)

    def test(row: Searched) -> bool:
        found = row.field(name) if colon else None
        if found is None:
            return (word in row.searched) is not is_negated
        return (value == found.lower() if name == _KIND else value in found.lower()) is not is_negated

    return test
