"""How a figure is declared: name, unit, meaning, kinds, source, section → a `FigureName` to refer to it by."""

from typing import Final, NewType

from msgspec import Struct

from kgents_shared.contract.vocabulary.kinds import KindName

FigureName = NewType("FigureName", str)

ANY: Final = "any"
"""The source of a figure that a program of your own may send, too."""
CUSTOM: Final = "custom"
"""The section of a pulse that holds every figure without a field of its own."""


class Figure(Struct, frozen=True):
    """One figure, or a family of them."""

    name: str
    """`pending_messages`; of a family with its variable parts in braces: `postgres_locks_{mode}`."""
    unit: str
    """UCUM: `1` for a ratio, `{answer}` for a yes (1) or no (0), `%`, `s`, `By`, `By/s`, `{message}`."""
    meaning: str
    kinds: tuple[KindName, ...]
    """On which kinds it is measured; empty: on any."""
    sources: tuple[str, ...]
    """Who measures it: `nats`, `docker`, …"""
    section: str
    """The field of the pulse that holds it; empty for a field of the pulse itself."""
    is_counter: bool = False
    """It only grows, until its source begins again at zero: not the values count but how much they grew. Any other is
    a gauge, also one that is counted since the last pulse."""


class Family(Struct, frozen=True):
    """Figures that differ in a part of their name alone."""

    pattern: str

    def named(self, **parts: str) -> FigureName:
        """The figure of these parts."""
        return FigureName(self.pattern.format(**parts))


class Field:
    """The figures of one field, in the order in which they are declared."""

    def __init__(self, *sources: str) -> None:
        self.figures: list[Figure] = []
        self._sources = sources

    def section(self, name: str, *kinds: KindName) -> "Section":
        """Declares figures in one section of pulses, of entities of these kinds."""
        return Section(self.figures, self._sources, name, kinds)


class Section:
    """Declares the figures of one section: `_stream = _FIELD.section(CUSTOM, kinds.NATS_STREAM)`."""

    def __init__(
        self, figures: list[Figure], sources: tuple[str, ...], section: str, kinds: tuple[KindName, ...]
    ) -> None:
        self._figures = figures
        self._sources = sources
        self._section = section
        self._kinds = kinds

    def figure(self, name: str, unit: str, meaning: str, *, is_counter: bool = False) -> FigureName:
        """Declare one figure."""
        self._figures.append(Figure(name, unit, meaning, self._kinds, self._sources, self._section, is_counter))
        return FigureName(name)

    def family(self, pattern: str, unit: str, meaning: str) -> Family:
        """Declare a family of figures."""
        self.figure(pattern, unit, meaning)
        return Family(pattern)
