"""Palettes → the themes of Textual, for the few widgets of its own that are used: the prompt, notifications."""

from textual.theme import Theme

from kgents_cli.ui.palette import DARK, PALETTES, PLAIN, Palette


def theme_of(palette: Palette) -> Theme:
    """A palette as Textual has it."""
    if palette.is_plain:
        return Theme(name=palette.name, primary="ansi_default", background="ansi_default", foreground="ansi_default",
                     surface="ansi_default", panel="ansi_default", dark=True)  # fmt: skip
    return Theme(
        name=palette.name, primary=palette.accent, background=palette.background, foreground=palette.text,
        surface=palette.bar, panel=palette.bar, warning=palette.levels["warning"], error=palette.levels["critical"],
        success=palette.levels["healthy"], dark=palette.is_dark,
    )  # fmt: skip


def palette_of(name: str | None, *, is_plain: bool) -> Palette:
    """The theme that is asked for; without colours there is one only."""
    return PLAIN if is_plain else PALETTES.get(name or "", DARK)


def after(palette: Palette) -> Palette:
    """The next theme with colours; of the one without, itself."""
    names = [name for name, each in PALETTES.items() if not each.is_plain]
    return palette if palette.is_plain else PALETTES[names[(names.index(palette.name) + 1) % len(names)]]
