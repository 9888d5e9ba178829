"""A text and what it means, wherever it is drawn. Pure."""

import msgspec


class Part(msgspec.Struct, frozen=True):
    """A text with one meaning, one of `palette.STYLES`."""

    text: str
    style: str = ""
    level: str = ""
    """Draw the mark of this level before it."""


Line = tuple[Part, ...]
