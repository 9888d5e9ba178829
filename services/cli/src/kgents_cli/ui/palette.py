"""Themes as data: how each meaning is drawn, and the mark and word that say the same without a colour. Pure.

Contrast of each colour with its background is at least 4.5 : 1, which a test computes.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

LEVELS: Final = ("critical", "warning", "unknown", "healthy")
CLUSTERS: Final = tuple(f"cluster{number}" for number in range(6))
MARKS: Final = {
    "critical": "✖", "warning": "▲", "unknown": "?", "healthy": "●", **dict(zip(CLUSTERS, "◆■◇□◈▣", strict=True)),
}  # fmt: skip
ASCII_MARKS: Final = {
    "critical": "X", "warning": "!", "unknown": "?", "healthy": ".", **dict(zip(CLUSTERS, "#@%&+=", strict=True)),
}  # fmt: skip


class Palette(msgspec.Struct, frozen=True):
    """One theme. A colour is `#rrggbb`; empty: the terminal's own."""

    name: str
    is_dark: bool
    background: str
    text: str
    dim: str
    accent: str
    bar: str
    """The background of the bars at the top and bottom."""
    cursor: str
    """The background of the selected row; without colours it is reversed."""
    levels: Mapping[str, str]
    clusters: Sequence[str]
    """In the order of CLUSTERS."""

    @property
    def is_plain(self) -> bool:
        """Whether it sets no colour at all."""
        return not self.background


DARK: Final = Palette(
    "kgents-dark", True, "#101418", "#e6e8ea", "#a3abb3", "#6cb6ff", "#1f2730", "#2d3a4a",
    {"critical": "#ff7b72", "warning": "#e3b341", "unknown": "#b8a1ff", "healthy": "#56d364"},
    ("#6cb6ff", "#f69d50", "#d2a8ff", "#39c5cf", "#f778ba", "#d4d48a"),
)  # fmt: skip
LIGHT: Final = Palette(
    "kgents-light", False, "#ffffff", "#1b1f24", "#57606a", "#0550ae", "#eaeef2", "#dbe6f3",
    {"critical": "#a40e26", "warning": "#7a4100", "unknown": "#5a32a3", "healthy": "#116329"},
    ("#0550ae", "#8a3b00", "#5a32a3", "#0b5c63", "#8b1a55", "#4d5200"),
)  # fmt: skip
COLOUR_BLIND: Final = Palette(
    "colour-blind", True, "#000000", "#ffffff", "#b4b4b4", "#8ecdf5", "#1c1c1c", "#2b2b2b",
    {"critical": "#ff7a1a", "warning": "#f0e442", "unknown": "#b8b8b8", "healthy": "#56b4e9"},
    ("#56b4e9", "#e69f00", "#f0e442", "#d891b5", "#2fc79a", "#dddddd"),
)  # fmt: skip
PLAIN: Final = Palette("no-colour", True, "", "", "", "", "", "", {}, ())

PALETTES: Final = {each.name: each for each in (DARK, LIGHT, COLOUR_BLIND, PLAIN)}

STYLES: Final = ("", "dim", "bold", "accent", "title", "cursor", *LEVELS, *CLUSTERS)
"""The meanings that a text may have."""


def style(palette: Palette, meaning: str, *, on: str = "") -> str:
    """A style in Rich's words.

    Args:
        palette: the theme.
        meaning: one of STYLES.
        on: `bar` or `cursor`: what is behind the text; empty: the background.
    """
    words = []
    if meaning in ("bold", "title", "critical", *CLUSTERS):
        words.append("bold")
    if palette.is_plain:
        return " ".join([*words, *(["reverse"] if on else []), *(["underline"] if meaning == "accent" else [])])
    colours = {"dim": palette.dim, "accent": palette.accent, "title": palette.accent, **palette.levels}
    colours |= dict(zip(CLUSTERS, palette.clusters, strict=True))
    behind = {"bar": palette.bar, "cursor": palette.cursor}.get(on, palette.background)
    return " ".join([*words, colours.get(meaning, palette.text), "on", behind])


def contrast(one: str, other: str) -> float:
    """The contrast of two colours `#rrggbb` as WCAG has it: 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
