"""A text and what it means, wherever it is drawn. Pure."""

import msgspec

from kgents_shared.contract.entity import Ref


class Part(msgspec.Struct, frozen=True):
    """A text with one meaning, one of `palette.STYLES`."""

    text: str
    style: str = ""
    level: str = ""
    """Draw the mark of this level before it."""
    to: Ref | None = None
    """The entity that it names, if one may go there."""


Line = tuple[Part, ...]
